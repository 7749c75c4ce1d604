/**
 * What a client of the park and a coordinator tell each other over a link (PROTOCOL.md, "The park"): requests in REQUEST
 * frames, answers in REPLY and ERROR frames, events of watches in notices. All payloads are JSON. This file is the
 * coordinator's side of reading; park-answers.ts is the client's.
 *
 * P1: what comes from a peer has been looked at, field by field, before anybody acts on it. Values are JSON.
 * P2: writes come by the hundred thousand a second: they are checked by hand, and nothing is copied.
 */
import { z } from 'zod';
import { errorCodeOfWire, PlatformError } from '../errors.ts';
import { checkSchema } from '../schema-check.ts';
import { PARK_LIMITS, type ParkCheck, type ParkEvent, type ParkWrite } from './park-model.ts';

export type WriteRequest = {
  readonly op: 'write';
  readonly writes: readonly ParkWrite[];
  readonly checks?: readonly ParkCheck[] | undefined;
  /** Access rights are not looked at. Links of role `tool` only. */
  readonly force?: boolean | undefined;
};

export type ParkRequest =
  | WriteRequest
  /** `seen`: a node whose modRevision is no greater is not sent. */
  | { readonly op: 'get'; readonly domain: string; readonly node: string; readonly seen: number }
  /** `seen`: not sent when the domain has not changed after that revision; 0: sent. */
  | { readonly op: 'list'; readonly domain: string; readonly after: string; readonly seen: number }
  | { readonly op: 'domains'; readonly prefix: string; readonly after: string }
  /** From now on the link's writes are this session's. */
  | { readonly op: 'open-session'; readonly name: string; readonly ttlMs: number }
  /** The same, of a session that is open already. */
  | { readonly op: 'renew-session'; readonly id: string }
  | { readonly op: 'end-session'; readonly id: string }
  /** `watch`: the client's own number for it, none that is open on this link. */
  | {
      readonly op: 'watch';
      readonly watch: number;
      readonly domain: string;
      readonly node: string;
      readonly after: number;
    }
  | { readonly op: 'unwatch'; readonly watch: number };

export const PARK_TOPIC = {
  /** coordinator → client: EventBatch[] */
  events: 'park.events',
  /** coordinator → client: WatchEnd */
  ended: 'park.watch-ended',
  /** client → coordinator: { count }: so many more notices about events were taken up */
  heard: 'park.heard',
} as const;

export interface EventBatch {
  readonly watch: number;
  readonly events: readonly ParkEvent[];
  /** All events up to and with this revision have been sent; later ones in the batch are not complete yet. */
  readonly upTo: number;
}

export interface WatchEnd {
  readonly watch: number;
  readonly reason: PlatformError;
}

export const SESSION_NAME_CHARS_MAX = 128;
const SESSION_ID = /^[0-9a-f]{32}$/;

/** Longest request: the largest value, every byte of it escaped, fits twice. Every link takes frames of this size. */
export const PARK_REQUEST_BYTES_MAX = 4 * 1024 * 1024;

const revision = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const watchNumber = z.int().min(1).max(Number.MAX_SAFE_INTEGER);
/** Of names the store says more than that they are too long. */
const name = z.string().max(PARK_LIMITS.nameCharsMax * 2);
const id = z.string().regex(SESSION_ID, 'expected 32 hex digits');

const requestSchema = z.discriminatedUnion('op', [
  z.object({ op: z.literal('get'), domain: name, node: name, seen: revision }),
  z.object({ op: z.literal('list'), domain: name, after: name, seen: revision }),
  z.object({ op: z.literal('domains'), prefix: name, after: name }),
  z.object({
    op: z.literal('open-session'),
    name: z.string().regex(/^[\x21-\x7e]{1,128}$/, `expected 1 to ${SESSION_NAME_CHARS_MAX} visible ASCII characters`),
    ttlMs: z.int().min(PARK_LIMITS.sessionTtlMsMin).max(PARK_LIMITS.sessionTtlMsMax),
  }),
  z.object({ op: z.literal('renew-session'), id }),
  z.object({ op: z.literal('end-session'), id }),
  z.object({ op: z.literal('watch'), watch: watchNumber, domain: name, node: name, after: revision }),
  z.object({ op: z.literal('unwatch'), watch: watchNumber }),
]);

const heardSchema = z.object({ count: z.int().min(1).max(1_000_000) });
const endSchema = z.object({ watch: watchNumber, code: z.int().min(0).max(65_535), detail: z.string().max(1_000) });

