/**
 * The park for whoever is not its store: turns calls into requests and answers into values. What waits is in
 * park-calls.ts, the session in park-session-keeper.ts, watches in park-watches.ts; the channel goes to a coordinator.
 *
 * Every write is done by this client's session, which the first write opens: so it may delete the domains it makes, and
 * change what it made read-only, for as long as it lives. Reads and watches need none.
 */
import { type Clock, systemClock } from '../clock.ts';
import { PlatformError } from '../errors.ts';
import { type Logger, silentLogger } from '../log.ts';
import type {
  CreateOptions,
  Park,
  ParkChange,
  ParkEntry,
  ParkSession,
  ParkWatch,
  Transaction,
  TransactionWrite,
  WatchOptions,
  Written,
} from './park.ts';
import { readDomainsAnswer, readGetAnswer, readListAnswer, readWriteAnswer, type WriteAnswer } from './park-answers.ts';
import { ParkCalls } from './park-calls.ts';
import type { ParkChannel } from './park-channel.ts';
import {
  type DomainSummary,
  NAME_PATTERN,
  PARK_LIMITS,
  type ParkEvent,
  type ParkNode,
  type ParkWrite,
} from './park-model.ts';
import { requireSendable, SESSION_NAME_CHARS_MAX } from './park-protocol.ts';
import { SessionKeeper } from './park-session-keeper.ts';
import { ParkWatches } from './park-watches.ts';

/** Of one client; each is a map entry here and a watch in the store. */
export const CLIENT_WATCHES_MAX = 10_000;

export const CALL_TIMEOUT_MS_DEFAULT = 5_000;
export const SESSION_TTL_MS_DEFAULT = 1_000;

export interface ParkClientOptions {
  /** The client's to close. */
  readonly channel: ParkChannel;
  /** 1..128 visible ASCII characters; shown as the owner of what this client creates. */
  readonly name: string;
  /** PARK_LIMITS.sessionTtlMsMin..Max. */
  readonly sessionTtlMs?: number | undefined;
  /** Each call ends within this time. */
  readonly callTimeoutMs?: number | undefined;
  /** Writes look at no access rights; coordinators allow it to role `tool`. */
  readonly force?: boolean | undefined;
  readonly clock?: Clock | undefined;
  readonly log?: Logger | undefined;
}

export class ParkClient implements Park {
  readonly #channel: ParkChannel;
  readonly #calls: ParkCalls;
  readonly #session: SessionKeeper;
  readonly #watches: ParkWatches;
  readonly #force: boolean;
  #closed = false;

