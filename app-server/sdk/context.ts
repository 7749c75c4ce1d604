/** What a handler is given: who asks, how long there is, and the account's database. */
import type { Fence, Row, SqlValue, WriteTransaction } from '../../db/replicated-store.ts';
import type { Logger } from '../../shared/log.ts';
import type { Park } from '../../shared/park/park.ts';

export interface WriteOptions {
  /**
   * What this write needs to hold, by the token it was given for it: `{ name: 'locks/nightly', token: lock.token }`.
   * The newest token of each name is kept in the group's database. A write with an older one is refused inside the
   * transaction, before `run` is called, however late it arrives; one with the same or a newer token passes.
   *
   * name: 1..320 printable ASCII characters without spaces; one row is kept for each name ever used, for good.
   * token: a safe integer >= 1. Each group has its own: a new holder shuts the old one out of a group with its first
   * fenced write there.
   */
  readonly fence?: Fence | undefined;
}

export interface ServiceDatabase {
  /**
   * Rows of one SELECT, from the replica that answers soonest. Sees every write acknowledged before it began.
   * Integers come as number when safe, else as bigint.
   * @param params values for the `?` marks, in order
   * @throws PlatformError STATEMENT_FAILED, STORE_UNAVAILABLE, STORE_BUSY, DEADLINE_EXCEEDED
   */
  read(sql: string, params?: readonly SqlValue[]): Promise<Row[]>;

  /**
   * Runs `run` in one transaction on every replica: all of it, or nothing. What `run` throws rolls it back and passes
   * through. Only touch the database in it, and take time, ids and chance from `tx`, as replicas repeat it.
   *
   * One effect: when the same request comes again (the platform's own retry, or a client's with the same
   * `Idempotency-Key`), `run` is not called and the first value is returned. So build the reply from the returned
   * value, not from variables that `run` sets.
   * @returns what `run` returned; it must be JSON, and nothing at all becomes null
   * @throws PlatformError IDEMPOTENCY_KEY_INVALID, IDEMPOTENCY_KEY_REUSED, FENCE_OUTDATED and those of `read`
   */
  write<T>(run: (tx: WriteTransaction) => Promise<T>, options?: WriteOptions): Promise<T>;
}

export interface Context {
  /** Account key that the request was routed by; what the service stores must belong to it. */
  readonly account: string;
  /** Bucket of the account. */
  readonly bucket: number;
  /** The platform's id of this request, the same on its retries; `x-request-id` in the reply. */
  readonly requestId: string;
  /** W3C traceparent, or ''. */
  readonly traceparent: string;
  readonly method: string;
  /** Path as sent: percent-encoded, without the query. */
  readonly path: string;
  /** @returns a request header, repeated ones joined by ', '; undefined when absent. Case does not matter. */
  header(name: string): string | undefined;
  /** Milliseconds left until the deadline; 0 when it has passed. */
  readonly deadlineMs: number;
  /** Aborts when the deadline passes or the client goes away; hand it to whatever can be stopped. */
  readonly signal: AbortSignal;
  /** Writes lines that carry the request id, the account and the service. */
  readonly log: Logger;
  readonly db: ServiceDatabase;
  /**
   * What servers agree on: domains of nodes, watches, and what is built of them (locks, election, …). One client for
   * all handlers of this app server, opened at its first use: so nodes that are ephemeral, and locks, are held by the
   * server and outlive the request; whoever takes one gives it back. At most 8,192 calls wait, and 10,000 watches
   * stay open, of all handlers together.
   *
   * A call ends within 2 s; with no coordinator there, it throws NO_COORDINATOR. A write done while holding something
   * of the park bears its token: `ctx.db.write(run, { fence })`.
   */
  readonly park: Park;
}
