import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { giveOrder, type ServiceOrder } from '../../../../deploy/cli/service-order.ts';
import { fastClock } from '../../../support/fast-clock.ts';

const DRAIN: ServiceOrder = { action: 'drain', server: 'g1a', force: false, wait: true, timeoutMs: 2_000 };
const IDLE = {
  server: 'g1a',
  tier: 'app',
  state: 'drain',
  settled: true,
  waitingFor: [] as string[],
  standIns: ['g1b'],
};
const BUSY = { ...IDLE, settled: false, waitingFor: ['d1 waits for 3 requests it sent there'] };

let said: string[];
let asked: string[];
beforeEach(() => {
  said = [];
  asked = [];
});

/** @param answers one after the other, the last one again and again */
function give(order: ServiceOrder, ...answers: object[]): Promise<number> {
  const act = async (action: string, body: unknown): Promise<unknown> => {
    asked.push(`${action} ${JSON.stringify(body)}`);
    return answers.length > 1 ? answers.shift() : answers[0];
  };
  return giveOrder(order, { act }, (line) => said.push(line), fastClock(100));
}

test('without --wait it gives the order, says what it means and how it is taken back', async () => {
  assert.equal(await give({ ...DRAIN, wait: false, force: true }, { ...BUSY, was: 'ready', epoch: 2 }), 0);
  assert.deepEqual(asked, ['drain {"server":"g1a","force":true}']);
  assert.deepEqual(said, ['g1a is in drain: it gets no new requests. Back: ./trunkline ready g1a']);
});

test('with --wait it asks until nothing is in flight', async () => {
  const patient = { ...DRAIN, timeoutMs: 600_000 };
  assert.equal(await give(patient, { ...BUSY, was: 'ready', epoch: 2 }, BUSY, IDLE), 0);
  assert.deepEqual(asked.slice(1), ['service {"server":"g1a"}', 'service {"server":"g1a"}']);
  assert.match(said[1] ?? '', /^g1a is idle after \d+\.\d s: nothing is in flight$/);
});

test('when the time is over it says what is left, and that the order stands', async () => {
  assert.equal(await give(DRAIN, { ...BUSY, was: 'ready', epoch: 2 }, BUSY), 1);
  assert.match(said[1] ?? '', /not done after 2 s: d1 waits for 3 requests it sent there\. It stays in drain\.$/);
});

test('an order given before, and one that leaves nobody, are told', async () => {
  await give({ ...DRAIN, wait: false }, { ...BUSY, was: 'drain', epoch: 2, standIns: [] });
  assert.match(said[0] ?? '', /^g1a is in drain, as before: /);
  assert.match(said[1] ?? '', /^warning: no other server does its work/);
});

test('an interface server is idle with connections open, and says how many', async () => {
  await give(DRAIN, { ...IDLE, was: 'ready', epoch: 2, connections: 3 });
  assert.match(said[1] ?? '', /nothing is in flight; 3 idle client connections are open$/);
});

test('put back, it waits until the server is at work', async () => {
  const atWork = { ...IDLE, state: 'ready' };
  await give({ ...DRAIN, action: 'ready' }, { ...BUSY, state: 'ready', was: 'drain', epoch: 3 }, atWork);
  assert.equal(said[0], 'g1a is in service');
  assert.match(said[1] ?? '', /^g1a is at work after/);
});

test('who is overruled by somebody else while he waits is told so', async () => {
  const overruled = give(DRAIN, { ...BUSY, was: 'ready', epoch: 2 }, { ...IDLE, state: 'ready' });
  await assert.rejects(overruled, { detail: /ordered to be ready meanwhile/ });
});