/** @param text payload of a REQUEST @throws PlatformError PARK_REQUEST_INVALID */
export function readParkRequest(text: string): ParkRequest {
  const request = jsonOf(text);
  if (isRecord(request) && request['op'] === 'write') return readWrite(request); // P2
  const parsed = checkSchema(requestSchema, request); // P1
  if (parsed?.success === true) return parsed.data;
  const issue = parsed?.error.issues[0];
  const where =
    issue === undefined || issue.path.length === 0 ? 'as a whole' : `at ${issue.path.map(String).join('.')}`;
  throw invalid(`expected a request of the park; ${where}: ${(issue?.message ?? 'not one').slice(0, 200)}`);
}

/** @throws PlatformError LINK_FRAME_INVALID */
export function readHeard(value: unknown): number {
  const parsed = checkSchema(heardSchema, value);
  if (parsed?.success === true) return parsed.data.count;
  throw new PlatformError('LINK_FRAME_INVALID', 'expected { count } of notices heard, got something else');
}

export function writeWatchEnd(watch: number, reason: PlatformError, wire: number): unknown {
  return { watch, code: wire, detail: reason.detail.slice(0, 1_000) };
}

/** @throws PlatformError LINK_FRAME_INVALID */
export function readWatchEnd(value: unknown): WatchEnd {
  const parsed = checkSchema(endSchema, value);
  if (parsed?.success !== true)
    throw new PlatformError('LINK_FRAME_INVALID', 'expected the end of a watch, got something else');
  const { watch, code, detail } = parsed.data;
  return { watch, reason: new PlatformError(errorCodeOfWire(code), detail) };
}

/** P1, P2 */
function readWrite(request: Readonly<Record<string, unknown>>): WriteRequest {
  const { writes, checks, force } = request;
  if (!Array.isArray(writes)) throw invalid('expected a list of writes');
  for (const write of writes) requireWrite(write);
  if (checks !== undefined) {
    if (!Array.isArray(checks)) throw invalid('expected a list of checks');
    for (const check of checks) requireCheck(check);
  }
  if (force !== undefined && typeof force !== 'boolean') throw invalid('expected force to be true or false');
  return request as unknown as WriteRequest;
}

function requireWrite(write: unknown): void {
  if (!isRecord(write)) throw invalid('expected each write to be an object');
  const { op, domain, node, value, ifVersion } = write;
  if (typeof domain !== 'string') throw invalid('expected the domain of a write to be text');
  if (op === 'delete-domain' || op === 'set-deletable') return;
  if (typeof node !== 'string' && !(op === 'create' && node === undefined))
    throw invalid('expected the node of a write to be text');
  if (ifVersion !== undefined && !isCount(ifVersion)) throw invalid('expected ifVersion to be a version, or absent');
  if (op === 'delete') return;
  if (op !== 'create' && op !== 'update' && op !== 'put')
    throw invalid('expected op create, update, put, delete, delete-domain or set-deletable');
  requireJson(value);
  if (op !== 'update') requireCreation(write);
}

function requireCreation({ access, ephemeral, ttlMs }: Readonly<Record<string, unknown>>): void {
  if (access !== undefined && typeof access !== 'string') throw invalid('expected access to be text');
  if (ephemeral !== undefined && typeof ephemeral !== 'boolean')
    throw invalid('expected ephemeral to be true or false');
  if (ttlMs !== undefined && !isCount(ttlMs)) throw invalid('expected ttlMs to be whole milliseconds');
}

function requireCheck(check: unknown): void {
  if (isRecord(check)) {
    const { domain, node, version, revision } = check;
    const isOne = version === undefined ? isCount(revision) : isCount(version) && revision === undefined;
    if (typeof domain === 'string' && typeof node === 'string' && isOne) return;
  }
  throw invalid('expected each check to have a domain, a node, and a version or a revision');
}

/** @throws PlatformError PARK_REQUEST_INVALID, PARK_VALUE_TOO_LARGE */
export function requireJson(value: unknown): asserts value is string {
  if (typeof value !== 'string') throw invalid('expected a value, as the text of its JSON');
  requireSendable(value);
  try {
    JSON.parse(value);
  } catch {
    throw invalid(`expected a value that is JSON, got ${JSON.stringify(value.slice(0, 64))}`);
  }
}

/** Values that are surely too large, seen before they are sent or read. @throws PlatformError PARK_VALUE_TOO_LARGE */
export function requireSendable(json: string): void {
  if (json.length <= PARK_LIMITS.valueBytesMax) return;
  const detail = `expected a value of at most ${PARK_LIMITS.valueBytesMax} bytes of JSON, got more: keep what is large elsewhere, and its address here`;
  throw new PlatformError('PARK_VALUE_TOO_LARGE', detail);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid('expected a request that is JSON');
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A version, a revision, a duration. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function invalid(detail: string): PlatformError {
  return new PlatformError('PARK_REQUEST_INVALID', detail);
}
