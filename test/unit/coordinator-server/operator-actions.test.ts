import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { Member } from '../../../coordinator-server/membership-state.ts';
import { type OrderAnswer, operatorActions } from '../../../coordinator-server/operator-actions.ts';
import type { AdminAction } from '../../../shared/admin-server.ts';
import { silentLogger } from '../../../shared/log.ts';
import type { TakenOut } from '../../../shared/published-state.ts';
import { smallState } from '../../support/small-cluster.ts';

let takenOut: Record<string, TakenOut>;
let actions: Readonly<Record<string, AdminAction>>;

beforeEach(() => {
  takenOut = {};
  const publisher = {
    state: smallState(1),
    get takenOut() {
      return takenOut;
    },
    takeOut: async (serverId: string, how: TakenOut | undefined): Promise<number> => {
      if (how === undefined) delete takenOut[serverId];
      else takenOut[serverId] = how;
      return 2;
    },
  };
  const leadership = { leading: true, leaderId: 'c1' };
  const alive = { lease: { kind: 'alive' }, load: null } as unknown as Member;
  actions = operatorActions({ publisher, leadership, member: () => alive, log: silentLogger });
});

async function order(action: string, body: unknown): Promise<OrderAnswer> {
  return (await actions[action]?.(body)) as OrderAnswer;
}

test('an order is carried out, and the answer says what was and what is', async () => {
  const drained = await order('drain', { server: 'g1a' });
  assert.deepEqual([drained.was, drained.state, drained.epoch, drained.standIns], ['ready', 'drain', 2, ['g1b']]);
  assert.deepEqual(takenOut, { g1a: 'drain' });
  assert.deepEqual([(await order('maint', { server: 'g1a' })).was, takenOut['g1a']], ['drain', 'maint']);
  assert.deepEqual([(await order('ready', { server: 'g1a' })).state, takenOut], ['ready', {}]);
});

test('asking how far it is changes nothing', async () => {
  const { state, server, settled } = await order('service', { server: 'g1a' });
  assert.deepEqual([state, server, settled, takenOut], ['ready', 'g1a', false, {}]);
});

for (const [server, what] of [
  ['g2a', /g2a is the last app server of group g2 that runs.*--force/],
  ['d1', /d1 is the last dispatcher/],
  ['i1', /i1 is the last interface server/],
] as const) {
  test(`the last one is taken out only by force: ${server}`, async () => {
    await assert.rejects(order('drain', { server }), { code: 'LAST_SERVER', detail: what });
    await assert.rejects(order('maint', { server, force: false }), { code: 'LAST_SERVER' });
    assert.deepEqual(takenOut, {});
    assert.equal((await order('drain', { server, force: true })).state, 'drain');
  });
}

test('of two, the second one is the last, and one that is out already may go from drain to maint', async () => {
  await order('drain', { server: 'g1a' });
  await assert.rejects(order('drain', { server: 'g1b' }), { code: 'LAST_SERVER' });
  await order('maint', { server: 'g1a' });
});

test('a server nobody knows, and a coordinator, are refused with the names of those there are', async () => {
  const unknown = { code: 'SERVER_UNKNOWN', detail: /\(g1a, g1b, g2a, d1, i1\), got g9/ };
  await assert.rejects(order('drain', { server: 'g9' }), unknown);
  await assert.rejects(order('ready', { server: 'c1' }), { code: 'SERVER_UNKNOWN', detail: /coordinator c1: stop it/ });
});

test('a body of another shape is refused', async () => {
  for (const body of [
    {},
    null,
    [],
    { server: 1 },
    { server: '' },
    { server: 'g1a', force: 'yes' },
    { server: 'g1a', x: 1 },
  ])
    await assert.rejects(order('drain', body), { code: 'BODY_INVALID' });
});
