/** A group of SQLite replicas in a temporary folder. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { ReplicatedStore, type Row, type StoreHooks } from '../../db/replicated-store.ts';
import { type Clock, systemClock } from '../../shared/clock.ts';
import type { SqliteReplicaConfig } from '../../shared/config/cluster-schema.ts';
import { silentLogger } from '../../shared/log.ts';
import { type StoreUnderTest, TEST_SCHEMA } from './store-conformance.ts';

export class SqliteSubject implements StoreUnderTest {
  readonly folder: string;
  readonly replicas: readonly SqliteReplicaConfig[];

  constructor(folder: string, replicaCount: number) {
    this.folder = folder;
    this.replicas = Array.from({ length: replicaCount }, (_, index) => ({
      id: `r${index + 1}`,
      kind: 'sqlite',
      file: `r${index + 1}.db`,
    }));
  }

  static async create(replicaCount: number): Promise<SqliteSubject> {
    return new SqliteSubject(await mkdtemp(path.join(tmpdir(), 'trunkline-store-')), replicaCount);
  }

  open(hooks: StoreHooks = {}, clock: Clock = systemClock): Promise<ReplicatedStore> {
    return ReplicatedStore.open({
      groupId: 'g1',
      replicas: this.replicas,
      dataFolder: this.folder,
      secretsFolder: this.folder,
      schema: TEST_SCHEMA,
      log: silentLogger,
      hooks,
      clock,
    });
  }

  /** @param index of the replica */
  file(index: number): string {
    return path.join(this.folder, this.replicas[index]?.file ?? '');
  }

  async inspect(sql: string): Promise<Row[][]> {
    return this.replicas.map((_, index) => {
      const db = new DatabaseSync(this.file(index), { timeout: 5_000 });
      try {
        const statement = db.prepare(sql);
        statement.setReadBigInts(true);
        return statement
          .all()
          .map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plain(value)]))) as Row[];
      } finally {
        db.close();
      }
    });
  }

  /** Changes one replica behind the store's back. */
  tamper(index: number, sql: string): void {
    const db = new DatabaseSync(this.file(index), { timeout: 5_000 });
    db.exec(sql);
    db.close();
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}

function plain(value: unknown): unknown {
  return typeof value === 'bigint' && Number.isSafeInteger(Number(value)) ? Number(value) : value;
}
