/**
 * The door: what of a client's request is let in, and what is said to the rest.
 *
 * A1: a request whose end the parser and a proxy in front could see in different places is cut off without an answer
 *     (answering would still run the request that is smuggled behind it).
 * A2: a request whose end the parser may have got wrong, unseen by us, is the last of its connection. Of a chunked body we
 *     see the content alone: uWebSockets.js takes a line end for granted where two bytes stand, and trailers for the next
 *     request. And it shows no header behind one without a name: a POST without a length may have had one there.
 */
import type { LimitsConfig } from '../shared/config/cluster-schema.ts';
import { PlatformError } from '../shared/errors.ts';
import type { WebRequest } from '../shared/web-server.ts';

/** What the door has to say of a request: let in, refused with an error, or cut off (A1). */
export type Admission =
  | { readonly kind: 'admitted' }
  | { readonly kind: 'refused'; readonly error: PlatformError }
  | { readonly kind: 'cut'; readonly reason: string };

const ADMITTED: Admission = { kind: 'admitted' };

/** Headers about one connection only; they are not carried on (RFC 9110 § 7.6.1). */
const HOP_HEADERS = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'proxy-authorization',
]);

/** What nearly every request has; the pattern is for the rest. */
const USUAL_METHODS = new Set(['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS']);
const METHOD = /^[A-Za-z]{1,32}$/;
const CONTENT_LENGTH = /^\d{1,12}$/;
/** Segments that a proxy may resolve and we do not, in any spelling, and NUL, where many a reader thinks a text ends. */
const DISPUTED_PATH = /(?:\/|%2f)(?:\.|%2e){1,2}(?=\/|%2f|$)|%00/i;
/** W3C Trace Context: version ff and ids of nothing but zeros are invalid. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** Reads one request at the door. One object serves all requests: they are admitted one at a time. */
export class Admitter {
  method = '';
  path = '';
  /** What stands behind the `?`; '' when there is none. */
  query = '';
  headerBlock = '';
  traceparent = '';
  contentType = '';
  /** Client's own id of the request; only carried along and logged. '' when absent. */
  clientRequestId = '';
  /** 0 when there is no body; -1 when its length is not known beforehand (chunked). */
  contentLength = 0;
  /** Nothing behind it may be taken for another request: A2 */
  lastOfConnection = false;
  /** Milliseconds the client gives us; 0 when it names none. */
  timeoutMs = 0;

  #limits: LimitsConfig;
  #headerBytes = 0;
  #headerCount = 0;
  #contentLengthCount = 0;
  #cutReason = '';
  #refusal: PlatformError | undefined;
  readonly #onHeader = (name: string, value: string): void => this.#takeHeader(name, value);

  constructor(limits: LimitsConfig) {
    this.#limits = limits;
  }

  configure(limits: LimitsConfig): void {
    this.#limits = limits;
  }

