/** Runs handlers in a test the way app-pipeline.ts does: a request in, one outcome out. */
import assert from 'node:assert/strict';
import { HandlerRegistry } from '../../app-server/handler-registry.ts';
import {
  type HandlerReply,
  HandlerRunner,
  type IncomingRequest,
  type ParkDoor,
  type StoreDoor,
} from '../../app-server/handler-runner.ts';
import {
  type Context,
  defineService,
  type RouteDefinition,
  route,
  type ServiceDefinition,
} from '../../app-server/sdk/sdk.ts';
import { type Clock, systemClock } from '../../shared/clock.ts';
import type { PlatformError } from '../../shared/errors.ts';
import { type Logger, silentLogger } from '../../shared/log.ts';

export interface Answer {
  readonly reply?: HandlerReply;
  readonly error?: PlatformError;
}

export const noStore: StoreDoor = {
  read: () => Promise.reject(new Error('this test has no store')),
  write: () => Promise.reject(new Error('this test has no store')),
};

export const noPark: ParkDoor = {
  get park(): never {
    throw new Error('this test has no park');
  },
};

export interface HandlerBenchOptions {
  readonly store?: StoreDoor;
  readonly park?: ParkDoor;
  readonly clock?: Clock;
  readonly log?: Logger;
  readonly replyBytesMax?: number;
}

export type RequestFields = Partial<Omit<IncomingRequest, 'body'>> & { body?: unknown; timeoutMs?: number };

export class HandlerBench {
  readonly runner: HandlerRunner;
  /** Outcomes of all requests so far; one each when all is well. */
  outcomes = 0;
  readonly #clock: Clock;
  #requests = 0;

  constructor(services: readonly ServiceDefinition[], options: HandlerBenchOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.runner = new HandlerRunner({
      registry: new HandlerRegistry(services),
      store: options.store ?? noStore,
      park: options.park ?? noPark,
      log: options.log ?? silentLogger,
      limits: { replyBytesMax: options.replyBytesMax ?? 1024 * 1024 },
      clock: this.#clock,
    });
  }

  /** @param fields a body of text or bytes goes as it is, anything else as JSON with its content type */
  request(method: string, target: string, fields: RequestFields = {}): IncomingRequest {
    const { body, timeoutMs = 5000, headerBlock = '', ...rest } = fields;
    this.#requests += 1;
    const plain = body === undefined || typeof body === 'string' || body instanceof Uint8Array;
    const bytes = body instanceof Uint8Array ? body : Buffer.from(plain ? (body ?? '') : JSON.stringify(body));
    return {
      requestId: `request-${this.#requests}`,
      account: /^\/[^/]+\/([^/?]+)/.exec(target)?.[1] ?? 'alice',
      bucket: 7,
      method,
      target,
      headerBlock: plain ? headerBlock : `${headerBlock}content-type:application/json\n`,
      body: bytes,
      deadlineAtMs: this.#clock.nowMs() + timeoutMs,
      traceparent: '',
      dbMicros: 0,
      onCancel: null,
      ...rest,
    };
  }

  /** Resolves with the first outcome; `outcomes` tells whether there were more. */
  answer(request: IncomingRequest): Promise<Answer> {
    return new Promise((resolve) => {
      const note = (answer: Answer): void => {
        this.outcomes += 1;
        resolve(answer);
      };
      this.runner.run(request, { reply: (reply) => note({ reply }), fail: (error) => note({ error }) });
    });
  }

  ask(method: string, target: string, fields?: RequestFields): Promise<Answer> {
    return this.answer(this.request(method, target, fields));
  }

  /** Status and parsed JSON of a reply; of an error its status, code and detail. */
  async json(method: string, target: string, fields?: RequestFields): Promise<{ status: number; value: unknown }> {
    const { reply, error } = await this.ask(method, target, fields);
    if (error !== undefined) {
      return { status: error.status, value: { code: error.code, problem: error.problem, detail: error.detail } };
    }
    assert.ok(reply !== undefined);
    return { status: reply.status, value: reply.body.length === 0 ? undefined : JSON.parse(String(reply.body)) };
  }
}

export const serviceOf = (...routes: RouteDefinition[]): ServiceDefinition => defineService({ name: 'test', routes });

/** A service with `GET /x`. */
export const serviceWith = (handler: (ctx: Context) => unknown): ServiceDefinition =>
  serviceOf(route({ method: 'GET', path: '/x', handler }));

export interface LogLine {
  readonly level: string;
  readonly fields: Record<string, unknown>;
}

export function recordingLog(): { log: Logger; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const note = (level: string) => (fields: Record<string, unknown>) => void lines.push({ level, fields });
  const log = { warn: note('warn'), error: note('error'), info: note('info') };
  return { log: log as unknown as Logger, lines };
}

/** Everything that was ready to go on has gone on. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
