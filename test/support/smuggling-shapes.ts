/**
 * Requests that two parsers could read differently, as a table: bytes, and what becomes of them.
 *
 * Each is made for two accounts: `outer` is what the request itself names, `smuggled` what the bytes inside or behind it
 * do. Whatever the shape, `smuggled` is never run.
 */

/**
 * | fate     | the request itself               | the connection                                                  |
 * |----------|----------------------------------|-----------------------------------------------------------------|
 * | refused  | is not run                       | ends, after at most one 4xx or 505                              |
 * | ended    | is run at most once              | ends, after at most one answer                                  |
 * | followed | is run at most once              | ends, after at most one answer, and a 4xx or 505 to what follows|
 * | one      | is run once                      | may go on, with exactly one answer                              |
 * | waits    | is not run: its end has not come | is silent until the client's time is over, or is refused        |
 * | either   | is run at most once              | as ended, or as waits                                           |
 */
export type Fate = 'refused' | 'ended' | 'followed' | 'one' | 'waits' | 'either';

export interface Shape {
  readonly name: string;
  readonly fate: Fate;
  /** Only asked behind proxies. */
  readonly behindProxiesOnly?: boolean;
  /** latin1: one character is one byte. */
  readonly bytes: (outer: string, smuggled: string) => string;
}

type Bytes = Shape['bytes'];

/** What the server under test has for `limits.targetBytesMax`: low, so that a target over it is not many bytes. */
export const TARGET_BYTES_MAX = 128;

const smuggledRequest = (account: string): string => `GET /mark?account=${account} HTTP/1.1\r\nhost: x\r\n\r\n`;

/** A POST with these header lines, and behind its head the smuggled request. */
function withLines(lines: (length: number) => string, line = 'POST /mark?account=OUTER HTTP/1.1'): Bytes {
  return (outer, smuggled) => {
    const behind = smuggledRequest(smuggled);
    return `${line.replace('OUTER', outer)}\r\nhost: x\r\n${lines(behind.length)}\r\n\r\n${behind}`;
  };
}

/** A POST with header lines that could mean a chunked body, which ends at once, and behind it the smuggled request. */
function codedAs(...lines: string[]): Bytes {
  return (outer, smuggled) =>
    `POST /mark?account=${outer} HTTP/1.1\r\nhost: x\r\n${lines.join('\r\n')}\r\n\r\n0\r\n\r\n${smuggledRequest(smuggled)}`;
}

/** A chunked request with this body. */
function chunked(body: (behind: string) => string, line = 'POST /mark?account=OUTER'): Bytes {
  return (outer, smuggled) =>
    `${line.replace('OUTER', outer)} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${body(smuggledRequest(smuggled))}`;
}

/** This head with a body of a right length: the smuggled request. */
function withHead(head: string, end = '\r\n\r\n'): Bytes {
  return (outer, smuggled) => {
    const behind = smuggledRequest(smuggled);
    return `${head.replaceAll('OUTER', outer).replace('LENGTH', String(behind.length))}${end}${behind}`;
  };
}

const LENGTH = 'content-length: LENGTH';
const MARK = '/mark?account=OUTER';
const hex = (text: string): string => text.length.toString(16);

function shapes(fate: Fate, table: Readonly<Record<string, Bytes>>): Shape[] {
  return Object.entries(table).map(([name, bytes]) => ({ name, fate, bytes }));
}

