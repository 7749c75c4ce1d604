/** Both stores of the park through the same suite, on real files and a real etcd; and what only etcd can suffer. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { EtcdConnection } from '../../../coordinator-server/store/etcd-connection.ts';
import { EtcdStore } from '../../../coordinator-server/store/etcd-store.ts';
import { JournalStore } from '../../../coordinator-server/store/journal-store.ts';
import type { Writer } from '../../../coordinator-server/store/park-store.ts';
import { skipReason, TEST_PROGRAMS } from '../../../deploy/checks/test-programs.ts';
import { systemClock } from '../../../shared/clock.ts';
import { silentLogger } from '../../../shared/log.ts';
import { systemRandom } from '../../../shared/random.ts';
import { EtcdCluster } from '../../support/etcd.ts';
import { eventually } from '../../support/eventually.ts';
import { freeAddress } from '../../support/free-ports.ts';
import { OneWayProxy } from '../../support/history/one-way-proxy.ts';
import { storeConformance } from '../../support/park-store-conformance.ts';

const NOBODY: Writer = { session: '', force: false, platform: false };
const shared = { clock: systemClock, random: systemRandom, log: silentLogger };
const skip = skipReason(TEST_PROGRAMS.etcd);

storeConformance('the journal', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-park-'));
  const store = await JournalStore.open({ folder, ...shared });
  const close = async (): Promise<void> => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  };
  return { stores: [store, store], close };
});

function openEtcd(endpoints: readonly string[], cluster = 'test'): Promise<EtcdStore> {
  return EtcdStore.open({ cluster, endpoints, ...shared });
}

storeConformance(
  'etcd',
  async () => {
    const etcd = await EtcdCluster.start(1);
    const stores = [await openEtcd(etcd.endpoints), await openEtcd(etcd.endpoints)] as const;
    const close = async (): Promise<void> => {
      try {
        for (const store of stores) await store.close();
      } finally {
        await etcd.stop(); // also when a watch that a failed test left open says so
      }
    };
    return { stores, close };
  },
  skip,
);

describe('etcd', { skip, concurrency: true }, () => {
  let etcd: EtcdCluster;
  before(async () => {
    etcd = await EtcdCluster.start(3);
  });
  after(async () => await etcd.stop());

  test('its leader killed: nothing that was answered is lost, and watches have no gap', async () => {
    const store = await openEtcd(etcd.endpoints, 'killed');
    const told: string[] = [];
    const sink = {
      onEvents: (events: readonly { kind: string }[]) => told.push(...events.map((event) => JSON.stringify(event))),
      onEnd: () => {},
    };
    store.watch({ domain: 'd', node: '', afterRevision: 0 }, sink);
    let answered = 0;
    let victim = '';
    for (let value = 1; value <= 60; value++) {
      if (value === 20) {
        victim = await etcd.leader();
        await etcd.signal(victim, 'SIGKILL');
      }
      const writing = store.write(NOBODY, {
        writes: [{ op: 'put', domain: 'd', node: `n${value}`, value: String(value) }],
      });
      if ((await writing.catch(() => undefined)) !== undefined) answered++;
    }
    assert.ok(answered > 30, `${answered} answered`);
    const { nodes } = await store.list('d', '', 100);
    assert.ok(nodes.length >= answered);
    await eventually('every node told', () => told.filter((text) => text.includes('"put"')).length === nodes.length);
    etcd.startNode(victim);
    await store.close();
  });
});

test('etcd that is not there is said so', { skip }, async () => {
  await assert.rejects(openEtcd(['http://127.0.0.1:9']), { code: 'STORE_UNAVAILABLE', detail: /etcd does not answer/ });
});

/** Stops what a test started, however it ends. */
function stopAfter(context: TestContext, ...stops: readonly (() => unknown)[]): void {
  context.after(async () => {
    for (const stop of stops) await stop();
  });
}

const PUT = { op: 'put', domain: 'd', node: 'x', value: '1' } as const;

