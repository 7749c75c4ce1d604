/**
 * Every config that was published, as its file was, in the park's domain `trunkline.configs`: a node an epoch, named by
 * its 16 digits, so that names sort by age. `./trunkline config history` shows them, `rollback` puts one back in place
 * of the file, which stays what counts.
 *
 * H1: a config is recorded after it was published; when a crash comes in between, at the next publication or start.
 * H2: the newest CONFIGS_KEPT_MAX are kept; writing one more deletes the oldest in the same transaction.
 * H3: a file that is read only after its config was published, as at a coordinator's start, is added to the record.
 */
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { ClusterConfig } from '../shared/config/cluster-schema.ts';
import { parseClusterConfig } from '../shared/config/load-cluster-config.ts';
import { toPlatformError } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import { PARK_LIMITS, type ParkWrite } from '../shared/park/park-model.ts';
import type { PublishedState } from '../shared/published-state.ts';
import { type ParkStore, PLATFORM_WRITER } from './store/park-store.ts';

export const CONFIGS_DOMAIN = 'trunkline.configs';
/** A year of weekly changes; at most 50 MiB of the park. */
export const CONFIGS_KEPT_MAX = 50;
const EPOCH_DIGITS = 16;
const OFFERED_KEPT_MAX = 4;

export const configRecordSchema = z.object({
  epoch: z.int().min(0),
  at: z.string(),
  /** Top-level fields that differ from the config before; `birth`: the first. */
  changes: z.array(z.string()),
  /** SHA-256 of the config with every default filled in. */
  checksum: z.string(),
  /** The file; null when it was not seen (the coordinator was down) or is too large to keep. */
  text: z.string().nullable(),
});

export type ConfigRecord = z.infer<typeof configRecordSchema>;

interface OfferedConfig {
  readonly config: ClusterConfig;
  readonly text: string;
}

interface NewestRecord {
  readonly record: ConfigRecord;
  /** Undefined when it came from the park without a text that is valid still. */
  readonly config: ClusterConfig | undefined;
}

export interface ConfigHistoryOptions {
  readonly store: ParkStore;
  readonly log: Logger;
  readonly wallMs: () => number;
}

export class ConfigHistory {
  readonly #options: ConfigHistoryOptions;
  #names: string[] | undefined;
  #newest: NewestRecord | undefined;
  /** The newest OFFERED_KEPT_MAX, as the file may be edited again before one is recorded. */
  #offered: OfferedConfig[] = [];
  /** One record at a time, in the order of publication. */
  #recording: Promise<void> = Promise.resolve();

  constructor(options: ConfigHistoryOptions) {
    this.#options = options;
  }

  /** From now on this coordinator leads: what another one recorded meanwhile is read anew. */
  begin(): void {
    this.#names = undefined;
    this.#newest = undefined;
  }

  /**
   * The config file held this; whether it is taken up is decided elsewhere.
   * @param text undefined: not read from the file
   */
  offered(config: ClusterConfig, text: string | undefined): void {
    if (text !== undefined) this.#offered = [{ config, text }, ...this.#offered].slice(0, OFFERED_KEPT_MAX);
  }

  /** H1: to be told of every published state. */
  published(state: PublishedState): void {
    this.#recording = this.#recording
      .then(() => this.#record(state))
      .catch((thrown: unknown) => {
        const reason = toPlatformError(thrown).detail;
        this.#options.log.warn(
          { epoch: state.epoch, reason },
          'config not kept in the history; the next one is tried again',
        );
      });
  }

  async settled(): Promise<void> {
    await this.#recording;
  }

  async #record({ epoch, config }: PublishedState): Promise<void> {
    const names = this.#names ?? (await this.#load());
    this.#names = names;
    const checksum = configChecksum(config);
    const text = this.#textOf(config);
    const newest = this.#newest;
    if (newest?.record.checksum === checksum) {
      const record = { ...newest.record, text: newest.record.text ?? text };
      if (record.text !== newest.record.text) await this.#write(record, names); // H3
      this.#newest = { record, config };
      return;
    }
    const at = new Date(this.#options.wallMs()).toISOString();
    const record: ConfigRecord = { epoch, at, changes: this.#changes(config), checksum, text };
    await this.#write(record, names);
    this.#newest = { record, config };
  }

  async #write(record: ConfigRecord, names: readonly string[]): Promise<void> {
    const node = String(record.epoch).padStart(EPOCH_DIGITS, '0');
    const writes: ParkWrite[] = [
      { op: 'put', domain: CONFIGS_DOMAIN, node, value: recordText(record), access: 'read' },
    ];
    const kept = [...names.filter((name) => name !== node), node];
    const dropped = kept.splice(0, Math.max(0, kept.length - CONFIGS_KEPT_MAX)).slice(0, PARK_LIMITS.writesMax - 1);
    for (const name of dropped) writes.push({ op: 'delete', domain: CONFIGS_DOMAIN, node: name }); // H2
    await this.#options.store.write(PLATFORM_WRITER, { writes });
    this.#names = kept;
  }

  /** What the file held, if it held this config. */
  #textOf(config: ClusterConfig): string | null {
    return this.#offered.find((offered) => isDeepStrictEqual(offered.config, config))?.text ?? null;
  }

  #changes(config: ClusterConfig): string[] {
    if (this.#newest === undefined) return ['birth'];
    const before = this.#newest.config;
    if (before === undefined) return [];
    const fields = Object.keys(config) as (keyof ClusterConfig)[];
    return fields.filter((field) => !isDeepStrictEqual(before[field], config[field]));
  }

  async #load(): Promise<string[]> {
    const { nodes } = await this.#options.store.list(CONFIGS_DOMAIN, '', PARK_LIMITS.listNodesMax);
    const newest = nodes.at(-1);
    if (newest !== undefined) this.#newest = newestOf(newest.value);
    return nodes.map(({ node }) => node);
  }
}

function recordText(record: ConfigRecord): string {
  const value = JSON.stringify(record);
  if (Buffer.byteLength(value) <= PARK_LIMITS.valueBytesMax) return value;
  return JSON.stringify({ ...record, text: null });
}

/** A record that cannot be read counts as one of another config. */
function newestOf(value: string): NewestRecord | undefined {
  const read = configRecordSchema.safeParse(JSON.parse(value));
  if (!read.success) return undefined;
  const { text } = read.data;
  const parsed = text === null ? undefined : parseClusterConfig(text, `epoch ${read.data.epoch}`);
  return { record: read.data, config: parsed?.ok === true ? parsed.config : undefined };
}

/** Of a config with every default filled in. */
export function configChecksum(config: ClusterConfig): string {
  return createHash('sha256').update(JSON.stringify(config)).digest('hex');
}
