/** All MySQL or MariaDB replicas of a group. Imported only by a store that has such replicas. */
import type { Clock } from '../shared/clock.ts';
import type { MysqlReplicaConfig } from '../shared/config/cluster-schema.ts';
import { readSecret } from '../shared/config/secret.ts';
import type { Random } from '../shared/random.ts';
import { WriteAll } from './commit/write-all.ts';
import type { EngineEvents, OpenBatch, StoreEngine, StoreHooks } from './engine.ts';
import type { MysqlAddress } from './mysql-connection.ts';
import { MysqlReplica } from './mysql-replica.ts';
import type { Row, SqlValue } from './replica.ts';

/** Beyond this, more transactions at once only contend; found with the prototype of the commit protocol. */
const LANES_MAX = 4;

/** A batch holds one connection to each replica; as many are left for looking things up beside it. */
const CONNECTIONS_PER_LANE = 2;

export interface MysqlEngineOptions {
  readonly groupId: string;
  readonly replicas: readonly MysqlReplicaConfig[];
  /** Absolute path that secret files are relative to. */
  readonly secretsFolder: string;
  readonly schema: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EngineEvents;
  readonly hooks: StoreHooks;
}

export class MysqlEngine implements StoreEngine {
  readonly laneCount: number;
  readonly #replicas: readonly MysqlReplica[];
  readonly #writeAll: WriteAll;

  private constructor(options: MysqlEngineOptions) {
    const { groupId, schema, clock, random, events, hooks } = options;
    const fewest = Math.min(...options.replicas.map(({ writerConnections }) => writerConnections));
    this.laneCount = Math.max(1, Math.min(LANES_MAX, Math.floor(fewest / CONNECTIONS_PER_LANE)));
    this.#replicas = options.replicas.map((config) => replicaOf(config, options));
    this.#writeAll = new WriteAll({
      groupId,
      replicas: this.#replicas,
      schema,
      clock,
      random,
      events,
      step: (step) => hooks[step]?.(),
    });
  }

  static async open(options: MysqlEngineOptions): Promise<MysqlEngine> {
    const engine = new MysqlEngine(options);
    try {
      await engine.#writeAll.open();
      return engine;
    } catch (thrown) {
      await engine.close();
      throw thrown;
    }
  }

  read(replica: number, sql: string, params: readonly SqlValue[], timeoutMs: number): Promise<Row[]> {
    const chosen = this.#replicas[replica];
    if (chosen === undefined) throw new RangeError(`no replica ${replica}`);
    return chosen.read(sql, params, timeoutMs);
  }

  beginBatch(requestIds: readonly string[], waitMs: number): Promise<OpenBatch> {
    return this.#writeAll.beginBatch(requestIds, waitMs);
  }

  check(): Promise<void> {
    return this.#writeAll.check();
  }

  close(): Promise<void> {
    return this.#writeAll.close();
  }
}

function replicaOf(config: MysqlReplicaConfig, options: MysqlEngineOptions): MysqlReplica {
  const { writer, reader = writer } = config;
  const colon = config.address.lastIndexOf(':');
  const place = {
    host: config.address.slice(0, colon).replace(/^\[|\]$/g, ''),
    port: Number(config.address.slice(colon + 1)),
    database: config.database,
  };
  const addressOf = ({ user, password }: MysqlReplicaConfig['writer']): MysqlAddress => ({
    ...place,
    user,
    password: readSecret(password, options.secretsFolder),
  });
  return new MysqlReplica({
    replicaId: config.id,
    groupId: options.groupId,
    writer: addressOf(writer),
    reader: addressOf(reader),
    writerConnections: Math.max(CONNECTIONS_PER_LANE, config.writerConnections),
    readerConnections: config.readerConnections,
    clock: options.clock,
    onWarning: (message) => options.events.onLog('warn', message, { replica: config.id }),
  });
}