const LENGTHS: readonly Shape[] = [
  ...shapes('refused', {
    'two lengths, 0 first': withLines((length) => `content-length: 0\r\ncontent-length: ${length}`),
    'two lengths, 0 last': withLines((length) => `content-length: ${length}\r\ncontent-length: 0`),
    'two equal lengths': withLines(() => 'content-length: 0\r\ncontent-length: 0'),
    'three lengths': withLines(
      (length) => `content-length: ${length}\r\na: b\r\ncontent-length: 0\r\ncontent-length: 1`,
    ),
    'a list of lengths': withLines((length) => `content-length: 0, ${length}`),
    'a list of equal lengths': withLines(() => 'content-length: 0, 0'),
    'a length with a plus': withLines(() => 'content-length: +0'),
    'a negative length': withLines(() => 'content-length: -1'),
    'a hexadecimal length': withLines(() => 'content-length: 0x0'),
    'an empty length': withLines(() => 'content-length:'),
    'a length of two words': withLines(() => 'content-length: 0 0'),
    'a length with a tab in it': withLines(() => 'content-length: 0\t0'),
    'a length with a fraction': withLines(() => 'content-length: 0.0'),
    'a length with an exponent': withLines(() => 'content-length: 0e1'),
    'a quoted length': withLines(() => 'content-length: "0"'),
    'a length over 32 bits': withLines(() => 'content-length: 4294967296'),
    'a length over 64 bits': withLines(() => 'content-length: 18446744073709551616'),
    'a length of twenty zeros': withLines(() => `content-length: ${'0'.repeat(20)}`),
    'a length with NUL behind it': withLines(() => 'content-length: 0\0'),
    'a length with a vertical tab before it': withLines(() => 'content-length: \x0b0'),
    'a length with a space before its colon': withLines(() => 'content-length : 0'),
    'a length with a tab before its colon': withLines(() => 'content-length\t: 0'),
    'a length in a folded line': withLines(() => 'content-length:\r\n 0'),
    'a length continued in a folded line': withLines(() => 'content-length: 0\r\n 0'),
    'a length in a line that begins with a space': withLines(() => ' content-length: 0'),
    'two lengths at a path of the platform': withLines(
      (length) => `content-length: 0\r\ncontent-length: ${length}`,
      'GET /-/health HTTP/1.1',
    ),
    'a length that is no number at a path of the platform': withLines(
      () => 'content-length: 0,0',
      'GET /-/ready HTTP/1.1',
    ),
    'two lengths at a path that nobody has': withLines(
      (length) => `content-length: 0\r\ncontent-length: ${length}`,
      'POST /nowhere HTTP/1.1',
    ),
  }),
  ...shapes('one', {
    'a request as a body': withHead(`POST ${MARK} HTTP/1.1\r\nhost: x\r\n${LENGTH}`),
    'a request as the body of a GET': withHead(`GET ${MARK} HTTP/1.1\r\nhost: x\r\n${LENGTH}`),
    'a request as the body of a HEAD': withHead(`HEAD ${MARK} HTTP/1.1\r\nhost: x\r\n${LENGTH}`),
    'a request as the body of a DELETE': withHead(`DELETE ${MARK} HTTP/1.1\r\nhost: x\r\n${LENGTH}`),
    'a length in odd case': withHead(`POST ${MARK} HTTP/1.1\r\nHoSt: x\r\nCONTENT-lENGTH: LENGTH`),
    'a length between tabs': withHead(`POST ${MARK} HTTP/1.1\r\nhost: x\r\ncontent-length:\t LENGTH \t`),
    // The parser strips a non-ASCII end before anybody sees it. No proxy we know of passes such a length on.
    'a length with a non-ASCII end': withHead(`POST ${MARK} HTTP/1.1\r\nhost: x\r\n${LENGTH}\xa0`),
    'an underscore for the hyphen': withHead(`POST ${MARK} HTTP/1.1\r\nhost: x\r\n${LENGTH}\r\ncontent_length: 0`),
    'TE instead of Transfer-Encoding': withHead(`POST ${MARK} HTTP/1.1\r\nhost: x\r\n${LENGTH}\r\nte: chunked`),
    'an offer of h2c': withHead(
      `POST ${MARK} HTTP/1.1\r\nhost: x\r\n${LENGTH}\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk`,
    ),
    'an offer of a WebSocket': withHead(
      `POST ${MARK} HTTP/1.1\r\nhost: x\r\n${LENGTH}\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-version: 13`,
    ),
    'an expectation': withHead(`POST ${MARK} HTTP/1.1\r\nhost: x\r\n${LENGTH}\r\nexpect: 100-continue`),
    'a length that Connection would have dropped': withHead(
      `POST ${MARK} HTTP/1.1\r\nhost: x\r\n${LENGTH}\r\nconnection: keep-alive, content-length`,
    ),
  }),
];