test('a write whose answer etcd lost may have been done, and is not done again', { skip }, async (context) => {
  const etcd = await EtcdCluster.start(1);
  const proxy = await OneWayProxy.listen(etcd.endpoints[0]?.replace('http://', '') ?? '');
  const [store, other] = [await openEtcd([`http://${proxy.address}`]), await openEtcd(etcd.endpoints)];
  const stops = [() => store.close(), () => other.close(), () => proxy.close(), () => etcd.stop()];
  stopAfter(context, ...stops);
  await store.write(NOBODY, { writes: [{ ...PUT, node: 'y' }] });
  assert.equal((await store.get('d', 'y')).node?.value, '1'); // its mirror has seen the domain
  proxy.cut('to-client');
  const writing = store.write(NOBODY, { writes: [PUT] }).catch((thrown: { code: string }) => thrown.code);
  await eventually('the write in etcd', async () => (await other.get('d', 'x')).node !== undefined, 20_000);
  proxy.reset();
  proxy.heal();
  assert.equal(await writing, 'OUTCOME_UNKNOWN');
  await eventually('reads again', async () => (await store.get('d', 'y').catch(() => undefined)) !== undefined, 20_000);
  assert.equal((await other.get('d', 'x')).node?.version, 1);
});

test('a write while etcd is not there was surely not done', { skip }, async (context) => {
  const etcd = await EtcdCluster.start(1);
  const store = await openEtcd(etcd.endpoints);
  stopAfter(
    context,
    () => store.close(),
    () => etcd.stop(),
  );
  const [name = ''] = etcd.names;
  const write = (): Promise<unknown> => store.write(NOBODY, { writes: [PUT] });
  await etcd.signal(name, 'SIGKILL');
  await write().catch(() => undefined); // it finds the connection gone, and may have been sent over it
  await assert.rejects(write(), { code: 'STORE_UNAVAILABLE' });
  etcd.startNode(name);
  await eventually('writes again', async () => (await write().catch(() => undefined)) !== undefined, 20_000);
});

/** Resolves with why a watch ended. */
function endOfWatch(connection: EtcdConnection, afterRevision: number): Promise<string> {
  return new Promise((resolve) => {
    connection.watch('k', afterRevision, { onChanges: () => {}, onEnd: ({ message }) => resolve(message) });
  });
}

test('a watch on etcd that is not there ends, so that it can begin again', { skip }, async (context) => {
  const connection = new EtcdConnection([`http://${await freeAddress()}`]);
  stopAfter(context, () => connection.close());
  assert.match(await endOfWatch(connection, 0), /./);
});

test('a watch that is closed before etcd took it hears nothing, whatever comes', { skip }, async (context) => {
  const etcd = await EtcdCluster.start(1);
  const connection = new EtcdConnection(etcd.endpoints);
  stopAfter(
    context,
    () => connection.close(),
    () => etcd.stop(),
  );
  const told: string[] = [];
  const handlers = { onChanges: () => void told.push('change'), onEnd: () => void told.push('end') };
  connection.watch('k', 0, handlers).close();
  const heard = new Promise<void>((resolve) => {
    connection.watch('k', 0, { onChanges: () => resolve(), onEnd: () => {} });
  });
  await connection.txn([], [{ kind: 'put', key: 'k1', value: '', lease: '0' }]);
  await heard;
  assert.deepEqual(told, []);
});

test('a watch from before what etcd still knows is told so', { skip }, async (context) => {
  const etcd = await EtcdCluster.start(1);
  const connection = new EtcdConnection(etcd.endpoints);
  stopAfter(
    context,
    () => connection.close(),
    () => etcd.stop(),
  );
  for (const value of ['1', '2', '3']) await connection.txn([], [{ kind: 'put', key: 'k1', value, lease: '0' }]);
  await etcd.compact();
  assert.match(await endOfWatch(connection, 0), /compacted/);
});
