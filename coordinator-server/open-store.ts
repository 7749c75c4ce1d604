/** Opens the park's store as the config says: a journal in the coordinator's own folder, or etcd. */
import path from 'node:path';
import type { Clock } from '../shared/clock.ts';
import type { ClusterConfig } from '../shared/config/cluster-schema.ts';
import type { Logger } from '../shared/log.ts';
import type { Random } from '../shared/random.ts';
import { type Leadership, SoleLeadership } from './leadership.ts';
import { JournalStore } from './store/journal-store.ts';
import type { ParkStore } from './store/park-store.ts';

export interface OpenedStore {
  readonly store: ParkStore;
  /** The same store, when it is a journal's. */
  readonly journal: JournalStore | undefined;
  readonly leadership: Leadership;
  /** Of the journal; 0 with etcd, whose election fences. */
  readonly term: number;
}

export interface OpenStoreOptions {
  readonly config: ClusterConfig;
  readonly serverId: string;
  /** Absolute; `dataFolder` is relative to it. */
  readonly rootFolder: string;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: Random;
}

/** Where a coordinator keeps its journal. */
export function journalFolder(rootFolder: string, dataFolder: string, serverId: string): string {
  return path.resolve(rootFolder, dataFolder, serverId, 'park');
}

/** @throws PlatformError JOURNAL_CORRUPT, STORE_UNAVAILABLE, USAGE (another process has the journal) */
export async function openStore(options: OpenStoreOptions): Promise<OpenedStore> {
  const { config, serverId, rootFolder, log, clock, random } = options;
  if (config.coordinator.store === 'etcd') return await openEtcd(options);
  const { flushEveryMs, asyncDomains } = config.coordinator.journal;
  const folder = journalFolder(rootFolder, config.dataFolder, serverId);
  const store = await JournalStore.open({ folder, flushEveryMs, asyncDomains, log, clock, random });
  return { store, journal: store, leadership: new SoleLeadership(serverId), term: store.term };
}

/** etcd's client is large: it is loaded only where it is used. */
async function openEtcd({ config, serverId, log, clock, random }: OpenStoreOptions): Promise<OpenedStore> {
  const { EtcdStore } = await import('./store/etcd-store.ts');
  const { EtcdLeadership } = await import('./store/etcd-leadership.ts');
  const { endpoints } = config.coordinator;
  const store = await EtcdStore.open({ cluster: config.cluster, endpoints, clock, random, log });
  return {
    store,
    journal: undefined,
    leadership: new EtcdLeadership({ store, serverId, random, log, clock }),
    term: 0,
  };
}
