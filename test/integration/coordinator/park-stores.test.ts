/** Both stores of the park through the same suite, on real files and a real etcd; and what only etcd can suffer. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { EtcdStore } from '../../../coordinator-server/store/etcd-store.ts';
import { JournalStore } from '../../../coordinator-server/store/journal-store.ts';
import type { Writer } from '../../../coordinator-server/store/park-store.ts';
import { skipReason, TEST_PROGRAMS } from '../../../deploy/checks/test-programs.ts';
import { systemClock } from '../../../shared/clock.ts';
import { silentLogger } from '../../../shared/log.ts';
import { systemRandom } from '../../../shared/random.ts';
import { EtcdCluster } from '../../support/etcd.ts';
import { eventually } from '../../support/eventually.ts';
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
      for (const store of stores) await store.close();
      await etcd.stop();
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
