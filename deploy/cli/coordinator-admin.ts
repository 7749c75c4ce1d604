/** The coordinator as commands talk to it: its admin listener, with the cluster token. */
import http from 'node:http';
import { coordinatorPlaces } from '../../shared/cluster-servers.ts';
import type { ClusterConfig } from '../../shared/config/cluster-schema.ts';
import { readSecret } from '../../shared/config/secret.ts';
import { ERROR_KINDS, type ErrorCode, PlatformError, toPlatformError } from '../../shared/errors.ts';
import { reachableAddress } from '../local-cluster/readiness.ts';
import { CHECKOUT_FOLDER } from './checkout.ts';

/** A coordinator that takes longer, its disk included, is taken for down. */
const ANSWER_MS_MAX = 5_000;

export class CoordinatorAdmin {
  readonly #addresses: readonly string[];
  readonly #token: string;

  /** @throws PlatformError CONFIG_INVALID when there is no token: then no cluster was ever started either */
  constructor(config: ClusterConfig, rootFolder: string = CHECKOUT_FOLDER) {
    this.#addresses = coordinatorPlaces(config).map(({ admin }) => admin);
    this.#token = readSecret(config.token, rootFolder);
  }

  /**
   * @param action as in shared/admin-server.ts
   * @throws PlatformError NO_COORDINATOR; TOKEN_REFUSED; whatever the action was refused with
   */
  async act(action: string, body: unknown): Promise<unknown> {
    let reason = '';
    let refused: PlatformError | undefined;
    for (const address of this.#addresses) {
      let answer: { status: number; text: string };
      try {
        answer = await this.#ask(address, `/-/actions/${action}`, JSON.stringify(body));
      } catch (thrown) {
        const { code, message } = thrown as NodeJS.ErrnoException;
        reason = `${address}: ${code ?? message}`;
        continue;
      }
      try {
        return answerOf(address, answer);
      } catch (thrown) {
        const error = toPlatformError(thrown);
        if (error.code !== 'NOT_LEADER') throw error;
        refused = error; // another one may lead
      }
    }
    if (refused !== undefined) throw refused;
    const detail = `no coordinator answers (${reason}). Does the cluster run, on this machine, with this config? Requests flow without a coordinator; this order needs it. SIGTERM drains a server without one.`;
    throw new PlatformError('NO_COORDINATOR', detail);
  }

  /** The same of one coordinator. */
  async actAt(address: string, action: string, body: unknown): Promise<unknown> {
    const answer = await this.#ask(address, `/-/actions/${action}`, JSON.stringify(body)).catch((thrown: unknown) => {
      throw unreachable(address, thrown);
    });
    return answerOf(address, answer);
  }

  /** @throws PlatformError NO_COORDINATOR */
  async statusOf(address: string): Promise<unknown> {
    const answer = await this.#ask(address, '/-/status', undefined).catch((thrown: unknown) => {
      throw unreachable(address, thrown);
    });
    return answerOf(address, answer);
  }

  /** @param body undefined: a GET */
  #ask(address: string, path: string, body: string | undefined): Promise<{ status: number; text: string }> {
    const headers = { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' };
    const method = body === undefined ? 'GET' : 'POST';
    return new Promise((resolve, reject) => {
      const url = `http://${reachableAddress(address)}${path}`;
      const request = http.request(url, { method, agent: false, timeout: ANSWER_MS_MAX, headers });
      request.on('timeout', () => request.destroy(new Error(`no answer within ${ANSWER_MS_MAX / 1000} s`)));
      request.on('error', reject);
      request.on('response', (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
        response.on('error', reject);
      });
      request.end(body);
    });
  }
}

function unreachable(address: string, thrown: unknown): PlatformError {
  const { code, message } = thrown as NodeJS.ErrnoException;
  return new PlatformError('NO_COORDINATOR', `nothing answers at ${address} (${code ?? message})`);
}

function answerOf(address: string, { status, text }: { status: number; text: string }): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new PlatformError(
      'NO_COORDINATOR',
      `expected a coordinator at ${address}, got HTTP ${status} of something else`,
    );
  }
  if (status === 200) return value;
  const { code, detail } = value as { code?: string; detail?: string };
  const known = code !== undefined && code in ERROR_KINDS ? (code as ErrorCode) : 'INTERNAL';
  throw new PlatformError(known, detail ?? `HTTP ${status}`);
}
