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
 * | what begins as a route's | the route's own (the coordinator's park)                                           |
 * | anything else            | 404                                                                                |
 *
 * A1: no action is taken without the token, which is compared in constant time, before the body is read.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { AdminExchange, type Answer, jsonAnswer } from './admin-exchange.ts';
import { PlatformError } from './errors.ts';
import type { Metrics } from './metrics.ts';
import type { Tier } from './server-process.ts';
import { createWebApp, listenExclusive, type WebRequest, type WebResponse } from './web-server.ts';

/** What an action is told is a few fields. */
export const ACTION_BODY_BYTES_MAX = 64 * 1024;
/** Actions running at once; they are for operators, and each may take long. */
export const ACTIONS_RUNNING_MAX = 16;

export type AdminAction = (body: unknown) => Promise<unknown>;

export interface AdminRoute {
  /** What its paths begin with, e.g. `/park`. */
  readonly prefix: string;
  readonly bodyBytesMax: number;
  /** @returns the answer; undefined when it is a stream. It sees itself to who may ask. */
  serve(exchange: AdminExchange): Promise<Answer | undefined>;
}

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
  readonly routes?: readonly AdminRoute[] | undefined;
  /** By name, as it stands in the path. */
  readonly actions?: Readonly<Record<string, AdminAction>> | undefined;
}

export interface AdminServer {
  /** host:port really listened on. */
  readonly address: string;
  close(): void;
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
    const url = request.getUrl();
    const route = this.#options.routes?.find(({ prefix }) => url.startsWith(prefix));
    const exchange = new AdminExchange(response, request, route?.bodyBytesMax ?? ACTION_BODY_BYTES_MAX);
    const { method, path } = exchange;
    if (route !== undefined) exchange.answerWith(route.serve(exchange));
    else if (method === 'POST' && path.startsWith('/-/actions/'))
      exchange.answerWith(this.#act(exchange, path.slice('/-/actions/'.length)));
    else if (method === 'GET' || method === 'HEAD') exchange.answerWith(this.#look(path));
    else exchange.answerWith(Promise.reject(unknownPath(method, path)));
  }

  async #look(path: string): Promise<Answer> {
    const { serverId, tier, metrics, ready, status } = this.#options;
    switch (path) {
      case '/metrics':
        return { status: 200, contentType: 'text/plain; version=0.0.4; charset=utf-8', body: await metrics.text() };
      case '/-/health':
        return jsonAnswer(200, { status: 'alive', serverId, tier });
      case '/-/ready': {
        const readiness = ready();
        return jsonAnswer(readiness.ready ? 200 : 503, {
          ready: readiness.ready,
          serverId,
          tier,
          reasons: readiness.reasons,
        });
      }
      case '/-/status':
        return jsonAnswer(200, status());
      default:
        throw unknownPath('GET', path);
    }
  }

  async #act(exchange: AdminExchange, name: string): Promise<Answer> {
    if (!this.#holdsToken(exchange.header('authorization'))) {
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
    const body = await exchange.readJson();
    if (this.#actionsRunning >= ACTIONS_RUNNING_MAX) {
      throw new PlatformError(
        'QUEUE_FULL',
        `At most ${ACTIONS_RUNNING_MAX} actions run at once: try again when one is done.`,
      );
    }
    this.#actionsRunning++;
    try {
      return jsonAnswer(200, (await action(body)) ?? {});
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

function unknownPath(method: string, path: string): PlatformError {
  const known = 'GET /metrics, /-/health, /-/ready, /-/status and POST /-/actions/<name>';
  return new PlatformError('ROUTE_UNKNOWN', `Nothing at ${method} ${path.slice(0, 200)}; there are ${known}.`);
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
