/**
 * Writes answers to clients: a handler's reply as it came, an error as RFC 9457 problem+json.
 *
 * W1: every answer carries x-request-id; what came through the tiers also x-group, x-served-by and server-timing.
 * W2: a header line from inside was validated by the SDK; nothing of a client's request is echoed into a header.
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
  /** The server is stopping: the client's next request goes to another one. */
  readonly closeConnection: boolean;
}

/** Writes the REPLY frames of one server's requests to their clients. */
export class ReplyWriter {
  readonly #head: ReplyHead;

  /** @param incarnation of the server, the first half of every request id */
  constructor(incarnation: string) {
    this.#head = new ReplyHead(incarnation);
  }

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
      response.writeHeader(X_REQUEST_ID, lines); // W1, W2
      if (isHead || isBodiless(status)) response.endWithoutBody(isHead ? end - bodyAt : undefined, closeConnection);
      else response.end(message.subarray(bodyAt, end), closeConnection);
    });
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
  /** The client's body was not read to its end, so the connection cannot be used again. */
  readonly closeConnection?: boolean;
  readonly isHead?: boolean;
}

/** Writes an error as problem+json. */
export function writeProblem(response: WebResponse, error: PlatformError, options: ProblemOptions): void {
  const body = Buffer.from(
    JSON.stringify({
      type: error.problem === undefined ? `/-/errors#${errorAnchor(error.code)}` : `urn:problem:${error.problem}`,
      title: error.title,
      status: error.status,
      detail: error.detail,
      code: error.code,
      requestId: options.requestId,
      retryable: error.retryable,
      ...(options.outcomeUnknown === true ? { outcome: 'unknown' } : {}),
    }),
  );
  response.cork(() => {
    response.writeStatus(statusLine(error.status));
    response.writeHeader('x-request-id', options.requestId); // W1
    if (options.by?.group !== undefined) response.writeHeader('x-group', options.by.group);
    if (options.by?.servedBy !== undefined) response.writeHeader('x-served-by', options.by.servedBy);
    if (error.status === 503) {
      const seconds = Math.max(1, Math.ceil((options.retryAfterMs ?? 0) / 1000));
      response.writeHeader('retry-after', String(seconds));
    }
    if (options.allow !== undefined) response.writeHeader('allow', options.allow.join(', '));
    response.writeHeader('content-type', 'application/problem+json');
    response.writeHeader('cache-control', 'no-store');
    if (options.isHead === true) response.endWithoutBody(body.length, options.closeConnection === true);
    else response.end(body, options.closeConnection === true);
  });
}
