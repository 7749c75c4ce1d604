/**
 * One request on an admin listener, and its answer: whole, or as a stream.
 *
 * X1: a response is touched only while its client is there: uWebSockets.js throws otherwise.
 * X2: a body is kept up to its bound; beyond, it is refused and let go.
 * X3: a client that does not read its stream is cut off once STREAM_UNSENT_BYTES_MAX wait for it.
 */
import { errorAnchor, PlatformError, toPlatformError } from './errors.ts';
import type { WebRequest, WebResponse } from './web-server.ts';

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Of what a client has not read; more than any burst of events. */
export const STREAM_UNSENT_BYTES_MAX = 4 * 1024 * 1024;

export class AdminExchange {
  /** Upper case. */
  readonly method: string;
  /** As it was sent. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly #headers = new Map<string, string>();
  readonly #response: WebResponse;
  readonly #bodyBytesMax: number;
  #gone = false;
  #stream: AdminStream | undefined;
  #onGone: () => void = () => {};
  #rejectBody: ((reason: PlatformError) => void) | undefined;
  /** Chunks may come before anybody asks for them; they are kept up to the bound. */
  readonly #body: Promise<Buffer>;

  /** @param request read here and now: it does not outlive this turn */
  constructor(response: WebResponse, request: WebRequest, bodyBytesMax: number) {
    this.method = request.getMethod().toUpperCase();
    this.path = request.getUrl();
    this.query = new URLSearchParams(request.getQuery());
    request.forEach((name, value) => this.#headers.set(name, value));
    this.#response = response;
    this.#bodyBytesMax = bodyBytesMax;
    this.#body = new Promise((resolve, reject) => {
      this.#rejectBody = reject;
      this.#collectBody(resolve, reject);
    });
    this.#body.catch(() => undefined); // most requests have no reader for it
    response.onAborted(() => {
      this.#gone = true;
      this.#rejectBody?.(new PlatformError('CANCELLED', 'The client went away.'));
      this.#stream?.gone();
      this.#onGone();
    });
  }

  /** @param name lower case @returns '' when it is not there */
  header(name: string): string {
    return this.#headers.get(name) ?? '';
  }

  get isGone(): boolean {
    return this.#gone;
  }

  /** Called when the client goes away before its answer. */
  onGone(callback: () => void): void {
    this.#onGone = callback;
  }

  /** @throws PlatformError BODY_TOO_LARGE, BODY_INVALID when it is no UTF-8 */
  async readText(): Promise<string> {
    const bytes = await this.#body;
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    } catch {
      throw new PlatformError('BODY_INVALID', `Expected a body in UTF-8, got ${bytes.length} bytes of something else.`);
    }
  }

  /** @returns {} when there is no body @throws PlatformError BODY_TOO_LARGE, BODY_INVALID */
  async readJson(): Promise<unknown> {
    const text = await this.readText();
    if (text === '') return {};
    try {
      return JSON.parse(text);
    } catch {
      throw new PlatformError('BODY_INVALID', `Expected a JSON body, got ${text.length} characters of something else.`);
    }
  }

  /** @param answer undefined: it is a stream */
  answerWith(answer: Promise<Answer | undefined>): void {
    void answer.catch(problemAnswer).then((settled) => {
      if (settled !== undefined) this.#write(settled);
    });
  }

  /** Begins an answer that goes on until it is closed. */
  beginStream(contentType: string): AdminStream {
    const response = this.#response;
    if (this.#gone) throw new PlatformError('CANCELLED', 'The client went away.'); // X1
    response.cork(() => {
      response.writeStatus('200');
      response.writeHeader('content-type', contentType);
      response.writeHeader('cache-control', 'no-store');
    });
    this.#stream = new AdminStream(response);
    return this.#stream;
  }

  #write(answer: Answer): void {
    if (this.#gone || this.#stream !== undefined) return; // X1
    this.#gone = true;
    const response = this.#response;
    response.cork(() => {
      response.writeStatus(String(answer.status));
      response.writeHeader('content-type', answer.contentType);
      response.writeHeader('cache-control', 'no-store');
      for (const [name, value] of Object.entries(answer.headers ?? {})) response.writeHeader(name, value);
      if (this.method === 'HEAD' || answer.status === 304) {
        response.writeHeader('content-length', String(Buffer.byteLength(answer.body)));
        response.endWithoutBody(); // given the length, it would wait for the body for ever
      } else response.end(answer.body);
    });
  }

  /** X2 */
  #collectBody(resolve: (body: Buffer) => void, reject: (reason: PlatformError) => void): void {
    const chunks: Buffer[] = [];
    let bodyBytes = 0;
    this.#response.onData((chunk, isLast) => {
      bodyBytes += chunk.byteLength;
      if (bodyBytes <= this.#bodyBytesMax) {
        chunks.push(Buffer.from(new Uint8Array(chunk))); // the chunk is gone after this call
      } else {
        chunks.length = 0;
        const detail = `Expected a body of at most ${this.#bodyBytesMax} bytes, got more.`;
        reject(new PlatformError('BODY_TOO_LARGE', detail));
      }
      if (isLast) resolve(Buffer.concat(chunks));
    });
  }
}

export class AdminStream {
  readonly #response: WebResponse;
  /** Bytes written since the client stopped reading; undefined: it reads. */
  #unsentBytes: number | undefined;
  #isOpen = true;
  #onClosed: () => void = () => {};

  constructor(response: WebResponse) {
    this.#response = response;
    response.onWritable(() => {
      this.#unsentBytes = undefined;
      return true;
    });
  }

  /** Called once, however it ends. */
  onClosed(callback: () => void): void {
    this.#onClosed = callback;
  }

  /** @returns false when it has ended; X3 */
  write(text: string): boolean {
    if (!this.#isOpen) return false;
    const bytes = Buffer.byteLength(text);
    let isTaken = true;
    this.#response.cork(() => {
      isTaken = this.#response.write(text);
    });
    if (!isTaken || this.#unsentBytes !== undefined) this.#unsentBytes = (this.#unsentBytes ?? 0) + bytes;
    if ((this.#unsentBytes ?? 0) <= STREAM_UNSENT_BYTES_MAX) return true;
    this.#response.close();
    this.gone();
    return false;
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#response.cork(() => this.#response.end());
    this.gone();
  }

  /** The client is not there any more. */
  gone(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#onClosed();
  }
}

export function jsonAnswer(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value)}\n`, headers };
}

/** RFC 9457 */
export function problemAnswer(thrown: unknown): Answer {
  const error = toPlatformError(thrown);
  const body = {
    type: `/-/errors#${errorAnchor(error.code)}`,
    title: error.title,
    status: error.status,
    detail: error.detail,
    code: error.code,
    retryable: error.retryable,
  };
  const answer = { ...jsonAnswer(error.status, body), contentType: 'application/problem+json' };
  return error.code === 'TOKEN_REFUSED' ? { ...answer, headers: { 'www-authenticate': 'Bearer' } } : answer;
}
