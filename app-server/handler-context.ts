/**
 * The `ctx` of one running handler. Made for every request, so everything that most handlers never look at is made
 * when it is first looked at.
 *
 * C1: once the request has been answered for the handler (deadline, cancel), its database takes no new statements.
 * C2: a database error that the handler never awaited must not end the process as an unhandled rejection.
 * C3: the n-th write of a request always has the same id: the request's (or its Idempotency-Key's), then `.1`, `.2`, …
 */
import { createHash } from 'node:crypto';
import type { ReplicatedStore, Row, SqlValue, WriteTransaction } from '../db/replicated-store.ts';
import type { Clock } from '../shared/clock.ts';
import { PlatformError } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import type { Park } from '../shared/park/park.ts';
import type { RouteBinding } from './handler-registry.ts';
import type { Context, ServiceDatabase, WriteOptions } from './sdk/context.ts';

/** What handlers use of the store. */
export type StoreDoor = Pick<ReplicatedStore, 'read' | 'write'>;

/** One request, made by app-pipeline.ts; plain fields. */
export interface IncomingRequest {
  /** The platform's own id, as text; the same on its retries. */
  readonly requestId: string;
  readonly account: string;
  readonly bucket: number;
  readonly method: string;
  /** Path and query as sent, percent-encoded. */
  readonly target: string;
  /** `name:value\n` lines, names in lower case. */
  readonly headerBlock: string;
  readonly body: Uint8Array;
  /** On the clock's `nowMs()`. */
  readonly deadlineAtMs: number;
  /** '' when none. */
  readonly traceparent: string;
  /** Time spent in `ctx.db`, summed by the runner; calls that overlap count each. */
  dbMicros: number;
  /** Set by the runner while a handler runs; called when the client went away or the server stops waiting. */
  onCancel: (() => void) | null;
}

/** Opens the park when `park` is read first. */
export interface ParkDoor {
  readonly park: Park;
}

/** What all requests of a server share. */
export interface HandlerEnvironment {
  readonly store: StoreDoor;
  readonly park: ParkDoor;
  readonly clock: Clock;
  readonly log: Logger;
}

const IDEMPOTENCY_KEY = /^[\x20-\x7e]{1,255}$/;

/** @returns a header's value, repeated ones joined by ', '; undefined when absent */
export function headerValue(headerBlock: string, name: string): string | undefined {
  const start = `${name.toLowerCase()}:`;
  let found: string | undefined;
  for (let lineAt = 0; lineAt < headerBlock.length; ) {
    const newlineAt = headerBlock.indexOf('\n', lineAt);
    const lineEnd = newlineAt === -1 ? headerBlock.length : newlineAt;
    if (headerBlock.startsWith(start, lineAt)) {
      const value = headerBlock.slice(lineAt + start.length, lineEnd).trim();
      found = found === undefined ? value : `${found}, ${value}`;
    }
    lineAt = lineEnd + 1;
  }
  return found;
}

/** Id of a client's own idempotent write: the same account, route and key are the same write. */
export function idempotentWriteId(account: string, label: string, key: string): string {
  // Neither a route nor a printable key holds a line break, so no two triples make the same text.
  return `k:${createHash('sha256').update(`${account}\n${label}\n${key}`).digest('hex')}`;
}

/** Tells a repeated request from another one under the same key. */
export function requestFingerprint(request: IncomingRequest): string {
  return createHash('sha256').update(`${request.method}\n${request.target}\n`).update(request.body).digest('hex');
}

function ignore(): void {}

export class HandlerContext implements Context {
  readonly #environment: HandlerEnvironment;
  readonly #binding: RouteBinding;
  readonly #request: IncomingRequest;
  #ended: PlatformError | undefined;
  #abort: AbortController | undefined;
  #log: Logger | undefined;
  #db: ServiceDatabase | undefined;

  constructor(environment: HandlerEnvironment, binding: RouteBinding, request: IncomingRequest) {
    this.#environment = environment;
    this.#binding = binding;
    this.#request = request;
  }

  get account(): string {
    return this.#request.account;
  }

  get bucket(): number {
    return this.#request.bucket;
  }

