import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HandlerRegistry } from '../../../app-server/handler-registry.ts';
import { defineService, type RouteDefinition, route, z } from '../../../app-server/sdk/sdk.ts';
import { PlatformError } from '../../../shared/errors.ts';

const get = (path: string, method = 'GET'): RouteDefinition => route({ method, path, handler: () => 'x' });

function refusal(build: () => unknown): string {
  try {
    build();
  } catch (thrown) {
    assert.ok(thrown instanceof PlatformError);
    assert.equal(thrown.code, 'SERVICE_INVALID');
    return thrown.detail;
  }
  return assert.fail('expected a refusal');
}

describe('handler registry', () => {
  it('publishes a manifest of every route', () => {
    const service = defineService({
      name: 'orders',
      routes: [
        route({ method: 'POST', path: '/orders/:account', body: z.object({}), handler: () => null }),
        route({
          method: '*',
          path: '/raw',
          requestClass: 'background',
          contentTypes: ['text/plain'],
          handler: () => null,
        }),
        route({ method: 'GET', path: '/by/:owner', accountParam: 'owner', handler: () => null }),
      ],
    });
    assert.deepEqual(new HandlerRegistry([service]).manifest, [
      {
        service: 'orders',
        method: 'POST',
        pattern: '/orders/:account',
        accountParam: 'account',
        requestClass: 'interactive',
        contentTypes: ['application/json'],
      },
      {
        service: 'orders',
        method: '*',
        pattern: '/raw',
        accountParam: null,
        requestClass: 'background',
        contentTypes: ['text/plain'],
      },
      {
        service: 'orders',
        method: 'GET',
        pattern: '/by/:owner',
        accountParam: 'owner',
        requestClass: 'interactive',
        contentTypes: [],
      },
    ]);
  });

  it('finds the route with its service and parameters', () => {
    const registry = new HandlerRegistry([defineService({ name: 'a', routes: [get('/a/:x')] })]);
    const match = registry.find('GET', '/a/%31?q=1');
    assert.ok(match.kind === 'found');
    assert.equal(match.value.service, 'a');
    assert.equal(match.value.label, 'GET /a/:x');
    assert.equal(match.params.x, '1');
  });

  it('refuses two services that claim one route, naming both', () => {
    const first = defineService({ name: 'first', routes: [get('/a/:x')] });
    const second = defineService({ name: 'second', routes: [get('/a/:y')] });
    const detail = refusal(() => new HandlerRegistry([first, second]));
    assert.match(detail, /route GET \/a\/:y is claimed by 'first' and by 'second'/);
  });

  it('refuses two services that claim one table, naming both', () => {
    const schema = ['CREATE TABLE IF NOT EXISTS things (account VARCHAR(256) NOT NULL PRIMARY KEY)'];
    const first = defineService({ name: 'first', schema, routes: [get('/a')] });
    const second = defineService({ name: 'second', schema, routes: [get('/b')] });
    const detail = refusal(() => new HandlerRegistry([first, second]));
    assert.match(detail, /table 'things' is claimed by 'first' and by 'second'/);
  });

  it('refuses two services of one name', () => {
    const services = ['/a', '/b'].map((path) => defineService({ name: 'same', routes: [get(path)] }));
    assert.match(
      refusal(() => new HandlerRegistry(services)),
      /service name 'same'/,
    );
  });

  it('takes the same path with different methods from different services', () => {
    const services = [
      defineService({ name: 'reader', routes: [get('/a')] }),
      defineService({ name: 'writer', routes: [get('/a', 'PUT'), get('/a', '*')] }),
    ];
    assert.equal(new HandlerRegistry(services).manifest.length, 3);
  });
});
