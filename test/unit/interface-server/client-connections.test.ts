import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientConnections, QUIET_MS } from '../../../interface-server/client-connections.ts';
import type { WebApp } from '../../../shared/web-server.ts';
import { ManualClock } from '../../support/manual-clock.ts';

/** A server that stops, and its clients. */
class Stopping {
  readonly clock = new ManualClock();
  readonly connections = new ClientConnections();
  taken = 0;
  inFlight = 0;
  isOver = false;
  change: (count: number) => void = () => {};

  constructor(open: number) {
    const app = {
      filter: (onChange: (response: unknown, count: number) => void) => (this.change = (count) => onChange({}, count)),
    };
    this.connections.watch(app as unknown as WebApp);
    for (let count = 0; count < open; count++) this.change(1);
  }

  begin(timeoutMs: number): void {
    void this.connections
      .spent(
        this.clock,
        () => this.taken,
        () => this.inFlight,
        timeoutMs,
      )
      .then(() => {
        this.isOver = true;
      });
  }

  async pass(ms: number, each: () => void = () => {}): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += 10) {
      each();
      this.clock.advance(10);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

test('without connections it is over at once', async () => {
  const server = new Stopping(0);
  server.begin(2_000);
  await server.pass(0);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(server.isOver, true);
});

test('it is over when the last connection is closed', async () => {
  const server = new Stopping(2);
  server.begin(2_000);
  server.change(-1);
  await server.pass(50, () => server.taken++);
  assert.deepEqual([server.connections.open, server.isOver], [1, false]);
  server.change(-1);
  await server.pass(10);
  assert.equal(server.isOver, true);
});

test('connections that nobody uses are waited for no longer than it takes to know that', async () => {
  const server = new Stopping(1);
  server.begin(2_000);
  await server.pass(QUIET_MS - 20, () => server.taken++);
  await server.pass(QUIET_MS - 20);
  assert.equal(server.isOver, false);
  await server.pass(40);
  assert.equal(server.isOver, true);
});

test('a request in flight is waited for, up to the limit', async () => {
  const server = new Stopping(1);
  server.inFlight = 1;
  server.begin(2_000);
  await server.pass(1_980);
  assert.equal(server.isOver, false);
  await server.pass(30);
  assert.equal(server.isOver, true);
});
