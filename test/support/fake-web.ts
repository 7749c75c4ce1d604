/** A client's request and the response to it, as uWebSockets.js would give them to an interface server. */
import type { WebRequest, WebResponse } from '../../shared/web-server.ts';

export interface RequestLine {
  readonly method?: string;
  /** Path and query. */
  readonly target?: string;
  /** In the order they came, names lower-case as the server makes them; a name may stand there twice. */
  readonly headers?: readonly (readonly [name: string, value: string])[];
}

export function fakeRequest(line: RequestLine = {}): WebRequest {
  const { method = 'GET', target = '/', headers = [] } = line;
  const question = target.indexOf('?');
  const fake = {
    getCaseSensitiveMethod: () => method,
    getMethod: () => method.toLowerCase(),
    getUrl: () => (question === -1 ? target : target.slice(0, question)),
    getQuery: () => (question === -1 ? undefined : target.slice(question + 1)),
    forEach: (take: (name: string, value: string) => void) => {
      for (const [name, value] of headers) take(name, value);
    },
  };
  return fake as unknown as WebRequest;
}

/** Records what is written, as the bytes of the head that would leave. Writing after the end fails the test. */
export class FakeResponse {
  statusLine = '200 OK';
  /** Head lines as they would leave: a value with line ends in it makes several. */
  head = '';
  body: Buffer | undefined;
  /** content-length of an answer without a body, when one was given. */
  bareLength: number | undefined;
  closesConnection = false;
  /** Cut off without an answer. */
  cut = false;
  /** Answered, but not to the server's knowledge: closed later. */
  lingers = false;
  ends = 0;
  /** Bytes of a body that the client's system takes before it is read; the rest is taken by `drain()`. */
  takesBytes = Number.POSITIVE_INFINITY;
  /** Bytes taken of a body that did not leave at once. */
  #taken = Buffer.alloc(0);
  #onWritable: ((offset: number) => boolean) | undefined;
  #onAborted: () => void = () => {};
  #onData: ((chunk: ArrayBuffer, isLast: boolean) => void) | undefined;

  /** What a pipeline takes it for. */
  get web(): WebResponse {
    return this as unknown as WebResponse;
  }

  get status(): number {
    return Number(this.statusLine.slice(0, 3));
  }

  header(name: string): string | undefined {
    const line = this.head.split('\r\n').find((each) => each.startsWith(`${name}: `));
    return line?.slice(name.length + 2);
  }

  get json(): Record<string, unknown> {
    return JSON.parse(this.body?.toString() ?? '') as Record<string, unknown>;
  }

  get reading(): boolean {
    return this.#onData !== undefined;
  }

  /** The client goes away. */
  abort(): void {
    this.#onAborted();
  }

  /** A part of the request's body comes. */
  data(text: string | Uint8Array, isLast: boolean): void {
    const bytes = Uint8Array.from(Buffer.from(text as string));
    this.#onData?.(bytes.buffer, isLast);
    bytes.fill(0); // the server's buffer is gone after the call
  }

  cork(write: () => void): this {
    write();
    return this;
  }

  onAborted(callback: () => void): this {
    this.#onAborted = callback;
    return this;
  }

  onData(callback: (chunk: ArrayBuffer, isLast: boolean) => void): this {
    this.#onData = callback;
    return this;
  }

  writeStatus(line: string): this {
    this.#open();
    this.statusLine = line;
    return this;
  }

  writeHeader(name: string, value: string): this {
    this.#open();
    this.head += `${name}: ${value}\r\n`;
    const headEnd = this.head.indexOf('\r\n\r\n');
    if (headEnd !== -1 && this.head.includes('\r\nconnection: close\r\n')) this.#takeWholeAnswer(headEnd + 4);
    return this;
  }

  /** An answer written as one header line; the server does not know that it is one, and keeps it pending. */
  #takeWholeAnswer(headEnd: number): void {
    this.lingers = true;
    this.ends++;
    this.closesConnection = this.header('connection') === 'close';
    const body = this.head.slice(headEnd);
    this.head = this.head.slice(0, headEnd);
    if (body === '') this.#takeBareLength();
    else this.body = Buffer.from(body);
    if (this.body !== undefined && this.body.length !== Number(this.header('content-length')))
      throw new Error('expected the length of the body');
  }

  tryEnd(body: Uint8Array, bytesInAll: number): [ok: boolean, done: boolean] {
    this.#open();
    const taken = body.subarray(0, Math.max(0, this.takesBytes));
    this.takesBytes -= taken.length;
    this.#taken = Buffer.concat([this.#taken, taken]);
    const done = this.#taken.length === bytesInAll;
    if (done) this.end(this.#taken);
    return [taken.length === body.length, done];
  }

  getWriteOffset(): number {
    return this.#taken.length;
  }

  onWritable(callback: (offset: number) => boolean): this {
    this.#onWritable = callback;
    return this;
  }

  /** The client reads: so many bytes more are taken. */
  drain(bytes: number): void {
    this.takesBytes = bytes;
    this.#onWritable?.(this.#taken.length);
  }

  end(body?: string | Uint8Array, closeConnection = false): this {
    this.#end(closeConnection);
    this.body = Buffer.from((body ?? '') as string);
    return this;
  }

  /** Given any argument, the server sends a length of its own and takes the response for unfinished. */
  endWithoutBody(...more: unknown[]): this {
    if (more.length > 0) throw new Error('expected no length: the response would stay pending for ever');
    this.#end(false);
    this.#takeBareLength();
    return this;
  }

  #takeBareLength(): void {
    const length = this.header('content-length');
    this.bareLength = length === undefined ? undefined : Number(length);
  }

  close(): this {
    if (!this.lingers) this.#open();
    this.lingers = false;
    this.cut = true;
    this.#onAborted();
    return this;
  }

  #end(closeConnection: boolean): void {
    this.#open();
    this.ends++;
    this.closesConnection = closeConnection;
  }

  #open(): void {
    if (this.ends > 0 || this.cut) throw new Error('expected one answer to a request, got a second one');
  }
}
