/**
 * Turns header names and values that a handler gives into the lines the edge writes, refusing what would let a
 * value break out of its line or contradict what the platform itself writes.
 *
 * H1: what is returned holds only `name: value\r\n` lines: names are lower-case tokens, values hold no CR, LF, NUL or
 *     other control character but tab, and nothing outside Latin-1.
 */
import { PlatformError } from '../../shared/errors.ts';

export type ReplyHeaders = Readonly<Record<string, string | readonly string[]>>;

export const JSON_CONTENT_TYPE = 'application/json';
export const JSON_HEADERS = 'content-type: application/json\r\n';

/** A reply's headers must pass proxies and clients, many of which stop at 8 KiB. */
const HEADER_BYTES_MAX = 8 * 1024;
const HEADER_COUNT_MAX = 64;

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Written by the edge: a second one would contradict it, or make the reply unreadable. */
const RESERVED: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'date',
  'keep-alive',
  'proxy-connection',
  'server-timing',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-group',
  'x-request-id',
  'x-served-by',
]);

function invalid(detail: string): PlatformError {
  return new PlatformError('REPLY_INVALID', detail);
}

function checkValue(name: string, value: unknown): string {
  if (typeof value === 'string' && VALUE.test(value)) return value;
  const got = typeof value === 'string' ? JSON.stringify(value.slice(0, 64)) : typeof value;
  throw invalid(`expected the value of header '${name}' to be Latin-1 text without control characters, got ${got}`);
}

/**
 * @param contentType of the body; an own `content-type` among `headers` takes its place
 * @throws PlatformError REPLY_INVALID
 */
export function headerLines(contentType: string, headers?: ReplyHeaders): string {
  if (headers === undefined && contentType === JSON_CONTENT_TYPE) return JSON_HEADERS;
  let lines = '';
  let count = 0;
  let typed = contentType === '';
  for (const [given, value] of Object.entries(headers ?? {})) {
    if (!TOKEN.test(given)) throw invalid(`expected a header name, got ${JSON.stringify(given.slice(0, 64))}`);
    const name = given.toLowerCase();
    if (RESERVED.has(name)) throw invalid(`header '${name}' is the platform's to write; leave it out of the reply`);
    if (name === 'content-type') typed = true;
    for (const one of Array.isArray(value) ? value : [value]) {
      lines += `${name}: ${checkValue(name, one)}\r\n`; // H1
      count += 1;
    }
  }
  if (!typed) lines = `content-type: ${checkValue('content-type', contentType)}\r\n${lines}`;
  if (count > HEADER_COUNT_MAX || lines.length > HEADER_BYTES_MAX) {
    const limit = `${HEADER_COUNT_MAX} headers of together ${HEADER_BYTES_MAX} bytes`;
    throw invalid(`expected at most ${limit}, got ${count} of ${lines.length} bytes`);
  }
  return lines;
}
