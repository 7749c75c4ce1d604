/**
 * The admin listener that every server has beside its own: metrics, health, readiness, status, and actions.
 *
 * | request                  | answer                                                                             |
 * |--------------------------|------------------------------------------------------------------------------------|
 * | GET /metrics             | Prometheus text                                                                    |
 * | GET /-/health            | 200 while the process turns its event loop                                         |
 * | GET /-/ready             | 200, or 503 with the reasons                                                       |
 * | GET /-/status            | JSON for people and for the dashboard                                              |
 * | POST /-/actions/<name>   | needs `authorization: Bearer <cluster token>`; body and answer are JSON            |
 * | anything else            | 404                                                                                |
 *
 * A1: nothing is changed without the token, which is compared in constant time, before the body is read.
 * A2: a response is touched only while its client is there: uWebSockets.js throws otherwise.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { errorAnchor, PlatformError, toPlatformError } from './errors.ts';
import type { Metrics } from './metrics.ts';
import type { Tier } from './server-process.ts';
import { createWebApp, listenExclusive, type WebRequest, type WebResponse } from './web-server.ts';

/** What an action is told is a few fields. */
export const ACTION_BODY_BYTES_MAX = 64 * 1024;
/** Actions running at once; they are for operators, and each may take long. */
export const ACTIONS_RUNNING_MAX = 16;

export type AdminAction = (body: unknown) => Promise<unknown>;

export interface AdminServerOptions {
  /** host:port; port 0 lets the system choose. */
  readonly address: string;
  readonly serverId: string;
  readonly tier: Tier;
  /** The cluster token. */
  readonly token: string;
  readonly metrics: Metrics;
  readonly ready: () => { readonly ready: boolean; readonly reasons: readonly string[] };
  readonly status: () => unknown;
  /** By name, as it stands in the path. */
  readonly actions?: Readonly<Record<string, AdminAction>> | undefined;
}

export interface AdminServer {
  /** host:port really listened on. */
  readonly address: string;
  close(): void;
}

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** @throws PlatformError PORT_TAKEN */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const app = createWebApp();
  const admin = new AdminRequests(options);
  app.any('/*', (response, request) => admin.serve(response, request));
  const socket = await listenExclusive(app, options.address);
  let closed = false;
  const close = (): void => {
    if (!closed) app.close();
    closed = true;
  };
  return { address: socket.address, close };
}

class AdminRequests {
  readonly #options: AdminServerOptions;
  readonly #actions: ReadonlyMap<string, AdminAction>;
  readonly #tokenDigest: Buffer;
  #actionsRunning = 0;

  constructor(options: AdminServerOptions) {
    this.#options = options;
    this.#actions = new Map(Object.entries(options.actions ?? {}));
    this.#tokenDigest = digestOf(options.token);
  }

  serve(response: WebResponse, request: WebRequest): void {
    const method = request.getMethod();
    const path = request.getUrl();
    const reply = new AdminReply(response, method === 'head');
    if (method === 'post' && path.startsWith('/-/actions/')) {
      const authorization = request.getHeader('authorization');
      reply.answerWith(this.#act(reply, path.slice('/-/actions/'.length), authorization));
    } else if (method === 'get' || method === 'head') {
      reply.answerWith(this.#look(path));
    } else {
      reply.answerWith(Promise.reject(unknownPath(method, path)));
    }
  }

  async #look(path: string): Promise<Answer> {
    const { serverId, tier, metrics, ready, status } = this.#options;
    switch (path) {
      case '/metrics':
        return { status: 200, contentType: 'text/plain; version=0.0.4; charset=utf-8', body: await metrics.text() };
      case '/-/health':
        return json(200, { status: 'alive', serverId, tier });
      case '/-/ready': {
        const readiness = ready();
        return json(readiness.ready ? 200 : 503, {
          ready: readiness.ready,
          serverId,
          tier,
          reasons: readiness.reasons,
        });
      }
      case '/-/status':
        return json(200, status());
      default:
        throw unknownPath('get', path);
    }
  }

  async #act(reply: AdminReply, name: string, authorization: string): Promise<Answer> {
    if (!this.#holdsToken(authorization)) {
      throw new PlatformError(
        'TOKEN_REFUSED',
        'Expected `authorization: Bearer <cluster token>` with the token of this cluster.',
      );
    }
    const action = this.#actions.get(name);
    if (action === undefined) {
      const known = [...this.#actions.keys()].sort().join(', ') || 'none';
      throw new PlatformError('ROUTE_UNKNOWN', `No action ${name} on ${this.#options.serverId}; there are: ${known}.`);
    }
    const body = await reply.readJson();
    if (this.#actionsRunning >= ACTIONS_RUNNING_MAX) {
      throw new PlatformError(
        'QUEUE_FULL',
        `At most ${ACTIONS_RUNNING_MAX} actions run at once: try again when one is done.`,
      );
    }
    this.#actionsRunning++;
    try {
      return json(200, (await action(body)) ?? {});
    } finally {
      this.#actionsRunning--;
    }
  }

  /** A1 */
  #holdsToken(authorization: string): boolean {
    const [scheme, token] = [authorization.slice(0, 7), authorization.slice(7)];
    return scheme.toLowerCase() === 'bearer ' && timingSafeEqual(digestOf(token), this.#tokenDigest);
  }
}

/** One request's response, safe against a client that goes away (A2). */
class AdminReply {
  readonly #response: WebResponse;
  readonly #withoutBody: boolean;
  #gone = false;
  #rejectBody: ((reason: PlatformError) => void) | undefined;
  /** Chunks may come before anybody asks for them; they are kept up to the bound. */
  readonly #body: Promise<Buffer>;

