/**
 * Finds a request's account key in the sources that the config names, in their order, and the bucket it belongs to.
 *
 * Y1: a key in the path or the query that is plain ASCII is found and hashed where it lies: no string, no copy.
 * Y2: a body is parsed only when every source before it had nothing.
 * Y3: what is hashed is what the app server gets, and what the client meant: bytes that are not UTF-8 are refused, as
 *     they would all become the one account of replacement characters. A header is ASCII: uWebSockets.js drops other
 *     bytes at its ends, so a key that holds any cannot be trusted.
 */
import { isUtf8 } from 'node:buffer';
import type { AccountKeySource } from '../shared/config/cluster-schema.ts';
import {
  accountKeyBytesOf,
  accountKeyOf,
  headerBlockAt,
  headerBlockOf,
  queryAt,
  queryEnd,
  queryOf,
  REQUEST_HEAD_BYTES,
  requestBodyAt,
} from '../shared/envelope.ts';
import { PlatformError } from '../shared/errors.ts';
import { ACCOUNT_KEY_CHARS_MAX, accountKeyComplaint } from '../shared/routing/account-key-limits.ts';
import { bucketOfHash, type HashKind, hashAsciiBytes, jdkStringHash, jdkUtf8Hash } from '../shared/routing/jdk-hash.ts';

export interface AccountKeyRules {
  readonly sources: readonly AccountKeySource[];
  readonly hash: { readonly kind: HashKind; readonly buckets: number };
}

/** What was found: the key's bucket, and where its bytes are when they are not the ones the path named (null: they are). */
export interface FoundKey {
  bucket: number;
  /** Holds the key at `[start..end)`. */
  bytes: Buffer | null;
  start: number;
  end: number;
}

export class AccountKeyReader {
  readonly #rules: AccountKeyRules;
  readonly #found: FoundKey = { bucket: 0, bytes: null, start: 0, end: 0 };
  /** `name=` of each source in a query, `name:` of each in a header. */
  readonly #names: readonly Buffer[];

  constructor(rules: AccountKeyRules) {
    this.#rules = rules;
    this.#names = rules.sources.map((source) => Buffer.from(startText(source)));
  }

  /**
   * @param message holds one whole REQUEST frame at `[start..end)`
   * @returns the same object at every call: read it before the next one
   * @throws PlatformError ACCOUNT_KEY_MISSING, ACCOUNT_KEY_INVALID
   */
  read(message: Buffer, start: number, end: number): FoundKey {
    const found = this.#found;
    const { sources } = this.#rules;
    found.bytes = null;
    for (let index = 0; index < sources.length; index++) {
      const source = sources[index] as AccountKeySource;
      const name = this.#names[index] as Buffer;
      if ('query' in source && this.#readPlainQuery(message, start, name)) return found;
      if ('header' in source && lacksHeader(message, start, name)) continue;
      if ('path' in source) {
        const keyBytes = accountKeyBytesOf(message, start);
        if (keyBytes === 0) continue;
        const keyAt = start + REQUEST_HEAD_BYTES;
        if (isPlainAscii(message, keyAt, keyAt + keyBytes)) {
          found.bucket = bucketOfHash(hashAsciiBytes(message, keyAt, keyAt + keyBytes), this.#rules.hash.buckets); // Y1
          return found;
        }
        if (!isUtf8(message.subarray(keyAt, keyAt + keyBytes))) throw notUtf8(source); // Y3
        found.bucket = this.#bucketOf(checkedKey(accountKeyOf(message, start), source));
        return found;
      }
      const key = keyFrom(source, message, start, end);
      if (key === undefined || key === '') continue;
      found.bucket = this.#bucketOf(checkedKey(key, source));
      found.bytes = Buffer.from(key);
      found.start = 0;
      found.end = found.bytes.length;
      return found;
    }
    throw new PlatformError(
      'ACCOUNT_KEY_MISSING',
      `no account key: tried ${this.#rules.sources.map(sourceText).join(', ')}`,
    );
  }

  /** Y1 @returns false: nothing there, or not plain: the slow way decides */
  #readPlainQuery(message: Buffer, start: number, name: Buffer): boolean {
    const end = queryEnd(message, start);
    const at = plainQueryValueAt(message, queryAt(message, start), end, name);
    if (at === -1) return false;
    let valueEnd = at;
    while (valueEnd < end && message[valueEnd] !== AMPERSAND) {
      if (message[valueEnd] === PERCENT || message[valueEnd] === PLUS) return false;
      valueEnd++;
    }
    if (valueEnd === at || !isPlainAscii(message, at, valueEnd)) return false;
    const found = this.#found;
    found.bucket = bucketOfHash(hashAsciiBytes(message, at, valueEnd), this.#rules.hash.buckets);
    found.bytes = message;
    found.start = at;
    found.end = valueEnd;
    return true;
  }

  #bucketOf(key: string): number {
    const { kind, buckets } = this.#rules.hash;
    return bucketOfHash(kind === 'jdk-string' ? jdkStringHash(key) : jdkUtf8Hash(key), buckets);
  }
}

/** Headers of at most so many bytes are looked through where they lie; making a text of more of them is quicker. */
const HEADER_BYTES_SCANNED_MAX = 256;

/** Y1 @param name `name:` @returns whether it is sure that no header has this name */
function lacksHeader(message: Buffer, start: number, name: Buffer): boolean {
  const end = requestBodyAt(message, start);
  let at = headerBlockAt(message, start);
  if (end - at > HEADER_BYTES_SCANNED_MAX) return false;
  while (at < end) {
    let matched = 0;
    while (matched < name.length && message[at + matched] === name[matched]) matched++;
    if (matched === name.length) return false;
    while (at < end && message[at] !== LINE_END) at++;
    at++;
  }
  return true;
}

/** What stands before a key of this source, where it has a name. */
function startText(source: AccountKeySource): string {
  if ('query' in source) return `${source.query}=`;
  return 'header' in source ? `${source.header}:` : '';
}

const LINE_END = 0x0a;
const AMPERSAND = 0x26;
const PERCENT = 0x25;
const PLUS = 0x2b;

/** @param name `name=` @returns where its value begins; -1: not there, or what stands before it may be it: ask the slow way */
function plainQueryValueAt(message: Buffer, start: number, end: number, name: Buffer): number {
  let matched = 0; // of `name`, since the last `&`; -1: this pair is another one
  for (let at = start; at < end; at++) {
    const byte = message[at] as number;
    if (byte === AMPERSAND) {
      if (matched === name.length - 1) return -1; // the name alone: its value is empty
      matched = 0;
    } else if (byte === PERCENT || byte === PLUS) return -1;
    else if (matched !== -1) matched = byte === name[matched] ? matched + 1 : -1;
    if (matched === name.length) return at + 1;
  }
  return -1;
}

const FIRST_PRINTABLE = 0x20;
const DELETE = 0x7f;

function isPlainAscii(bytes: Buffer, start: number, end: number): boolean {
  if (end - start > ACCOUNT_KEY_CHARS_MAX) return false;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte < FIRST_PRINTABLE || byte >= DELETE) return false;
  }
  return true;
}

