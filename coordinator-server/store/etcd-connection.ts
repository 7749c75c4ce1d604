/**
 * Door to etcd3: what the park asks of etcd, in numbers and buffers, with times bounded and errors typed.
 *
 * E1: a call that surely was not carried out throws STORE_UNAVAILABLE, one that may have been OUTCOME_UNKNOWN.
 * E2: what may have been carried out is not sent again. etcd3 would, three times; and it would leave a node alone for 5 s
 *     after three failures. So its policies are put out of force, and what is tried again is decided here.
 * E3: nor is a watch left to it: it would try again for ever, even when it is closed, half a minute apart in the end.
 */
import type { Etcd3, IEvent, IKeyValue, IOptions, IWatchResponse } from 'etcd3';
import { type Clock, systemClock } from '../../shared/clock.ts';
import { PlatformError } from '../../shared/errors.ts';
import { requirePackage } from '../../shared/require-package.ts';

const CALL_MS_MAX = 3_000;
/** Each goes to any of the nodes: one of three that is dead is met so often in a row one time in 200. */
const TRIES_MAX = 5;
/** Once more each time: half a second together, in which etcd has mostly elected another leader. */
const AGAIN_AFTER_MS = 50;
const PAGE_KEYS = 1_000;

/** Of one key. */
export interface EtcdEntry {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
}

export interface EtcdChange {
  readonly kind: 'put' | 'delete';
  readonly entry: EtcdEntry;
}

/** `modRevision` 0: there is no such key. `isRange`: of all keys that begin with it. */
export interface EtcdCompare {
  readonly key: string;
  readonly modRevision: number;
  readonly isRange?: boolean;
}

export type EtcdOp =
  | { readonly kind: 'put'; readonly key: string; readonly value: string /** 0: none. */; readonly lease: string }
  | { readonly kind: 'delete'; readonly key: string; readonly isRange?: boolean };

export interface EtcdTxn {
  readonly succeeded: boolean;
  /** etcd's, when it was carried out. */
  readonly revision: number;
}

export interface EtcdWatchHandlers {
  /** Changes of one revision or more, in order. */
  onChanges(changes: readonly EtcdChange[]): void;
  /** It is over: the connection went, or what comes next was compacted. */
  onEnd(reason: Error): void;
}

export const NO_LEASE = '0';

type Policy = NonNullable<NonNullable<IOptions['faultHandling']>['global']>;

/** E2 */
const ONCE = {
  execute: async (call: (context: { readonly signal: AbortSignal }) => unknown) =>
    await call({ signal: NEVER_ABORTED }),
} as unknown as Policy;
const NEVER_ABORTED = new AbortController().signal;

type WatchStream = Awaited<ReturnType<Etcd3['watchClient']['watch']>>;
type KeepAliveStream = ReturnType<Etcd3['leaseClient']['leaseKeepAlive']>;

export class EtcdConnection {
  readonly #client: Etcd3;
  readonly #clock: Clock;
  readonly #renewals = new Map<string, { resolve(ttlMs: number): void; reject(reason: Error): void }[]>();
  #keepAlive: KeepAliveStream | undefined;