const CODINGS: readonly Shape[] = [
  ...shapes('refused', {
    'Content-Length, then Transfer-Encoding': codedAs('content-length: 5', 'transfer-encoding: chunked'),
    'Transfer-Encoding, then Content-Length': codedAs('transfer-encoding: chunked', 'content-length: 5'),
    'Transfer-Encoding and a length of 0': codedAs('transfer-encoding: chunked', 'content-length: 0'),
    'chunked twice': codedAs('transfer-encoding: chunked', 'transfer-encoding: chunked'),
    'chunked, then identity': codedAs('transfer-encoding: chunked', 'transfer-encoding: identity'),
    'identity, then chunked': codedAs('transfer-encoding: identity', 'transfer-encoding: chunked'),
    identity: codedAs('transfer-encoding: identity'),
    'identity with a length': codedAs('transfer-encoding: identity', 'content-length: 5'),
    gzip: codedAs('transfer-encoding: gzip'),
    xchunked: codedAs('transfer-encoding: xchunked'),
    chunkedx: codedAs('transfer-encoding: chunkedx'),
    'gzip, chunked': codedAs('transfer-encoding: gzip, chunked'),
    'chunked, gzip': codedAs('transfer-encoding: chunked, gzip'),
    'chunked, chunked': codedAs('transfer-encoding: chunked, chunked'),
    'chunked, identity': codedAs('transfer-encoding: chunked, identity'),
    'a comma before chunked': codedAs('transfer-encoding: ,chunked'),
    'chunked with a parameter': codedAs('transfer-encoding: chunked;a=b'),
    'chunked in quotes': codedAs('transfer-encoding: "chunked"'),
    'chunked in two words': codedAs('transfer-encoding: chun ked'),
    'chunked with a tab in it': codedAs('transfer-encoding: chunked\tx'),
    Chunked: codedAs('transfer-encoding: Chunked'),
    CHUNKED: codedAs('Transfer-Encoding: CHUNKED'),
    'an empty coding': codedAs('transfer-encoding:'),
    'an empty coding with a length': codedAs('transfer-encoding:', 'content-length: 5'),
    'an empty length with chunked': codedAs('content-length:', 'transfer-encoding: chunked'),
    'a space before the colon': codedAs('transfer-encoding : chunked'),
    'a tab before the colon': codedAs('transfer-encoding\t: chunked'),
    'a line that begins with a space': codedAs(' transfer-encoding: chunked'),
    'a vertical tab before chunked': codedAs('transfer-encoding: \x0bchunked'),
    'NUL behind chunked': codedAs('transfer-encoding: chunked\0'),
    'a folded line': codedAs('transfer-encoding:\r\n chunked'),
    'a continuation behind chunked': codedAs('transfer-encoding: chunked\r\n , identity'),
    'a bare LF before it': codedAs('a: b\ntransfer-encoding: chunked'),
    'a non-ASCII end, with a length': codedAs('transfer-encoding: \xa0chunked', 'content-length: 5'),
  }),
  ...shapes('waits', {
    'a bare CR before it': codedAs('a: b\rtransfer-encoding: chunked'),
  }),
  ...shapes('ended', {
    // The parser strips these ends before anybody sees them.
    'a non-ASCII start': codedAs('transfer-encoding: \xa0chunked'),
    'a non-ASCII end': codedAs('transfer-encoding: chunked\xff'),
    'chunked between tabs, and another request behind it': codedAs('transfer-encoding:\tchunked\t'),
  }),
];

