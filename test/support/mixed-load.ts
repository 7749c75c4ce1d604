/**
 * Clients of every kind at once, none of which forgives: deposits, withdrawals, transfers, reads and echoes through
 * every interface server, while servers die.
 *
 * M1: an answer with a status that was not expected is a fault, whatever is broken in the cluster. So is a connection
 *     that fails, unless it was to an interface server that was down at some time since the request began.
 * M2: after such a connection the client asks another interface server, with the same Idempotency-Key. A client that
 *     uses no key does not know, and does not ask again.
 * M3: every read is judged by the account book: none older than what was acknowledged before it began.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../../shared/random.ts';
import { AccountBook, type BookedChange } from './account-book.ts';

export interface MixedLoadOptions {
  /** e.g. `http://127.0.0.1:8080`, one for each interface server. */
  readonly urls: readonly string[];
  readonly accounts: number;
  readonly clients: number;
  readonly random: Random;
  /** Whether the interface server was down at some time since then (on performance.now()). */
  readonly wasDown: (url: string, sinceMs: number) => boolean;
}

interface Ask {
  readonly method: 'GET' | 'PUT' | 'POST';
  readonly path: string;
  readonly body?: unknown;
  /** '' for none: the client cannot ask again (M2). */
  readonly key: string;
  readonly status: readonly number[];
}

/** Far above every deadline: what takes longer hangs. */
const ANSWER_MS_MAX = 20_000;
/** A client that found an interface server down looks again after this. */
const MOVE_PAUSE_MS = 10;
/** One fault often brings many: the first ones tell the story. */
const FAULTS_KEPT_MAX = 20;
const THINK_MS_MAX = 8;

export class MixedLoad {
  readonly book = new AccountBook();
  readonly faults: string[] = [];
  faultCount = 0;
  /** Requests answered as expected, by kind. */
  readonly done = new Map<string, number>();
  /** Connections that failed because their interface server was down. */
  movedCount = 0;
  /** Changes without a key whose connection broke. */
  unknownCount = 0;
  slowestMs = 0;
  readonly #options: MixedLoadOptions;
  #running = true;
  #clients: Promise<void>[] = [];

  constructor(options: MixedLoadOptions) {
    this.#options = options;
  }

  get doneCount(): number {
    return [...this.done.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Creates the accounts and starts the clients. */
  async start(): Promise<void> {
    const { accounts, clients } = this.#options;
    const names = Array.from({ length: accounts }, (_, index) => `account-${index}`);
    await Promise.all(names.map((account) => this.#open(account)));
    this.#clients = Array.from({ length: clients }, () => this.#client(names));
  }

  /** Lets what was begun end. */
  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#clients);
  }

  /** In words, for a diagnostic line. */
  summary(): string {
    const kinds = [...this.done].map(([kind, count]) => `${count} ${kind}`).join(', ');
    return `${kinds}; ${this.movedCount} connections broke with a killed interface server; slowest ${Math.round(this.slowestMs)} ms`;
  }

  async #open(account: string): Promise<void> {
    this.book.open(account);
    await this.#ask('creations', {
      method: 'PUT',
      path: `/accounts/${account}`,
      body: {},
      key: randomUUID(),
      status: [200, 201],
    });
  }