  constructor(endpoints: readonly string[], clock: Clock = systemClock) {
    const etcd3 = requirePackage('etcd3') as typeof import('etcd3');
    this.#clock = clock;
    this.#client = new etcd3.Etcd3({
      hosts: [...endpoints],
      faultHandling: { global: ONCE, host: () => ONCE },
      defaultCallOptions: (context) => (context.isStream ? {} : { deadline: clock.wallMs() + CALL_MS_MAX }),
      dialTimeout: CALL_MS_MAX,
    });
  }

  close(): void {
    for (const waiting of this.#renewals.values())
      for (const { reject } of waiting) reject(unavailable(new Error('closed')));
    this.#renewals.clear();
    void this.#keepAlive?.then((stream) => stream.end()).catch(() => undefined);
    this.#client.close();
  }

  /** Linearizable. @returns etcd's revision */
  async revision(key: string): Promise<number> {
    const { header } = await this.#read(() => this.#client.kv.range({ key: Buffer.from(key), count_only: true }));
    return Number(header.revision);
  }

  /** Everything that begins with `prefix`, as of one revision. @throws PlatformError STORE_UNAVAILABLE */
  async load(prefix: string, onEntry: (entry: EtcdEntry) => void): Promise<number> {
    const end = Buffer.from(endOf(prefix));
    let key = Buffer.from(prefix);
    let revision = 0;
    for (;;) {
      const page = await this.#read(() =>
        this.#client.kv.range({ key, range_end: end, limit: PAGE_KEYS, ...(revision === 0 ? {} : { revision }) }),
      );
      if (revision === 0) revision = Number(page.header.revision);
      for (const kv of page.kvs) onEntry(entryOf(kv));
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) return revision;
      key = Buffer.concat([last.key, Buffer.from([0])]);
    }
  }

  /** @throws PlatformError OUTCOME_UNKNOWN (E1) */
  async txn(compare: readonly EtcdCompare[], success: readonly EtcdOp[]): Promise<EtcdTxn> {
    const request = {
      compare: compare.map(({ key, modRevision, isRange }) => ({
        key: Buffer.from(key),
        target: 'Mod' as const,
        result: 'Equal' as const,
        mod_revision: modRevision,
        ...(isRange === true ? { range_end: Buffer.from(endOf(key)) } : {}),
      })),
      success: success.map(opOf),
    };
    try {
      const { succeeded, header } = await this.#tried(() => this.#client.kv.txn(request), wasNotSent);
      return { succeeded, revision: Number(header.revision) };
    } catch (thrown) {
      throw unknownOutcome(thrown);
    }
  }

  /** @returns what etcd grants, which has a minimum, in whole seconds */
  async grantLease(id: string, ttlMs: number): Promise<number> {
    const request = { ID: id, TTL: Math.max(1, Math.ceil(ttlMs / 1_000)) };
    try {
      const { TTL } = await this.#tried(() => this.#client.leaseClient.leaseGrant(request), wasNotSent);
      return Number(TTL) * 1_000;
    } catch (thrown) {
      throw unavailable(thrown); // a lease that nobody uses ends by itself
    }
  }

  /** @returns ms from now; 0: there is no such lease any more */
  renewLease(id: string): Promise<number> {
    return new Promise((resolve, reject) => {
      const waiting = this.#renewals.get(id) ?? [];
      waiting.push({ resolve, reject });
      this.#renewals.set(id, waiting);
      this.#keepAlives()
        .then((stream) => stream.write({ ID: id }))
        .catch((thrown: unknown) => this.#onKeepAliveEnd(thrown));
    });
  }

  async revokeLease(id: string): Promise<void> {
    try {
      await this.#tried(() => this.#client.leaseClient.leaseRevoke({ ID: id }), wasNotSent);
    } catch (thrown) {
      if (!/not found/i.test((thrown as Error).message)) throw unknownOutcome(thrown);
    }
  }

  /**
   * Changes of everything that begins with `prefix`, after a revision; ends once, and does not begin again by itself (E3).
   */
  watch(prefix: string, afterRevision: number, handlers: EtcdWatchHandlers): { close(): void } {
    let stream: WatchStream | undefined;
    let isOpen = true;
    const close = (): void => {
      isOpen = false;
      created.cancel();
      stream?.end(); // or etcd3 would take its cancelling for a failure of the node
      stream?.cancel();
    };
    const end = (reason: unknown): void => {
      if (!isOpen) return;
      close();
      handlers.onEnd(reason instanceof Error ? reason : new Error(String(reason)));
    };
    const created = this.#clock.after(CALL_MS_MAX, () => end(new Error('etcd did not begin the watch in time')));
    const onResponse = (response: IWatchResponse): void => {
      if (!isOpen) return;
      created.cancel();
      if (response.canceled) end(cancelled(response));
      else if (response.events.length > 0) handlers.onChanges(response.events.map(changeOf));
    };
    this.#client.watchClient
      .watch()
      .then((opened) => {
        stream = opened;
        opened.on('data', onResponse);
        opened.on('error', end);
        opened.on('end', () => end(new Error('the watch ended')));
        if (!isOpen) return close();
        opened.write({ create_request: watchRequest(prefix, afterRevision) });
      })
      .catch(end);
    return { close };
  }

  /** One stream for all leases. */
  #keepAlives(): KeepAliveStream {
    if (this.#keepAlive !== undefined) return this.#keepAlive;
    const opening = this.#client.leaseClient.leaseKeepAlive();
    this.#keepAlive = opening;
    opening
      .then((stream) => {
        stream.on('data', ({ ID, TTL }) => {
          const waiting = this.#renewals.get(ID) ?? [];
          this.#renewals.delete(ID);
          for (const { resolve } of waiting) resolve(Number(TTL) * 1_000);
        });
        stream.on('error', (thrown: unknown) => this.#onKeepAliveEnd(thrown));
        stream.on('end', () => this.#onKeepAliveEnd(new Error('the stream ended')));
      })
      .catch((thrown: unknown) => this.#onKeepAliveEnd(thrown));
    return opening;
  }

  #onKeepAliveEnd(thrown: unknown): void {
    this.#keepAlive = undefined;
    const waiting = [...this.#renewals.values()].flat();
    this.#renewals.clear();
    for (const { reject } of waiting) reject(unavailable(thrown));
  }

  async #read<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await this.#tried(call, isPassing);
    } catch (thrown) {
      throw unavailable(thrown);
    }
  }

  /** E2 */
  async #tried<T>(call: () => Promise<T>, mayRepeat: (thrown: unknown) => boolean): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await call();
      } catch (thrown) {
        if (tries === TRIES_MAX || !mayRepeat(thrown)) throw thrown;
      }
      await this.#clock.sleep(AGAIN_AFTER_MS * tries);
    }
  }
}

