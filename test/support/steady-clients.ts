/**
 * HTTP clients that behave as good ones do, and count what fails.
 *
 * Each has one keep-alive connection at a time. It moves on to the next interface server when a reply says
 * `connection: close`, when its connection was closed while nothing was out on it, and when a connection is refused.
 *
 * A request has FAILED when its reply is not 2xx, or when it was sent on an established connection and has no whole
 * reply. A refused connection is no failure: nothing was sent, and a load balancer would have gone elsewhere. There is
 * no second try of anything that was sent.
 */
import http from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

export interface SteadyClientsOptions {
  /** e.g. `http://127.0.0.1:8080`, one for each interface server. */
  readonly urls: readonly string[];
  readonly clients: number;
  readonly accounts: number;
  /** Whether each third request deposits 1 into an account. */
  readonly write: boolean;
  /** What others ask for, before the account. */
  readonly read: string;
  /** Between a reply and the next request. */
  readonly thinkMs: number;
}

export interface Answered {
  readonly path: string;
  readonly sentAtMs: number;
  readonly tookMs: number;
}

/** A request that nobody answers is a failure after this long. */
const PATIENCE_MS = 15_000;
/** With every server refusing, not to spin. */
const REFUSED_PAUSE_MS = 5;
const FAILURES_KEPT_MAX = 20;

export class SteadyClients {
  /** Balance, and number of entries, of each account. */
  readonly expected = new Map<string, number>();
  answered: Answered[] = [];
  /** The first ones, in words. */
  readonly failures: string[] = [];
  failed = 0;
  refused = 0;
  /** Connections opened by clients. */
  connections = 0;
  readonly #options: SteadyClientsOptions;
  #running = true;
  #clients: Promise<void>[] = [];

  constructor(options: SteadyClientsOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const opener = new Client(this.#options.urls, 0);
    for (let index = 0; index < this.#options.accounts; index++) {
      const account = `steady-${index}`;
      this.expected.set(account, 0);
      await this.#ask(opener, 'PUT', `/accounts/${account}`, '{}');
    }
    opener.close();
    this.#clients = Array.from({ length: this.#options.clients }, (_, index) => this.#client(index));
  }

  /** Lets every request that is out end. */
  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#clients);
  }

  async #client(index: number): Promise<void> {
    const client = new Client(this.#options.urls, index);
    const accounts = [...this.expected.keys()];
    for (let turn = index; this.#running; turn++) {
      const account = accounts[turn % accounts.length] as string;
      if (turn % 3 === 0 && this.#options.write) {
        const isDone = await this.#ask(client, 'POST', `/accounts/${account}/deposits`, '{"amount":1}');
        if (isDone) this.expected.set(account, (this.expected.get(account) ?? 0) + 1);
      } else await this.#ask(client, 'GET', `${this.#options.read}${account}`);
      if (this.#options.thinkMs > 0) await pause(this.#options.thinkMs);
    }
    client.close();
  }

  async #ask(client: Client, method: string, path: string, body?: string): Promise<boolean> {
    const sentAtMs = performance.now();
    for (;;) {
      const outcome = await client.ask(method, path, body);
      if (outcome.kind === 'refused') {
        this.refused++;
        await pause(REFUSED_PAUSE_MS);
        if (performance.now() - sentAtMs < PATIENCE_MS) continue;
      }
      this.connections += client.takeOpened();
      const tookMs = performance.now() - sentAtMs;
      if (outcome.kind === 'reply' && outcome.status >= 200 && outcome.status < 300) {
        this.answered.push({ path, sentAtMs, tookMs });
        return true;
      }
      this.failed++;
      const what = outcome.kind === 'reply' ? `${outcome.status} ${outcome.text}` : outcome.detail;
      if (this.failures.length < FAILURES_KEPT_MAX)
        this.failures.push(`${method} ${path} to ${client.url} after ${Math.round(tookMs)} ms: ${what.slice(0, 300)}`);
      return false;
    }
  }
}

type Outcome =
  | { readonly kind: 'reply'; readonly status: number; readonly text: string }
  /** Nothing was sent. */
  | { readonly kind: 'refused'; readonly detail: string }
  | { readonly kind: 'lost'; readonly detail: string };

class Client {
  readonly #urls: readonly string[];
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  #turn: number;
  #opened = 0;

  constructor(urls: readonly string[], first: number) {
    this.#urls = urls;
    this.#turn = first;
  }

  get url(): string {
    return this.#urls[this.#turn % this.#urls.length] as string;
  }

  takeOpened(): number {
    const opened = this.#opened;
    this.#opened = 0;
    return opened;
  }

  close(): void {
    this.#agent.destroy();
  }

  ask(method: string, path: string, body?: string): Promise<Outcome> {
    return new Promise((resolve) => {
      const headers = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': body.length };
      const request = http.request(`${this.url}${path}`, { method, agent: this.#agent, headers, timeout: PATIENCE_MS });
      const end = (outcome: Outcome, moveOn: boolean): void => {
        if (moveOn) this.#turn++;
        resolve(outcome);
      };
      const onError = (error: NodeJS.ErrnoException): void => {
        const detail = `${error.code ?? error.message}${request.reusedSocket ? ' on a connection used before' : ''}`;
        end({ kind: error.code === 'ECONNREFUSED' ? 'refused' : 'lost', detail }, true);
      };
      request.on('socket', () => {
        if (!request.reusedSocket) this.#opened++;
      });
      request.on('timeout', () => request.destroy(new Error('no reply')));
      request.on('error', onError);
      request.on('response', (response) => {
        const closes = response.headers.connection === 'close';
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () => {
          if (response.complete) end({ kind: 'reply', status: response.statusCode ?? 0, text }, closes);
          else end({ kind: 'lost', detail: 'half a reply' }, true);
        });
        response.on('error', onError);
      });
      request.end(body);
    });
  }
}
