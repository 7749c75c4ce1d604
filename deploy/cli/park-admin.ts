/** The park as commands talk to it: over HTTP, with the cluster token, at whichever coordinator answers. */
import http from 'node:http';
import { systemClock } from '../../shared/clock.ts';
import { coordinatorPlaces } from '../../shared/cluster-servers.ts';
import type { ClusterConfig } from '../../shared/config/cluster-schema.ts';
import { readSecret } from '../../shared/config/secret.ts';
import { ERROR_KINDS, type ErrorCode, PlatformError } from '../../shared/errors.ts';
import { reachableAddress } from '../local-cluster/readiness.ts';
import { CHECKOUT_FOLDER } from './checkout.ts';
import { EventReader } from './event-reader.ts';

const ANSWER_MS_MAX = 5_000;
const AGAIN_AFTER_MS = 500;

export interface ParkAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

export class ParkAdmin {
  readonly #addresses: readonly string[];
  readonly #token: string;

  /** @throws PlatformError CONFIG_INVALID when there is no token */
  constructor(config: ClusterConfig, rootFolder: string = CHECKOUT_FOLDER) {
    this.#addresses = coordinatorPlaces(config).map(({ admin }) => admin);
    this.#token = readSecret(config.token, rootFolder);
  }

  /** @throws PlatformError NO_COORDINATOR; what the coordinator refused with */
  async ask(
    method: string,
    path: string,
    body?: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<ParkAnswer> {
    let reason = '';
    for (const address of this.#addresses) {
      let answer: ParkAnswer;
      try {
        answer = await textOf(await this.#request(address, method, path, body, headers));
      } catch (thrown) {
        const { code, message } = thrown as NodeJS.ErrnoException;
        reason = `${address}: ${code ?? message}`;
        continue;
      }
      if (answer.status === 404 && !isPark(answer)) continue; // a checkpointer keeps no park for others
      if (answer.status < 400) return answer;
      throw refusalOf(address, answer);
    }
    const detail = `no coordinator answers (${reason || 'only a checkpointer does'}). Does the cluster run, on this machine, with this config?`;
    throw new PlatformError('NO_COORDINATOR', detail);
  }

  /** Tells each change until the process ends; goes on where it was when the coordinator is gone for a while. */
  async watch(path: string, onEvent: (kind: string, data: unknown) => void): Promise<never> {
    const reader = new EventReader(onEvent);
    await this.ask('GET', `${path.split('/').slice(0, 3).join('/')}?limit=1`); // refused now rather than tried for ever
    for (;;) {
      for (const address of this.#addresses) await this.#watchAt(address, path, reader);
      await systemClock.sleep(AGAIN_AFTER_MS);
    }
  }

  async #watchAt(address: string, path: string, reader: EventReader): Promise<void> {
    const last = reader.lastId === '' ? {} : { 'last-event-id': reader.lastId };
    try {
      const response = await this.#request(address, 'GET', `${path}?watch=true`, undefined, last);
      if (response.statusCode !== 200) {
        response.resume();
        return;
      }
      reader.begin();
      for await (const chunk of response.setEncoding('utf8')) reader.read(chunk as string);
    } catch {
      // It is gone; the next one, or the next try, goes on after the last event.
    }
  }

  #request(
    address: string,
    method: string,
    path: string,
    body: string | undefined,
    more: Readonly<Record<string, string>>,
  ): Promise<http.IncomingMessage> {
    const headers = { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json', ...more };
    return new Promise((resolve, reject) => {
      const url = `http://${reachableAddress(address)}${path}`;
      const request = http.request(url, { method, agent: false, headers });
      request.setTimeout(ANSWER_MS_MAX * 3, () => request.destroy(new Error('no answer'))); // streams say something every 5 s
      request.on('error', reject);
      request.on('response', resolve);
      request.end(body);
    });
  }
}

async function textOf(response: http.IncomingMessage): Promise<ParkAnswer> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk as string;
  return { status: response.statusCode ?? 0, headers: response.headers, text };
}

function isPark({ text }: ParkAnswer): boolean {
  return codeOf(text) !== 'ROUTE_UNKNOWN';
}

function refusalOf(address: string, { status, text }: ParkAnswer): PlatformError {
  const code = codeOf(text);
  const { detail } = jsonOf(text);
  if (code !== undefined && code in ERROR_KINDS)
    return new PlatformError(code as ErrorCode, detail ?? `HTTP ${status}`);
  return new PlatformError(
    'NO_COORDINATOR',
    `expected a coordinator at ${address}, got HTTP ${status} of something else`,
  );
}

function codeOf(text: string): string | undefined {
  return jsonOf(text).code;
}

function jsonOf(text: string): { readonly code?: string; readonly detail?: string } {
  try {
    return (JSON.parse(text) ?? {}) as { code?: string; detail?: string };
  } catch {
    return {};
  }
}
