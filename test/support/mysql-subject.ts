/** A group of MariaDB replicas: databases of one server, or of several. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ReplicatedStore, type Row, type StoreHooks } from '../../db/replicated-store.ts';
import { type Clock, systemClock } from '../../shared/clock.ts';
import type { MysqlReplicaConfig } from '../../shared/config/cluster-schema.ts';
import { silentLogger } from '../../shared/log.ts';
import { MARIADB_COLLATION, type Mariadb } from './mariadb.ts';
import { type StoreUnderTest, TEST_SCHEMA } from './store-conformance.ts';

export interface Place {
  readonly server: Mariadb;
  readonly database: string;
}

export class MysqlSubject implements StoreUnderTest {
  readonly places: readonly Place[];
  readonly folder: string;
  readonly replicas: readonly MysqlReplicaConfig[];

  private constructor(places: readonly Place[], folder: string) {
    this.places = places;
    this.folder = folder;
    this.replicas = places.map(({ server, database }, index) => ({
      id: `m${index + 1}`,
      kind: 'mysql',
      address: `${server.host}:${server.port}`,
      database,
      writer: { user: 'writer', password: { file: 'password' } },
      reader: { user: 'reader', password: { file: 'password' } },
      writerConnections: 4,
      readerConnections: 4,
    }));
  }

  /** Makes the databases and the two accounts. */
  static async create(places: readonly Place[]): Promise<MysqlSubject> {
    for (const { server, database } of places) {
      await server.query(`CREATE DATABASE ${database} CHARACTER SET utf8mb4 COLLATE ${MARIADB_COLLATION}`);
      for (const [user, rights] of [
        ['writer', 'ALL'],
        ['reader', 'SELECT'],
      ]) {
        await server.query(`CREATE USER IF NOT EXISTS ${user}@'127.0.0.1' IDENTIFIED BY 'se cret'`);
        await server.query(`GRANT ${rights} ON ${database}.* TO ${user}@'127.0.0.1'`);
      }
    }
    const folder = await mkdtemp(path.join(tmpdir(), 'trunkline-mysql-'));
    await writeFile(path.join(folder, 'password'), 'se cret\n');
    return new MysqlSubject(places, folder);
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

  inspect(sql: string): Promise<Row[][]> {
    return Promise.all(
      this.places.map(async ({ server, database }) => {
        const rows = await server.query(sql, database);
        return rows.map((row) => ({ ...row })) as Row[];
      }),
    );
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}
