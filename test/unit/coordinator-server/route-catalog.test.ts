import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { onlyNamed, type RouteManifest, unionRoutes, withManifest } from '../../../coordinator-server/route-catalog.ts';
import type { RouteEntry } from '../../../shared/published-state.ts';

function route(service: string, pattern: string, method = 'GET'): RouteEntry {
  return { service, method, pattern, accountParam: null, requestClass: 'interactive', contentTypes: [] };
}

function joined(...declared: [serverId: string, version: string, routes: RouteEntry[]][]): readonly RouteManifest[] {
  return declared.reduce<readonly RouteManifest[]>(
    (manifests, [serverId, version, routes]) => withManifest(manifests, { serverId, version, routes }),
    [],
  );
}

function patterns(manifests: readonly RouteManifest[]): string[] {
  return unionRoutes(manifests).routes.map((entry) => entry.pattern);
}

const V1 = [route('accounts', '/a'), route('accounts', '/a/:id')];
const V2 = [route('accounts', '/a'), route('accounts', '/b')];

test('servers of one version give their routes once', () => {
  const union = unionRoutes(joined(['g1a', '1', V1], ['g1b', '1', V1]));
  assert.deepEqual(union.routes, V1);
  assert.deepEqual(union.conflicts, []);
});

test('services of different servers are put together', () => {
  assert.deepEqual(patterns(joined(['g1a', '1', [route('echo', '/echo')]], ['g1b', '1', V1])), [
    '/a',
    '/a/:id',
    '/echo',
  ]);
});

test('the newest joined version decides a whole service, and the disagreement is said', () => {
  const union = unionRoutes(joined(['g1a', '1', V1], ['g1b', '2', V2]));
  assert.deepEqual(union.routes, V2);
  assert.match(union.conflicts.join(), /accounts is declared differently by g1b \(version 2\) and g1a \(version 1\)/);
});

test('a server that joins again with the same manifest changes nothing', () => {
  const manifests = joined(['g1a', '1', V1], ['g1b', '2', V2]);
  assert.equal(withManifest(manifests, { serverId: 'g1a', version: '1', routes: structuredClone(V1) }), manifests);
});

test('a server taken back to the old version decides again', () => {
  const manifests = joined(['g1a', '1', V1], ['g1b', '2', V2], ['g1a', '2', V2], ['g1a', '1', V1]);
  assert.deepEqual(unionRoutes(manifests).routes, V1);
});

test('a service that only one server still declares stays', () => {
  const manifests = joined(['g1a', '1', [...V1, route('old', '/old')]], ['g1b', '2', V2]);
  assert.deepEqual(patterns(manifests), ['/a', '/b', '/old']);
});

test('the manifest of a server that the config no longer names goes away', () => {
  const manifests = joined(['g1a', '1', V1], ['g1b', '1', [route('echo', '/echo')]]);
  assert.deepEqual(patterns(onlyNamed(manifests, new Set(['g1a']))), ['/a', '/a/:id']);
  assert.equal(onlyNamed(manifests, new Set(['g1a', 'g1b'])), manifests);
});

test('two services that want the same place: the newest joined has it, whatever the parameter is called', () => {
  const manifests = joined(['g1a', '1', [route('one', '/x/:a')]], ['g1b', '1', [route('two', '/x/:b')]]);
  const union = unionRoutes(manifests);
  assert.deepEqual(
    union.routes.map((entry) => entry.service),
    ['two'],
  );
  assert.equal(union.conflicts.length, 1);
});

test('equal manifests give the same routes in any order of joining', () => {
  const services = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 1 });
  const run = (names: string[], order: string[]) => {
    const routes = names.flatMap((name) => [route(name, `/${name}`), route(name, `/${name}`, 'POST')]);
    const inOrder = joined(['s1', '1', routes], ['s2', '1', routes.toReversed()]);
    const shuffled = joined(...order.map((id): [string, string, RouteEntry[]] => [id, '1', routes.toReversed()]));
    assert.deepEqual(unionRoutes(inOrder), unionRoutes(shuffled));
  };
  fc.assert(fc.property(services, fc.shuffledSubarray(['s1', 's2', 's3'], { minLength: 1 }), run));
});