  constructor(options: ParkClientOptions) {
    const { channel, name, clock = systemClock, log = silentLogger } = options;
    if (name.length > SESSION_NAME_CHARS_MAX || !/^[\x21-\x7e]+$/.test(name))
      throw invalid(`expected a client's name of 1 to ${SESSION_NAME_CHARS_MAX} visible ASCII characters`);
    this.#channel = channel;
    this.#force = options.force ?? false;
    const timeoutMs = options.callTimeoutMs ?? CALL_TIMEOUT_MS_DEFAULT;
    const leave = (why: string): void => this.#calls.leave(why);
    this.#session = new SessionKeeper({
      channel,
      clock,
      log,
      name,
      ttlMs: options.sessionTtlMs ?? SESSION_TTL_MS_DEFAULT,
      timeoutMs,
      onReady: () => this.#calls.pump(),
      onFailed: (error) => this.#calls.failWrites(error),
      leave,
    });
    this.#calls = new ParkCalls({
      channel,
      clock,
      timeoutMs,
      sessionReady: this.#session.ready,
      onSessionUnknown: () => this.#session.onUnknown(),
    });
    this.#watches = new ParkWatches({ channel, clock, log, leave });
  }

  /** Begins to look for a coordinator. Calls may be made before. */
  start(): void {
    this.#channel.start({
      onUp: () => {
        this.#session.onUp();
        this.#watches.onUp();
        this.#calls.pump();
      },
      onDown: () => {
        this.#calls.onDown();
        this.#session.onDown();
        this.#watches.onDown();
      },
      onRoom: () => {
        this.#session.onRoom();
        this.#watches.onRoom();
        this.#calls.pump();
      },
      onEvents: (batches) => this.#watches.onEvents(batches),
      onWatchEnded: (end) => this.#watches.onEnded(end),
    });
  }

  /** Whether a coordinator is there. */
  get connected(): boolean {
    return this.#channel.up;
  }

  /** Calls under way. */
  get callsOpen(): number {
    return this.#calls.length;
  }

  /** Ends the session, so that its ephemeral nodes go at once. Calls under way end with NO_COORDINATOR or OUTCOME_UNKNOWN. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watches.close();
    this.#calls.close();
    this.#session.close();
    this.#channel.close();
  }

  create(domain: string, node: string | undefined, value: unknown, options: CreateOptions = {}): Promise<Written> {
    const { access, ephemeral, ttlMs } = options;
    return this.#writeOne(value, (json) => ({ op: 'create', domain, node, value: json, access, ephemeral, ttlMs }));
  }

  update(
    domain: string,
    node: string,
    value: unknown,
    options: { readonly ifVersion?: number | undefined } = {},
  ): Promise<Written> {
    const { ifVersion } = options;
    return this.#writeOne(value, (json) => ({ op: 'update', domain, node, value: json, ifVersion }));
  }

  put(
    domain: string,
    node: string,
    value: unknown,
    options: { readonly ifVersion?: number | undefined } & CreateOptions = {},
  ): Promise<Written> {
    const { ifVersion, access, ttlMs, ephemeral } = options;
    if (ephemeral === true)
      return Promise.reject(invalid('expected put without ephemeral, as it may find a node: use create'));
    return this.#writeOne(value, (json) => ({ op: 'put', domain, node, value: json, ifVersion, access, ttlMs }));
  }

  async get(domain: string, node: string): Promise<ParkEntry | undefined> {
    return this.getLatest(domain, node, 0);
  }

  async getLatest(domain: string, node: string, seen: number): Promise<ParkEntry | undefined> {
    const answer = await this.#calls.call({ op: 'get', domain, node, seen }, readGetAnswer);
    return answer.node === undefined ? undefined : entryOf(answer.node);
  }

  async getDomain(domain: string): Promise<readonly ParkEntry[]> {
    return (await this.#list(domain, 0))?.entries ?? [];
  }

  /** A domain that is gone is told as one without nodes. Past PARK_LIMITS.listNodesMax nodes it is read in parts. */
  getLatestDomain(
    domain: string,
    seen: number,
  ): Promise<{ readonly revision: number; readonly entries: readonly ParkEntry[] } | undefined> {
    return this.#list(domain, seen);
  }

  async domains(prefix = ''): Promise<readonly DomainSummary[]> {
    const all: DomainSummary[] = [];
    for (let after = ''; ; after = all.at(-1)?.domain ?? '') {
      const some = await this.#calls.call({ op: 'domains', prefix, after }, readDomainsAnswer);
      for (const one of some) all.push(one);
      if (some.length < PARK_LIMITS.listNodesMax) return all;
    }
  }

  async delete(domain: string, node: string, options: { readonly ifVersion?: number | undefined } = {}): Promise<void> {
    await this.#write([{ op: 'delete', domain, node, ifVersion: options.ifVersion }], readWriteAnswer);
  }

  async deleteDomain(domain: string): Promise<void> {
    await this.#write([{ op: 'delete-domain', domain }], readWriteAnswer);
  }

  async setDeletable(domain: string): Promise<void> {
    await this.#write([{ op: 'set-deletable', domain }], readWriteAnswer);
  }

  async transact(transaction: Transaction): Promise<{ readonly revision: number; readonly nodes: readonly string[] }> {
    const writes = transaction.writes.map(plainWrite);
    const { revision, nodes } = await this.#write(writes, readWriteAnswer, transaction.checks);
    return { revision, nodes };
  }

  /** @throws PlatformError PARK_REQUEST_INVALID for a name that none can have, PARK_LIMIT past CLIENT_WATCHES_MAX */
  watch(domain: string, listener: (change: ParkChange) => unknown, options: WatchOptions = {}): ParkWatch {
    const { node, afterRevision = 0 } = options;
    for (const name of node === undefined ? [domain] : [domain, node]) {
      if (!NAME_PATTERN.test(name)) throw invalid(`expected the name of a domain or node, got "${name.slice(0, 64)}"`);
    }
    if (this.#closed) throw new PlatformError('NO_COORDINATOR', 'this client of the park has been closed');
    if (this.#watches.size >= CLIENT_WATCHES_MAX)
      throw new PlatformError('PARK_LIMIT', `expected at most ${CLIENT_WATCHES_MAX} watches of one client: close some`);
    return this.#watches.watch({
      domain,
      node: node ?? '',
      afterRevision,
      listener: (event) => listener(changeOf(event)),
    });
  }

  session(): Promise<ParkSession> {
    return this.#session.session();
  }

  #writeOne(value: unknown, writeOf: (json: string) => ParkWrite): Promise<Written> {
    let write: ParkWrite;
    try {
      write = writeOf(jsonOf(value));
    } catch (thrown) {
      return Promise.reject(thrown as Error);
    }
    return this.#write([write], readWritten);
  }

  #write<T>(writes: readonly ParkWrite[], read: (value: unknown) => T, checks?: Transaction['checks']): Promise<T> {
    const force = this.#force ? true : undefined;
    return this.#calls.call({ op: 'write', writes, checks, force }, read);
  }

  async #list(
    domain: string,
    seen: number,
  ): Promise<{ readonly revision: number; readonly entries: readonly ParkEntry[] } | undefined> {
    const entries: ParkEntry[] = [];
    let revision: number | undefined;
    for (let after = ''; ; ) {
      const answer = await this.#calls.call({ op: 'list', domain, after, seen }, readListAnswer);
      if (answer.unchanged === true) return undefined;
      revision ??= answer.revision; // the first part's: what changes while the others are read counts as not seen
      for (const node of answer.nodes) entries.push(entryOf(node));
      if (answer.next === '') return { revision, entries };
      after = answer.next;
    }
  }
}

