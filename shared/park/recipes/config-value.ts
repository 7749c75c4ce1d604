/**
 * A setting in the park that every process sees alike, and hears of when it changes.
 *
 * V1: what does not parse is refused and told to `onRefused`; the last good value stays in force.
 * V2: with every coordinator away the last value stays; changes made meanwhile are told when one is back.
 */
import { type Clock, systemClock } from '../../clock.ts';
import { type PlatformError, toPlatformError } from '../../errors.ts';
import type { Park, ParkChange, ParkWatch, Written } from '../park.ts';
import { BoundedWait, type WaitOptions } from './bounded-wait.ts';

export interface ConfigState<T> {
  readonly value: T;
  /** Revision of the write that `value` is of; 0: the fallback. Grows. */
  readonly revision: number;
  /** Of the newest write, when it was refused (V1). */
  readonly refusal: PlatformError | undefined;
}

export interface ConfigOptions<T> {
  /** In force while the node is not there. */
  readonly fallback: T;
  /** @throws when the value does not fit */
  readonly parse: (value: unknown) => T;
  readonly onChange?: ((value: T, revision: number) => void) | undefined;
  readonly onRefused?: ((error: PlatformError) => void) | undefined;
  readonly clock?: Clock | undefined;
}

/** What is in force after the change. Pure. @param change of a watch of one node */
export function configAfter<T>(
  state: ConfigState<T>,
  change: ParkChange,
  { fallback, parse }: Pick<ConfigOptions<T>, 'fallback' | 'parse'>,
): ConfigState<T> {
  const entry = change.kind === 'put' ? change.entry : undefined;
  const found = change.kind === 'content' ? change.entries[0] : entry;
  if (found === undefined) return { value: fallback, revision: 0, refusal: undefined };
  if (found.modRevision === state.revision) return state;
  try {
    return { value: parse(found.value), revision: found.modRevision, refusal: undefined };
  } catch (thrown) {
    return { ...state, refusal: toPlatformError(thrown, 'CONFIG_INVALID') }; // V1
  }
}

export class ConfigValue<T> {
  readonly #park: Park;
  readonly #domain: string;
  readonly #node: string;
  readonly #options: ConfigOptions<T>;
  #state: ConfigState<T>;
  #watch: ParkWatch | undefined;

  private constructor(park: Park, domain: string, node: string, options: ConfigOptions<T>) {
    this.#park = park;
    this.#domain = domain;
    this.#node = node;
    this.#options = options;
    this.#state = { value: options.fallback, revision: 0, refusal: undefined };
  }

  /** Resolves when it knows what is in force. `onChange` is called before, too. @throws PlatformError DEADLINE_EXCEEDED, CANCELLED */
  static async open<T>(
    park: Park,
    place: { readonly domain: string; readonly node: string },
    options: ConfigOptions<T>,
    waiting: WaitOptions,
  ): Promise<ConfigValue<T>> {
    const { domain, node } = place;
    const wait = new BoundedWait(`config ${domain}/${node}`, waiting, options.clock ?? systemClock);
    const config = new ConfigValue(park, domain, node, options);
    try {
      await wait.until(config.#begin());
      return config;
    } catch (thrown) {
      config.close();
      throw thrown;
    } finally {
      wait.close();
    }
  }

  get value(): T {
    return this.#state.value;
  }

  get revision(): number {
    return this.#state.revision;
  }

  /** Why the newest write is not in force. */
  get refusal(): PlatformError | undefined {
    return this.#state.refusal;
  }

  /**
   * Writes it for everybody. `ifRevision`: only over that one, 0: only when there is none.
   * @throws what `parse` throws; PlatformError PARK_VERSION_CONFLICT, NO_COORDINATOR, OUTCOME_UNKNOWN
   */
  async set(
    value: unknown,
    options: { readonly ifRevision?: number | undefined } = {},
  ): Promise<Pick<Written, 'revision'>> {
    this.#options.parse(value);
    const [domain, node] = [this.#domain, this.#node];
    const { ifRevision } = options;
    const checks = ifRevision === undefined ? [] : [{ domain, node, revision: ifRevision }];
    return await this.#park.transact({ checks, writes: [{ op: 'put', domain, node, value }] });
  }

  close(): void {
    this.#watch?.close();
  }

  #begin(): Promise<void> {
    return new Promise((resolve) => {
      const listener = (change: ParkChange): void => {
        this.#take(change);
        resolve();
      };
      this.#watch = this.#park.watch(this.#domain, listener, { node: this.#node });
    });
  }

  /** V2: the watch goes on where it was. */
  #take(change: ParkChange): void {
    const before = this.#state;
    const { onChange, onRefused } = this.#options;
    this.#state = configAfter(before, change, this.#options);
    const { value, revision, refusal } = this.#state;
    if (revision !== before.revision) onChange?.(value, revision);
    if (refusal !== undefined && refusal !== before.refusal) onRefused?.(refusal);
  }
}