  /** Fills the fields above from a request, which must be read before its handler returns. */
  admit(request: WebRequest): Admission {
    this.headerBlock = '';
    this.traceparent = '';
    this.contentType = '';
    this.clientRequestId = '';
    this.contentLength = 0;
    this.timeoutMs = 0;
    this.#headerBytes = 0;
    this.#headerCount = 0;
    this.#contentLengthCount = 0;
    this.#cutReason = '';
    this.#refusal = undefined;
    this.method = request.getCaseSensitiveMethod();
    if (!USUAL_METHODS.has(this.method) && !METHOD.test(this.method))
      return { kind: 'cut', reason: 'a method that is not a word' }; // A1
    request.forEach(this.#onHeader);
    if (this.#cutReason !== '') return { kind: 'cut', reason: this.#cutReason };
    this.path = request.getUrl();
    this.query = request.getQuery() ?? '';
    this.lastOfConnection = this.contentLength === -1 || (this.#contentLengthCount === 0 && hasBody(this.method)); // A2
    return this.#judge();
  }

  #takeHeader(name: string, value: string): void {
    this.#headerCount++;
    this.#headerBytes += name.length + value.length;
    switch (name) {
      case '':
        this.#cutReason = 'an empty header name'; // A1
        return;
      case 'content-length':
        if (++this.#contentLengthCount > 1)
          this.#cutReason = 'more than one Content-Length'; // A1
        else if (!CONTENT_LENGTH.test(value))
          this.#cutReason = 'a Content-Length that is not a number'; // A1
        else if (this.contentLength !== -1) this.contentLength = Number(value);
        else this.#cutReason = 'Content-Length beside Transfer-Encoding'; // A1
        return;
      case 'transfer-encoding':
        if (!this.#limits.allowChunkedBodies || value !== 'chunked' || this.contentLength === -1)
          this.#cutReason = 'a Transfer-Encoding that is not allowed'; // A1
        else if (this.#contentLengthCount > 0)
          this.#cutReason = 'Content-Length beside Transfer-Encoding'; // A1
        else this.contentLength = -1;
        return;
      case 'content-type':
        this.contentType = value;
        break;
      case 'traceparent':
        if (TRACEPARENT.test(value)) this.traceparent = value;
        return;
      case 'x-request-id':
        this.clientRequestId = value;
        break;
      case 'x-request-timeout-ms':
        this.#takeTimeout(value);
        return;
      default:
        if (HOP_HEADERS.has(name)) return;
    }
    this.headerBlock += `${name}:${value}\n`;
  }

  #takeTimeout(value: string): void {
    const timeoutMs = /^\d{1,9}$/.test(value) ? Number(value) : 0;
    if (timeoutMs >= 1 && timeoutMs <= this.#limits.requestTimeoutMsMax) {
      this.timeoutMs = timeoutMs;
      return;
    }
    const detail = `expected x-request-timeout-ms to be a whole number 1..${this.#limits.requestTimeoutMsMax}, got "${value.slice(0, 32)}"`;
    this.#refusal = new PlatformError('TIMEOUT_HEADER_INVALID', detail);
  }

  #judge(): Admission {
    const limits = this.#limits;
    if (this.#headerBytes > limits.headerBytesMax || this.#headerCount > limits.headerCountMax) {
      const detail = `expected at most ${limits.headerCountMax} headers of ${limits.headerBytesMax} bytes in all, got ${this.#headerCount} of ${this.#headerBytes}`;
      return refused('HEADERS_TOO_LARGE', detail);
    }
    const targetLength = this.path.length + (this.query === '' ? 0 : this.query.length + 1);
    if (targetLength > limits.targetBytesMax) {
      return refused(
        'TARGET_TOO_LONG',
        `expected a path and query of at most ${limits.targetBytesMax} bytes, got ${targetLength}`,
      );
    }
    if (this.path === '' || !isPrintableAscii(this.path) || !isPrintableAscii(this.query)) {
      return refused(
        'REQUEST_INVALID',
        'expected a path and query of printable ASCII; percent-encode everything else as UTF-8',
      );
    }
    if (isDisputed(this.path)) {
      return refused(
        'REQUEST_INVALID',
        'expected a path without the segments "." and ".." and without %00; resolve it before you send it',
      );
    }
    if (this.contentLength > limits.bodyBytesMax) {
      return refused(
        'BODY_TOO_LARGE',
        `expected a body of at most ${limits.bodyBytesMax} bytes, got one of ${this.contentLength}`,
      );
    }
    return this.#refusal === undefined ? ADMITTED : { kind: 'refused', error: this.#refusal };
  }
}

const FIRST_PRINTABLE = 0x21;
const LAST_PRINTABLE = 0x7e;

/** A loop over the text as it came: a pattern over path and query joined would copy them first. */
function isPrintableAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < FIRST_PRINTABLE || unit > LAST_PRINTABLE) return false;
  }
  return true;
}

/** Whether requests with this method say how long their body is, be it 0 (RFC 9110 § 8.6). */
function hasBody(method: string): boolean {
  return method === 'POST' || method === 'PUT' || method === 'PATCH';
}

/** A path with neither sign needs no closer look; that is nearly every path. */
function isDisputed(path: string): boolean {
  return (path.includes('/.') || path.includes('%')) && DISPUTED_PATH.test(path);
}

function refused(
  code: 'HEADERS_TOO_LARGE' | 'TARGET_TOO_LONG' | 'REQUEST_INVALID' | 'BODY_TOO_LARGE',
  detail: string,
): Admission {
  return { kind: 'refused', error: new PlatformError(code, detail) };
}