  get requestId(): string {
    return this.#request.requestId;
  }

  get traceparent(): string {
    return this.#request.traceparent;
  }

  get method(): string {
    return this.#request.method;
  }

  get path(): string {
    const { target } = this.#request;
    const question = target.indexOf('?');
    return question === -1 ? target : target.slice(0, question);
  }

  header(name: string): string | undefined {
    return headerValue(this.#request.headerBlock, name);
  }

  get deadlineMs(): number {
    return Math.max(0, this.#request.deadlineAtMs - this.#environment.clock.nowMs());
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#ended !== undefined) this.#abort.abort(this.#ended);
    }
    return this.#abort.signal;
  }

  get log(): Logger {
    this.#log ??= this.#environment.log.child({
      requestId: this.requestId,
      account: this.account,
      service: this.#binding.service,
    });
    return this.#log;
  }

  get db(): ServiceDatabase {
    this.#db ??= new HandlerDatabase(this.#environment, this.#binding, this.#request, () => this.#ended);
    return this.#db;
  }

  get park(): Park {
    return this.#environment.park.park;
  }

  /** For the runner: the request was answered without the handler. C1 */
  end(reason: PlatformError): void {
    this.#ended = reason;
    this.#abort?.abort(reason);
  }
}

class HandlerDatabase implements ServiceDatabase {
  readonly #environment: HandlerEnvironment;
  readonly #binding: RouteBinding;
  readonly #request: IncomingRequest;
  readonly #endedBy: () => PlatformError | undefined;
  #writes = 0;
  #writeId = '';
  #fingerprint = '';

  constructor(
    environment: HandlerEnvironment,
    binding: RouteBinding,
    request: IncomingRequest,
    endedBy: () => PlatformError | undefined,
  ) {
    this.#environment = environment;
    this.#binding = binding;
    this.#request = request;
    this.#endedBy = endedBy;
  }

  read(sql: string, params: readonly SqlValue[] = []): Promise<Row[]> {
    return this.#timed(() => this.#environment.store.read(sql, params, this.#request.deadlineAtMs));
  }

  write<T>(run: (tx: WriteTransaction) => Promise<T>, options: WriteOptions = {}): Promise<T> {
    return this.#timed(async () => {
      const request = {
        requestId: this.#nextWriteId(),
        fingerprint: this.#fingerprint,
        account: this.#request.account,
        bucket: this.#request.bucket,
        deadlineAtMs: this.#request.deadlineAtMs,
        fence: options.fence,
      };
      // The stored value is JSON, which has no `undefined`: a `run` that returns nothing is stored as null.
      const stored = async (tx: WriteTransaction): Promise<T> => (await run(tx)) ?? (null as T);
      return (await this.#environment.store.write(request, stored)).value;
    });
  }

  #nextWriteId(): string {
    if (this.#writes === 0) {
      this.#writeId = this.#firstWriteId();
      this.#fingerprint = requestFingerprint(this.#request);
    }
    const nth = this.#writes;
    this.#writes += 1;
    return nth === 0 ? this.#writeId : `${this.#writeId}.${nth}`; // C3
  }

  #firstWriteId(): string {
    const key = headerValue(this.#request.headerBlock, 'idempotency-key');
    if (key === undefined) return this.#request.requestId;
    if (IDEMPOTENCY_KEY.test(key)) return idempotentWriteId(this.#request.account, this.#binding.label, key);
    const expected = 'Idempotency-Key to be 1..255 printable ASCII characters';
    throw new PlatformError('IDEMPOTENCY_KEY_INVALID', `expected ${expected}, got ${key.length} characters`);
  }

  #timed<T>(run: () => Promise<T>): Promise<T> {
    const ended = this.#endedBy();
    const promise = ended === undefined ? this.#measured(run) : Promise.reject(ended); // C1
    promise.catch(ignore); // C2
    return promise;
  }

  async #measured<T>(run: () => Promise<T>): Promise<T> {
    const startedAtMs = this.#environment.clock.nowMs();
    try {
      return await run();
    } finally {
      this.#request.dbMicros += Math.round((this.#environment.clock.nowMs() - startedAtMs) * 1000);
    }
  }
}
