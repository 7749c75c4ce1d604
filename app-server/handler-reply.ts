/**
 * Turns what a handler returned into the status, header lines and body that go back to the edge.
 *
 * BigInts become numbers where those are exact (up to ±(2^53 - 1)) and decimal strings past it: a number that a
 * client's JSON parser would round is worse than one it must read as text.
 */
import { PlatformError } from '../shared/errors.ts';
import { describeIssues, shown } from './handler-input.ts';
import { RawReply, Reply } from './sdk/reply.ts';
import { JSON_HEADERS } from './sdk/reply-headers.ts';
import type { RouteDefinition } from './sdk/service-definition.ts';

export interface HandlerReply {
  readonly status: number;
  /** Checked `name: value\r\n` lines, names in lower case, content-type included. */
  readonly headers: string;
  readonly body: Uint8Array | string;
}

/** UTF-8 takes at most this many bytes for one UTF-16 unit. */
const UTF8_BYTES_PER_UNIT_MAX = 3;

/**
 * @throws PlatformError REPLY_INVALID, REPLY_TOO_LARGE; or the problem that the handler returned
 */
export function handlerReply(route: RouteDefinition, result: unknown, replyBytesMax: number): HandlerReply {
  const reply = result instanceof RawReply ? result : jsonReply(route, result);
  const bytes = bodyBytes(reply.body, replyBytesMax);
  if (bytes <= replyBytesMax) return reply;
  const fix = 'page the result, or raise limits.replyBytesMax in cluster.yaml';
  throw new PlatformError(
    'REPLY_TOO_LARGE',
    `expected a reply of at most ${replyBytesMax} bytes, got ${bytes}; ${fix}`,
  );
}

/** Exact only where it matters: a short text is not counted byte by byte. */
function bodyBytes(body: Uint8Array | string, replyBytesMax: number): number {
  if (typeof body !== 'string') {
    if (body instanceof Uint8Array) return body.byteLength;
    throw new PlatformError('REPLY_INVALID', `expected rawReply's body to be text or bytes, got ${shown(body)}`);
  }
  return body.length * UTF8_BYTES_PER_UNIT_MAX <= replyBytesMax ? body.length : Buffer.byteLength(body);
}

function jsonReply(route: RouteDefinition, result: unknown): HandlerReply {
  if (result instanceof Reply) {
    if (result.value === undefined) return { status: result.status, headers: result.headers, body: '' };
    const value = result.status < 300 ? checked(route, result.value) : result.value;
    return { status: result.status, headers: result.headers, body: toJson(value) };
  }
  if (result instanceof PlatformError) throw result;
  const value = checked(route, result);
  if (value === undefined) return { status: 204, headers: '', body: '' };
  return { status: 200, headers: JSON_HEADERS, body: toJson(value) };
}

/** What the schema makes of it is what is sent, so that a field it does not name never leaves the server. */
function checked(route: RouteDefinition, value: unknown): unknown {
  if (route.reply === undefined) return value;
  const result = route.reply.safeParse(value);
  if (result.success) return result.data;
  throw new PlatformError('REPLY_INVALID', describeIssues('reply', result.error.issues, value));
}

function toJson(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    // Rarely: a BigInt somewhere. A cycle fails again, and for good.
    try {
      text = JSON.stringify(value, (_key, one: unknown) => (typeof one === 'bigint' ? bigintAsJson(one) : one));
    } catch (thrown) {
      const message = thrown instanceof Error ? thrown.message.slice(0, 200) : shown(thrown);
      throw new PlatformError('REPLY_INVALID', `expected a value that JSON can hold: ${message}`, { cause: thrown });
    }
  }
  if (text !== undefined) return text;
  throw new PlatformError('REPLY_INVALID', `expected a value that JSON can hold, got ${shown(value)}`);
}

function bigintAsJson(value: bigint): number | string {
  const exact = value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER);
  return exact ? Number(value) : value.toString();
}