function readWritten(value: unknown): Written {
  const { revision, nodes, versions }: WriteAnswer = readWriteAnswer(value);
  const [node] = nodes;
  const [version] = versions;
  if (node === undefined || version === undefined)
    throw new PlatformError('LINK_FRAME_INVALID', 'expected the outcome of one write, got none');
  return { node, version, revision };
}

function plainWrite(write: TransactionWrite): ParkWrite {
  if (write.op === 'delete') return write;
  return { ...write, value: jsonOf(write.value) };
}

function entryOf(node: ParkNode): ParkEntry {
  return { ...node, value: JSON.parse(node.value) };
}

function changeOf(event: ParkEvent): ParkChange {
  switch (event.kind) {
    case 'put':
      return { kind: 'put', revision: event.revision, entry: entryOf(event.node) };
    case 'removed':
      return event;
    case 'content':
      return { kind: 'content', revision: event.revision, entries: event.nodes.map(entryOf) };
  }
}

/** @throws PlatformError PARK_REQUEST_INVALID, PARK_VALUE_TOO_LARGE */
function jsonOf(value: unknown): string {
  let json: string | undefined;
  try {
    json = JSON.stringify(value);
  } catch (cause) {
    throw new PlatformError('PARK_REQUEST_INVALID', 'expected a value that JSON can hold', { cause });
  }
  if (json === undefined) throw invalid(`expected a value that JSON can hold, got ${typeof value}`);
  requireSendable(json);
  return json;
}

function invalid(detail: string): PlatformError {
  return new PlatformError('PARK_REQUEST_INVALID', detail);
}