const CHUNKS: readonly Shape[] = [
  ...shapes('refused', {
    'a size over 64 bits': chunked((behind) => `${'f'.repeat(17)}\r\n${behind}`),
    'a negative size': chunked((behind) => `-1\r\n${behind}`),
    'a size with a plus': chunked((behind) => `+5\r\nhello\r\n0\r\n\r\n${behind}`),
    'a size with 0x': chunked((behind) => `0x5\r\nhello\r\n0\r\n\r\n${behind}`),
    'a size that is a word': chunked((behind) => `five\r\nhello\r\n0\r\n\r\n${behind}`),
  }),
  ...shapes('ended', {
    'a non-ASCII size': chunked((behind) => `\xb5\r\nhello\r\n0\r\n\r\n${behind}`),
    'a request as a chunk': chunked((behind) => `${hex(behind)}\r\n${behind}\r\n0\r\n\r\n`),
    'a size in upper case, with zeros': chunked(
      (behind) => `000${hex(behind).toUpperCase()}\r\n${behind}\r\n0\r\n\r\n`,
    ),
    'a chunk longer than its size': chunked((behind) => `5\r\nhello!!0\r\n\r\n${behind}`),
    'no line end behind a chunk': chunked((behind) => `5\r\nhello0\r\n\r\n${behind}`),
    'a bare LF behind a size': chunked((behind) => `5\nhello\r\n0\r\n\r\n${behind}`),
    'a bare LF behind a chunk': chunked((behind) => `5\r\nhello\n0\r\n\r\n${behind}`),
    'a bare LF behind the last size': chunked((behind) => `5\r\nhello\r\n0\n\r\n${behind}`),
    'no line end behind the last size': chunked((behind) => `0\r\n${behind}`),
    'an empty size': chunked((behind) => `\r\n\r\n${behind}`),
    'a last size of ten zeros': chunked((behind) => `${'0'.repeat(10)}\r\n\r\n${behind}`),
    'a space before a size': chunked((behind) => ` 5\r\nhello\r\n0\r\n\r\n${behind}`),
    'NUL behind a size': chunked((behind) => `5\0\r\nhello\r\n0\r\n\r\n${behind}`),
    'a size of g': chunked((behind) => `g\r\n0123456789abcdef\r\n0\r\n\r\n${behind}`),
    'a trailer': chunked(() => '0\r\nx-sum: 1\r\n\r\n'),
    'a trailer that is a request': chunked((behind) => `0\r\nX:${behind}`),
    'a trailer with a length': chunked((behind) => `0\r\ncontent-length: 5\r\n\r\n${behind}`),
    'a trailer with a coding': chunked((behind) => `0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${behind}`),
    'a trailer that is a request, at a path of the platform': chunked((behind) => `0\r\nX:${behind}`, 'GET /-/health'),
    'a trailer that is a request, at a path that nobody has': chunked((behind) => `0\r\nX:${behind}`, 'POST /nowhere'),
    'a trailer that is a request, at a path that is refused': chunked((behind) => `0\r\nX:${behind}`, 'POST /mark/..'),
    'a trailer that is a request, behind too long a path': chunked(
      (behind) => `0\r\nX:${behind}`,
      `POST /${'a'.repeat(TARGET_BYTES_MAX)}`,
    ),
  }),
  // Cut behind the space, the parser takes the extension for digits.
  ...shapes('either', {
    'an extension behind a space': chunked((behind) => `5 ;a=b\r\nhello\r\n0\r\n\r\n${behind}`),
    'a last size with an extension': chunked((behind) => `0 ;a=b\r\n\r\n${behind}`),
  }),
  ...shapes('waits', {
    'a size larger than its chunk': chunked((behind) => `fff\r\n${behind}`),
    'an extension that reads as a part of the size': chunked((behind) => `5;a=1\r\nhello\r\n0\r\n\r\n${behind}`),
  }),
];

const behindHead = (head: string): Bytes => withHead(head);