  async #client(accounts: readonly string[]): Promise<void> {
    const { random } = this.#options;
    const any = (): string => accounts[Math.floor(random.float() * accounts.length)] as string;
    while (this.#running) {
      const dice = random.float();
      const amount = 1 + Math.floor(random.float() * 9);
      if (dice < 0.35) await this.#change({ account: any(), amount }, random.float() < 0.7);
      else if (dice < 0.45) await this.#transfer(any(), any(), amount);
      else if (dice < 0.85) await this.#read(any());
      else await this.#echo(any());
      await pause(random.float() * THINK_MS_MAX);
    }
  }

  /** @returns whether it was acknowledged */
  async #change(change: BookedChange, withKey: boolean): Promise<boolean> {
    const [kind, what] = change.amount >= 0 ? ['deposits', 'deposits'] : ['withdrawals', 'withdrawals'];
    this.book.begin(change);
    const answer = await this.#ask(withKey ? kind : `${kind} without a key`, {
      method: 'POST',
      path: `/accounts/${change.account}/${what}`,
      body: { amount: Math.abs(change.amount) },
      key: withKey ? randomUUID() : '',
      status: [201],
    });
    if (answer === undefined) {
      this.unknownCount++;
      return false;
    }
    const { entry } = answer as { entry: { number: number } };
    this.#fault(this.book.acknowledge(change, entry.number));
    return true;
  }

  /** Two groups have no transaction in common: a transfer is a withdrawal, then a deposit. */
  async #transfer(from: string, to: string, amount: number): Promise<void> {
    if (this.book.available(from) < amount) return;
    if (await this.#change({ account: from, amount: -amount }, true)) await this.#change({ account: to, amount }, true);
  }

  async #read(account: string): Promise<void> {
    const judge = this.book.beginRead(account);
    const answer = await this.#ask('reads', { method: 'GET', path: `/accounts/${account}`, key: '', status: [200] });
    if (answer !== undefined) this.#fault(judge((answer as { balance: number }).balance)); // M3
  }

  async #echo(account: string): Promise<void> {
    const body = { said: randomUUID() };
    const ask = { method: 'POST', path: `/echo?account=${account}`, body, key: '', status: [200] } as const;
    const answer = await this.#ask('echoes', ask);
    if (answer === undefined || JSON.stringify(answer).includes(body.said)) return;
    this.#fault(`an echo of ${body.said} came back as ${JSON.stringify(answer).slice(0, 200)}`);
  }

  /** @returns the reply's JSON; undefined when it did not come */
  async #ask(kind: string, ask: Ask): Promise<unknown> {
    const { urls, random, wasDown } = this.#options;
    const first = Math.floor(random.float() * urls.length);
    const begunAt = performance.now();
    for (let attempt = 0; ; attempt++) {
      const url = urls[(first + attempt) % urls.length] as string;
      const sentAt = performance.now();
      const answer = await send(url, ask);
      this.slowestMs = Math.max(this.slowestMs, performance.now() - sentAt);
      if ('json' in answer) {
        if (ask.status.includes(answer.status)) {
          this.done.set(kind, (this.done.get(kind) ?? 0) + 1);
          return answer.json;
        }
        this.#fault(`${kind}: ${answer.status} ${JSON.stringify(answer.json)} after ${elapsedText(sentAt)}`); // M1
        return undefined;
      }
      if (!wasDown(url, sentAt)) {
        this.#fault(`${kind}: ${answer.failure} at ${url}, which was up, after ${elapsedText(sentAt)}`); // M1
        return undefined;
      }
      this.movedCount++;
      if (ask.key === '' && ask.method !== 'GET') return undefined; // M2
      if (performance.now() - begunAt > ANSWER_MS_MAX) {
        this.#fault(`${kind}: no interface server was up for ${ANSWER_MS_MAX} ms`);
        return undefined;
      }
      await pause(MOVE_PAUSE_MS);
    }
  }

  #fault(text: string): void {
    if (text === '') return;
    this.faultCount++;
    if (this.faults.length < FAULTS_KEPT_MAX) this.faults.push(`${new Date().toISOString()} ${text}`);
  }
}

function elapsedText(sinceMs: number): string {
  return `${Math.round(performance.now() - sinceMs)} ms`;
}

type Answer = { readonly status: number; readonly json: unknown } | { readonly failure: string };

async function send(url: string, ask: Ask): Promise<Answer> {
  const headers: Record<string, string> = ask.key === '' ? {} : { 'idempotency-key': ask.key };
  if (ask.body !== undefined) headers['content-type'] = 'application/json';
  const body = ask.body === undefined ? null : JSON.stringify(ask.body);
  const signal = AbortSignal.timeout(ANSWER_MS_MAX);
  try {
    const response = await fetch(`${url}${ask.path}`, { method: ask.method, headers, body, signal });
    const text = await response.text();
    return { status: response.status, json: jsonOf(text) };
  } catch (error) {
    const cause = error instanceof Error ? (error.cause as { code?: string } | undefined) : undefined;
    return { failure: cause?.code ?? String(error) };
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { text };
  }
}