/** There was no connection to send it over. */
function wasNotSent(thrown: unknown): boolean {
  return /No connection established/.test((thrown as Error).message);
}

/** Another node, or the same one in a moment, may answer. A call that took its whole time is not made again. */
function isPassing(thrown: unknown): boolean {
  const { name, message } = thrown as Error;
  return /UNAVAILABLE|Unavailable/.test(`${name} ${message}`) || /leader/.test(message);
}

function opOf(op: EtcdOp) {
  const key = Buffer.from(op.key);
  if (op.kind === 'put') return { request_put: { key, value: Buffer.from(op.value), lease: op.lease } };
  return { request_delete_range: op.isRange === true ? { key, range_end: Buffer.from(endOf(op.key)) } : { key } };
}

function watchRequest(prefix: string, afterRevision: number) {
  const range = { key: Buffer.from(prefix), range_end: Buffer.from(endOf(prefix)) };
  return { ...range, start_revision: String(afterRevision + 1) };
}

/** What was compacted is said so: whoever follows has to read all anew. */
function cancelled({ compact_revision, cancel_reason }: IWatchResponse): Error {
  const isCompacted = Number(compact_revision) > 0;
  return new Error(isCompacted ? `changes up to revision ${compact_revision} were compacted` : cancel_reason);
}

function changeOf({ type, kv }: IEvent): EtcdChange {
  return { kind: type === 'Put' ? 'put' : 'delete', entry: entryOf(kv) };
}

function entryOf(kv: IKeyValue): EtcdEntry {
  return {
    key: kv.key.toString('utf8'),
    value: kv.value.toString('utf8'),
    createRevision: Number(kv.create_revision),
    modRevision: Number(kv.mod_revision),
    version: Number(kv.version),
  };
}

/** First key behind all that begin with an ASCII prefix. */
function endOf(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

function unavailable(thrown: unknown): PlatformError {
  const detail = `etcd does not answer: ${(thrown as Error).message}. Nothing was changed; look at its endpoints`;
  return new PlatformError('STORE_UNAVAILABLE', detail, { cause: thrown });
}

function unknownOutcome(thrown: unknown): PlatformError {
  const { message } = thrown as Error;
  if (wasNotSent(thrown)) return unavailable(thrown); // E1
  if (/too large|too many operations|request is too large/i.test(message))
    return new PlatformError('PARK_VALUE_TOO_LARGE', `etcd refused the transaction: ${message}. Split it`);
  const detail = `etcd did not answer: ${message}. It may have been done: read before you write again`;
  return new PlatformError('OUTCOME_UNKNOWN', detail, { cause: thrown });
}