const LINES: readonly Shape[] = [
  ...shapes('refused', {
    'bare LFs for line ends': withHead(`POST ${MARK} HTTP/1.1\nhost: x\ncontent-length: 0`, '\n\n'),
    'a bare LF behind the request line': behindHead(`POST ${MARK} HTTP/1.1\nhost: x`),
    'a bare LF behind a header': behindHead(`POST ${MARK} HTTP/1.1\r\nhost: x\na: b`),
    'a bare LF for the empty line': withHead(`POST ${MARK} HTTP/1.1\r\nhost: x`, '\r\n\n'),
    'a bare CR behind the request line': behindHead(`POST ${MARK} HTTP/1.1\rhost: x`),
    'CR CR LF behind the request line': behindHead(`POST ${MARK} HTTP/1.1\r\r\nhost: x`),
    'NUL in a header': behindHead(`POST ${MARK} HTTP/1.1\r\nhost: x\r\na: b\0c`),
    'NUL in a header name': behindHead(`POST ${MARK} HTTP/1.1\r\nhost: x\r\na\0b: c`),
    'NUL in the target': behindHead(`POST ${MARK}\0 HTTP/1.1\r\nhost: x`),
    'a control character in a header': behindHead(`POST ${MARK} HTTP/1.1\r\nhost: x\r\na: b\x01c`),
    'a folded header': behindHead(`POST ${MARK} HTTP/1.1\r\nhost: x\r\na: b\r\n c`),
    'a header folded with a tab': behindHead(`POST ${MARK} HTTP/1.1\r\nhost: x\r\na: b\r\n\tc`),
    'a space in a header name': behindHead(`POST ${MARK} HTTP/1.1\r\nhost: x\r\na b: c`),
    'a header without a colon': behindHead(`POST ${MARK} HTTP/1.1\r\nhost: x\r\nabc`),
    'a non-ASCII header name': behindHead(`POST ${MARK} HTTP/1.1\r\nhost: x\r\n\xe4: b`),
    'a space before the method': behindHead(` POST ${MARK} HTTP/1.1\r\nhost: x`),
    'a tab behind the method': behindHead(`POST\t${MARK} HTTP/1.1\r\nhost: x`),
    'two spaces behind the method': behindHead(`POST  ${MARK} HTTP/1.1\r\nhost: x`),
    'two spaces behind the target': behindHead(`POST ${MARK}  HTTP/1.1\r\nhost: x`),
    'a tab behind the target': behindHead(`POST ${MARK}\tHTTP/1.1\r\nhost: x`),
    'a space behind the version': behindHead(`POST ${MARK} HTTP/1.1 \r\nhost: x`),
    'no target': behindHead('POST HTTP/1.1\r\nhost: x'),
    'a space in the target': behindHead(`POST ${MARK} b HTTP/1.1\r\nhost: x`),
    'HTTP/1.0': behindHead(`POST ${MARK} HTTP/1.0\r\nhost: x\r\ncontent-length: 0`),
    'HTTP/1.2': behindHead(`POST ${MARK} HTTP/1.2\r\nhost: x\r\ncontent-length: 0`),
    'HTTP/2.0': behindHead(`POST ${MARK} HTTP/2.0\r\nhost: x\r\ncontent-length: 0`),
    'HTTP/1.10': behindHead(`POST ${MARK} HTTP/1.10\r\nhost: x\r\ncontent-length: 0`),
    'HTTP/11': behindHead(`POST ${MARK} HTTP/11\r\nhost: x\r\ncontent-length: 0`),
    'a version in lower case': behindHead(`POST ${MARK} http/1.1\r\nhost: x\r\ncontent-length: 0`),
    'the greeting of HTTP/2': (_outer, smuggled) => `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${smuggledRequest(smuggled)}`,
    'the greeting of TLS': (_outer, smuggled) =>
      `\x16\x03\x01\x00\xf8\x01\x00\x00\xf4\x03\x03${smuggledRequest(smuggled)}`,
    'a method with a sign in it': behindHead(`G=T ${MARK} HTTP/1.1\r\nhost: x`),
    'a method with a colon': behindHead(`GET: ${MARK} HTTP/1.1\r\nhost: x`),
    'a method of digits': behindHead(`123 ${MARK} HTTP/1.1\r\nhost: x`),
    'a method of 64 letters': behindHead(`${'G'.repeat(64)} ${MARK} HTTP/1.1\r\nhost: x`),
    'a non-ASCII method': behindHead(`P\xd6ST ${MARK} HTTP/1.1\r\nhost: x`),
    'no method': behindHead(`${MARK} HTTP/1.1\r\nhost: x`),
    'CONNECT with an authority': behindHead('CONNECT x:80 HTTP/1.1\r\nhost: x:80'),
    'OPTIONS with an asterisk': behindHead('OPTIONS * HTTP/1.1\r\nhost: x\r\ncontent-length: 0'),
    'a whole URL for a target': behindHead(`GET http://x${MARK} HTTP/1.1\r\nhost: x`),
    'a whole URL of another host': behindHead(`GET http://y${MARK} HTTP/1.1\r\nhost: x`),
    'a target without a slash': behindHead(`GET ${MARK.slice(1)} HTTP/1.1\r\nhost: x`),
    'no Host': behindHead(`POST ${MARK} HTTP/1.1\r\na: b`),
    'no header at all': behindHead(`GET ${MARK} HTTP/1.1`),
    'two Hosts': behindHead(`POST ${MARK} HTTP/1.1\r\nhost: x\r\nhost: y`),
    'two equal Hosts': behindHead(`POST ${MARK} HTTP/1.1\r\nhost: x\r\nHost: x`),
    'a space before the colon of Host': behindHead(`POST ${MARK} HTTP/1.1\r\nhost : x`),
    'a folded Host': behindHead(`POST ${MARK} HTTP/1.1\r\nhost:\r\n x`),
  }),
  ...shapes('waits', {
    'no version': behindHead(`GET ${MARK}\r\nhost: x`),
    'HTTP/0.9': behindHead(`GET ${MARK}`),
    'bare CRs for line ends': withHead(`POST ${MARK} HTTP/1.1\r\nhost: x\rcontent-length: 0`, '\r\r'),
    'a bare CR in a header': behindHead(`POST ${MARK} HTTP/1.1\r\nhost: x\r\na: b\rc`),
    'empty lines before the request line': behindHead(`\r\n\r\nPOST ${MARK} HTTP/1.1\r\nhost: x`),
  }),
  ...shapes('ended', {
    'an empty header name': behindHead(`POST ${MARK} HTTP/1.1\r\nhost: x\r\n: c\r\n${LENGTH}`),
    'a request behind one that closes': behindHead(
      `POST ${MARK} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0`,
    ),
    'a request behind one that is refused': (_outer, smuggled) =>
      `POST /mark/.. HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n${smuggledRequest(smuggled)}`,
  }),
];

/**
 * uWebSockets.js 20.51 hides every header behind one without a name, its length too, and where the two parts come apart
 * there is nothing to see it by: a client that is connected directly can fool itself with this. Proxies let no such line
 * through. (Of methods that have a body, see A2 of admission.ts.)
 */
const HIDDEN: readonly Shape[] = shapes('either', {
  'a GET with a length behind an empty header name': behindHead(`GET ${MARK} HTTP/1.1\r\nhost: x\r\n: c\r\n${LENGTH}`),
}).map((shape) => ({ ...shape, behindProxiesOnly: true }));

/** What follows a request of a known length is another one, that nobody can read. */
const FOLLOWED: readonly Shape[] = shapes('followed', {
  'garbage behind a body': (outer, smuggled) =>
    `POST /mark?account=${outer} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello\x01\x02\x03${smuggledRequest(smuggled)}`,
  'a body longer than its length': (outer, smuggled) =>
    `POST /mark?account=${outer} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello world${smuggledRequest(smuggled)}`,
});

export const SHAPES: readonly Shape[] = [...HIDDEN, ...FOLLOWED, ...LENGTHS, ...CODINGS, ...CHUNKS, ...LINES];