  constructor(response: WebResponse, withoutBody: boolean) {
    this.#response = response;
    this.#withoutBody = withoutBody;
    this.#body = new Promise((resolve, reject) => {
      this.#rejectBody = reject;
      collectBody(response, resolve, reject);
    });
    this.#body.catch(() => undefined); // most requests have no reader for it
    response.onAborted(() => {
      this.#gone = true;
      this.#rejectBody?.(new PlatformError('CANCELLED', 'The client went away.'));
    });
  }

  /** @throws PlatformError BODY_TOO_LARGE, BODY_INVALID */
  async readJson(): Promise<unknown> {
    const bytes = await this.#body;
    if (bytes.length === 0) return {};
    try {
      return JSON.parse(bytes.toString('utf8'));
    } catch {
      throw new PlatformError('BODY_INVALID', `Expected a JSON body, got ${bytes.length} bytes of something else.`);
    }
  }

  answerWith(answer: Promise<Answer>): void {
    void answer.catch(problem).then((settled) => this.#write(settled));
  }

  #write(answer: Answer): void {
    if (this.#gone) return; // A2
    this.#gone = true;
    const response = this.#response;
    response.cork(() => {
      response.writeStatus(String(answer.status));
      response.writeHeader('content-type', answer.contentType);
      response.writeHeader('cache-control', 'no-store');
      for (const [name, value] of Object.entries(answer.headers ?? {})) response.writeHeader(name, value);
      if (this.#withoutBody) {
        response.writeHeader('content-length', String(Buffer.byteLength(answer.body)));
        response.endWithoutBody(); // given the length, it would wait for the body for ever
      } else response.end(answer.body);
    });
  }
}

function collectBody(
  response: WebResponse,
  resolve: (body: Buffer) => void,
  reject: (reason: PlatformError) => void,
): void {
  const chunks: Buffer[] = [];
  let bodyBytes = 0;
  response.onData((chunk, isLast) => {
    bodyBytes += chunk.byteLength;
    if (bodyBytes <= ACTION_BODY_BYTES_MAX) {
      chunks.push(Buffer.from(new Uint8Array(chunk))); // the chunk is gone after this call
    } else {
      chunks.length = 0;
      reject(
        new PlatformError('BODY_TOO_LARGE', `Expected a body of at most ${ACTION_BODY_BYTES_MAX} bytes, got more.`),
      );
    }
    if (isLast) resolve(Buffer.concat(chunks));
  });
}

function json(status: number, value: unknown): Answer {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value)}\n` };
}

/** RFC 9457 */
function problem(thrown: unknown): Answer {
  const error = toPlatformError(thrown);
  const body = {
    type: `/-/errors#${errorAnchor(error.code)}`,
    title: error.title,
    status: error.status,
    detail: error.detail,
    code: error.code,
    retryable: error.retryable,
  };
  const answer = { ...json(error.status, body), contentType: 'application/problem+json' };
  return error.code === 'TOKEN_REFUSED' ? { ...answer, headers: { 'www-authenticate': 'Bearer' } } : answer;
}

function unknownPath(method: string, path: string): PlatformError {
  const known = 'GET /metrics, /-/health, /-/ready, /-/status and POST /-/actions/<name>';
  return new PlatformError(
    'ROUTE_UNKNOWN',
    `Nothing at ${method.toUpperCase()} ${path.slice(0, 200)}; there are ${known}.`,
  );
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
