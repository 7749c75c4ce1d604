/**
 * Writes answers to clients: a handler's reply as it came, an error as RFC 9457 problem+json.
 *
 * W1: every answer carries x-request-id; what came through the tiers also x-group, x-served-by and server-timing.
 * W2: a header line from inside was validated by the SDK; nothing of a client's request is echoed into a header.
 * W3: an answer after which nothing of the connection may be read lingers (unread-replies.ts). uWebSockets.js would call it
 *     answered, and read on; so it gets head and body as one header line, and never learns that they were a whole answer.
 */
import { STATUS_CODES } from 'node:http';
import {
  type Answerer,
  dbMicrosOf,
  dispatchMicrosOf,
  handlerMicrosOf,
  queueMicrosOf,
  REPLY_HEAD_BYTES,
  replyHeaderBytesOf,
  statusOf,
} from '../shared/envelope.ts';
import { errorAnchor, type PlatformError } from '../shared/errors.ts';
import type { WebResponse } from '../shared/web-server.ts';
import { ReplyHead } from './reply-head.ts';
import type { UnreadReplies } from './unread-replies.ts';

/** Status lines by number: `200 OK`. */
const STATUS_LINES: string[] = [];
for (const [status, text] of Object.entries(STATUS_CODES)) STATUS_LINES[Number(status)] = `${status} ${text}`;
STATUS_LINES[499] = '499 Client Closed Request';

function statusLine(status: number): string {
  return STATUS_LINES[status] ?? `${status} Unassigned`;
}

/** Statuses whose replies have no body, whatever the handler says (RFC 9110). */
function isBodiless(status: number): boolean {
  return status === 204 || status === 304;
}

export interface ReplyOptions {
  /** Second half of the request's id. */
  readonly counter: number;
  /** The client asked for the head only. */
  readonly isHead: boolean;
  /** The server is stopping, or the request must be the last of its connection. Not while the request is being read: W3 */
  readonly closeConnection: boolean;
}

/** Writes the answers to one server's clients. */
export class ReplyWriter {
  readonly #head: ReplyHead;
  readonly #unread: UnreadReplies;

  /** @param incarnation of the server, the first half of every request id */
  constructor(incarnation: string, unread: UnreadReplies) {
    this.#head = new ReplyHead(incarnation);
    this.#unread = unread;
  }

  /** A REPLY frame. */
  write(
    response: WebResponse,
    frame: { readonly message: Buffer; readonly start: number; readonly end: number },
    options: ReplyOptions,
  ): void {
    const { message, start, end } = frame;
    const { isHead, closeConnection } = options;
    const status = statusOf(message, start);
    const linesAt = start + REPLY_HEAD_BYTES;
    const bodyAt = linesAt + replyHeaderBytesOf(message, start);
    const timing = {
      queueMicros: queueMicrosOf(message, start),
      dispatchMicros: dispatchMicrosOf(message, start),
      handlerMicros: handlerMicrosOf(message, start),
      dbMicros: dbMicrosOf(message, start),
    };
    // The block ends with a line end of its own, as each of its lines does; the server adds the last one.
    const lines = this.#head.write(options.counter, timing, message, linesAt, bodyAt - 2);
    response.cork(() => {
      if (status !== 200) response.writeStatus(statusLine(status));
      // One call for all headers: each call into the server costs as much as copying a hundred bytes.
      if (isHead || isBodiless(status)) {
        this.#endBodiless(response, lines.toString('latin1'), isHead ? end - bodyAt : undefined, closeConnection);
        return;
      }
      response.writeHeader(X_REQUEST_ID, lines); // W1, W2
      if (closeConnection) response.end(message.subarray(bodyAt, end), true);
      else this.#unread.end(response, message.subarray(bodyAt, end));
    });
  }

  /** An error, as problem+json. */
  writeProblem(response: WebResponse, error: PlatformError, options: ProblemOptions): void {
    const { requestId, isLast = false, closeConnection = false, isHead = false } = options;
    const json = problemText(error, options);
    const head = [requestId, ...problemLines(error, options)].join('\r\n'); // W1
    response.cork(() => {
      response.writeStatus(statusLine(error.status));
      if (isHead) {
        this.#endBodiless(response, head, Buffer.byteLength(json), isLast || closeConnection);
        return;
      }
      if (isLast) {
        this.#writeLast(response, head, json);
        return;
      }
      response.writeHeader(X_REQUEST_ID, head);
      if (closeConnection) response.end(json, true);
      else this.#unread.end(response, Buffer.from(json));
    });
  }

  /** @param length of the body that is left out; undefined when there is none */
  #endBodiless(response: WebResponse, start: string, length: number | undefined, isLast: boolean): void {
    const head = length === undefined ? start : `${start}\r\ncontent-length: ${length}`;
    if (isLast || this.#unread.bodilessIsLast()) {
      this.#writeLast(response, head, undefined);
      return;
    }
    response.writeHeader(X_REQUEST_ID, head);
    // Without arguments: given a length, be it undefined, the server sends one of its own and waits for the body for ever.
    response.endWithoutBody();
  }

  /**
   * W3. Writes an answer, and lets it linger.
   * @param head value of x-request-id and all further lines, without the last line end and the length of a body
   * @param body undefined for none
   */
  #writeLast(response: WebResponse, head: string, body: string | undefined): void {
    const last = `${head}\r\ndate: ${this.#unread.httpDate()}\r\nconnection: close`;
    // The server puts a line end behind every header line: it ends the head here, and there it is white space after JSON.
    const text =
      body === undefined ? `${last}\r\n` : `${last}\r\ncontent-length: ${Buffer.byteLength(body) + 2}\r\n\r\n${body}`;
    response.writeHeader(X_REQUEST_ID, text);
    this.#unread.linger(response);
  }
}

const X_REQUEST_ID = Buffer.from('x-request-id');

export interface ProblemOptions {
  readonly requestId: string;
  readonly by?: Answerer;
  readonly retryAfterMs?: number;
  /** For 405: the methods that are. */
  readonly allow?: readonly string[];
  /** The request may have had its effect. */
  readonly outcomeUnknown?: boolean;
  /** The client's body was not read to its end, or its end is in dispute: W3. */
  readonly isLast?: boolean;
  /** The server is stopping. */
  readonly closeConnection?: boolean;
  readonly isHead?: boolean;
}

/** RFC 9457 */
function problemText(error: PlatformError, { requestId, outcomeUnknown = false }: ProblemOptions): string {
  return JSON.stringify({
    type: error.problem === undefined ? `/-/errors#${errorAnchor(error.code)}` : `urn:problem:${error.problem}`,
    title: error.title,
    status: error.status,
    detail: error.detail,
    code: error.code,
    requestId,
    retryable: error.retryable,
    ...(outcomeUnknown ? { outcome: 'unknown' } : {}),
  });
}

/** Header lines of a problem, beside x-request-id. */
function problemLines(error: PlatformError, options: ProblemOptions): string[] {
  const { by, allow, retryAfterMs = 0 } = options;
  const lines: string[] = [];
  if (by?.group !== undefined) lines.push(`x-group: ${by.group}`);
  if (by?.servedBy !== undefined) lines.push(`x-served-by: ${by.servedBy}`);
  if (error.status === 503) lines.push(`retry-after: ${Math.max(1, Math.ceil(retryAfterMs / 1000))}`);
  if (allow !== undefined) lines.push(`allow: ${allow.join(', ')}`);
  lines.push('content-type: application/problem+json', 'cache-control: no-store');
  return lines;
}