function checkedKey(key: string, source: AccountKeySource): string {
  const complaint = accountKeyComplaint(key);
  if (complaint !== '') throw new PlatformError('ACCOUNT_KEY_INVALID', `${sourceText(source)}: ${complaint}`);
  return key;
}

/** Y3 */
function notUtf8(source: AccountKeySource): PlatformError {
  return new PlatformError('ACCOUNT_KEY_INVALID', `${sourceText(source)}: expected UTF-8, came other bytes`);
}

function keyFrom(
  source: Exclude<AccountKeySource, { path: string }>,
  message: Buffer,
  start: number,
  end: number,
): string | undefined {
  if ('header' in source) {
    const key = headerIn(headerBlockOf(message, start, 'latin1'), source.header);
    if (key !== undefined && NOT_ASCII.test(key)) {
      const detail = `${sourceText(source)}: expected ASCII, came other characters; send such a key in the path, percent-encoded`;
      throw new PlatformError('ACCOUNT_KEY_INVALID', detail); // Y3
    }
    return key;
  }
  if ('query' in source) {
    const query = queryOf(message, start);
    // The `&` keeps a `?` at the beginning, which would else be taken off: it belongs to the first name.
    const key = query === '' ? undefined : (new URLSearchParams(`&${query}`).get(source.query) ?? undefined);
    if (key?.includes(REPLACEMENT) === true && !REPLACEMENT_ENCODED.test(query)) throw notUtf8(source); // Y3
    return key;
  }
  const body = message.subarray(requestBodyAt(message, start), end);
  if (!isUtf8(body)) throw notUtf8(source); // Y3
  return keyInBody(body.toString('utf8'), source.body); // Y2
}

const NOT_ASCII = /[^\0-\x7f]/;
/** What a decoder puts in the place of bytes that are not UTF-8, and how a client sends it when it means it. */
const REPLACEMENT = '\ufffd';
const REPLACEMENT_ENCODED = /%ef%bf%bd/i;

function headerIn(block: string, name: string): string | undefined {
  const line = `${name}:`;
  let at = block.startsWith(line) ? 0 : block.indexOf(`\n${line}`) + 1;
  if (at === 0 && !block.startsWith(line)) return undefined;
  at += line.length;
  return block.slice(at, block.indexOf('\n', at));
}

function keyInBody(body: string, pointer: string): string | undefined {
  if (body === '') return undefined;
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new PlatformError(
      'ACCOUNT_KEY_INVALID',
      `expected a JSON body with the account key at ${pointer}, got a body that is not JSON`,
    );
  }
  for (const step of pointer.slice(1).split('/')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, unescapePointer(step))) return undefined;
    value = (value as Record<string, unknown>)[unescapePointer(step)];
  }
  if (typeof value === 'string') return value;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
  throw new PlatformError(
    'ACCOUNT_KEY_INVALID',
    `expected a string or a whole number at ${pointer} of the body, got ${value === null ? 'null' : typeof value}`,
  );
}

/** RFC 6901 § 4. */
function unescapePointer(step: string): string {
  return step.replaceAll('~1', '/').replaceAll('~0', '~');
}

function sourceText(source: AccountKeySource): string {
  if ('path' in source) return `path parameter "${source.path}"`;
  if ('header' in source) return `header "${source.header}"`;
  if ('query' in source) return `query parameter "${source.query}"`;
  return `body at ${source.body}`;
}
