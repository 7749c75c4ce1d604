/** What a handler may answer with, beside a plain value. */
import { PlatformError } from '../../shared/errors.ts';
import { headerLines, JSON_CONTENT_TYPE, type ReplyHeaders } from './reply-headers.ts';

const STATUS_MIN = 200;
const STATUS_MAX = 599;

/** Statuses that by HTTP have no body. */
const BODYLESS: ReadonlySet<number> = new Set([204, 205, 304]);

function checkStatus(status: number): void {
  if (Number.isInteger(status) && status >= STATUS_MIN && status <= STATUS_MAX) return;
  throw new PlatformError('REPLY_INVALID', `expected a status of ${STATUS_MIN}..${STATUS_MAX}, got ${String(status)}`);
}

/** A value to be sent as JSON; made by `reply`. */
export class Reply<T> {
  readonly status: number;
  /** Checked `name: value\r\n` lines. */
  readonly headers: string;
  readonly value: T;

  constructor(status: number, headers: string, value: T) {
    this.status = status;
    this.headers = headers;
    this.value = value;
  }
}

/** Bytes to be sent as they are; made by `rawReply`. */
export class RawReply {
  readonly status: number;
  /** Checked `name: value\r\n` lines. */
  readonly headers: string;
  readonly body: Uint8Array | string;

  constructor(status: number, headers: string, body: Uint8Array | string) {
    this.status = status;
    this.headers = headers;
    this.body = body;
  }
}

/**
 * A JSON reply with a status of its own and, if wanted, headers. BigInts become numbers where those are exact
 * (up to 2^53 - 1) and decimal strings past it.
 * @param value checked against the route's `reply` schema when the status is 2xx; `undefined` for no body
 * @throws PlatformError REPLY_INVALID: a status outside 200..599, a value with 204, 205 or 304, or a bad header
 */
export function reply<T>(status: number, value: T, headers?: ReplyHeaders): Reply<T> {
  checkStatus(status);
  if (value === undefined) return new Reply(status, headerLines('', headers), value);
  if (BODYLESS.has(status)) {
    throw new PlatformError('REPLY_INVALID', `expected no value with status ${status}, which has no body`);
  }
  return new Reply(status, headerLines(JSON_CONTENT_TYPE, headers), value);
}

/**
 * A reply of bytes or text, sent as they are; the route's `reply` schema does not apply.
 * @param contentType e.g. `text/plain; charset=utf-8`; '' for none
 * @param body text is sent as UTF-8
 * @throws PlatformError REPLY_INVALID: a status outside 200..599, a body with 204, 205 or 304, or a bad header
 */
export function rawReply(
  status: number,
  contentType: string,
  body: Uint8Array | string,
  headers?: ReplyHeaders,
): RawReply {
  checkStatus(status);
  if (body.length > 0 && BODYLESS.has(status)) {
    throw new PlatformError('REPLY_INVALID', `expected no body with status ${status}, got ${body.length} of it`);
  }
  return new RawReply(status, headerLines(contentType, headers), body);
}
