/**
 * Clients that take the same lock in turns: each makes an ephemeral node of its own, under a name that is never used
 * again, and the one with the oldest node holds. Its revision is the token. A holder writes to a resource that checks
 * tokens for as long as it is sure.
 *
 * H1: a holder is sure while the session that made the node lives by its own clock, and no longer.
 * H2: a node whose making was not answered may be there, or come later; one whose deletion was not answered may go later.
 *     So no node is held twice, and whoever finds an old one of its own deletes it.
 */
import { systemClock } from '../../../shared/clock.ts';
import { PlatformError } from '../../../shared/errors.ts';
import type { Park, ParkSession } from '../../../shared/park/park.ts';
import type { Random } from '../../../shared/random.ts';
import { FencedResource, fenceComplaints, type Holding, lockComplaints } from './lock-record.ts';

const HOLD_MS_MAX = 40;
const LOOK_EVERY_MS = 5;
/** A turn may take as long as all the others have the lock, or a fault lasts. */
const TURN_MS_MAX = 10_000;
const FAULTS_KEPT_MAX = 20;
/** Somebody has it, or nobody can be asked. */
const NOT_NOW: ReadonlySet<string> = new Set([
  'PARK_NODE_UNKNOWN',
  'OUTCOME_UNKNOWN',
  'NO_COORDINATOR',
  'STORE_UNAVAILABLE',
  'STORE_BUSY',
  'PARK_SESSION_UNKNOWN',
]);

interface Named {
  readonly name: string;
  readonly park: Park;
}

export class LockLoad {
  readonly holdings: Holding[] = [];
  readonly faults: string[] = [];
  readonly resource = new FencedResource();
  /** While it is set, a holder keeps the lock for as long as it is sure. */
  isKept = false;
  /** Who is sure to hold it now. */
  holder = '';
  readonly #tokens: number[] = [];
  readonly #domain: string;
  readonly #random: Random;
  #running = true;
  #clients: Promise<void>[] = [];

  constructor(domain: string, random: Random) {
    this.#domain = domain;
    this.#random = random;
  }

  start(clients: readonly Named[]): void {
    this.#clients = clients.map((client) => this.#client(client));
  }

  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#clients);
  }

  /** @returns what is wrong */
  judge(): string[] {
    return [...this.faults, ...lockComplaints(this.holdings), ...fenceComplaints(this.#tokens)];
  }

  async #client(client: Named): Promise<void> {
    for (let turn = 1; this.#running; turn++) {
      try {
        await this.#takeTurn(client, `${client.name}.${turn}`);
      } catch (thrown) {
        const code = thrown instanceof PlatformError ? thrown.code : '';
        if (!NOT_NOW.has(code)) this.#fault(`${client.name}: ${thrown}`);
      }
      await systemClock.sleep(this.#random.float() * LOOK_EVERY_MS * 4);
    }
  }

  async #takeTurn(client: Named, node: string): Promise<void> {
    const { name, park } = client;
    const session = await park.session();
    const { revision } = await park.create(this.#domain, node, name, { ephemeral: true });
    if ((await park.session()) !== session) return; // another one may have made it
    const giveUpAtMs = systemClock.nowMs() + TURN_MS_MAX;
    while (this.#running && session.aliveUntilMs > systemClock.nowMs() && systemClock.nowMs() < giveUpAtMs) {
      if (await this.#isOldest(client, node)) {
        await this.#hold(client, session, revision);
        break;
      }
      await systemClock.sleep(LOOK_EVERY_MS);
    }
    await park.delete(this.#domain, node);
  }

  /** H2 */
  async #isOldest({ name, park }: Named, node: string): Promise<boolean> {
    const waiting = await park.getDomain(this.#domain);
    const [oldest] = waiting.toSorted((a, b) => a.createRevision - b.createRevision);
    if (oldest?.node === node) return true;
    if (oldest?.value === name) await park.delete(this.#domain, oldest.node);
    return false;
  }

  async #hold({ name }: Named, session: ParkSession, token: number): Promise<void> {
    const isSure = (): boolean => systemClock.nowMs() < session.aliveUntilMs; // H1
    if (!isSure()) return;
    const nowMs = systemClock.nowMs();
    const holding: Holding = { holder: name, token, fromMs: nowMs, untilMs: nowMs };
    this.holdings.push(holding);
    this.holder = name;
    const releaseAtMs = nowMs + this.#random.float() * HOLD_MS_MAX;
    while (isSure() && (this.isKept || systemClock.nowMs() < releaseAtMs)) {
      holding.untilMs = systemClock.nowMs();
      if (this.resource.write(token)) this.#tokens.push(token);
      else this.#fault(`${name} was refused with token ${token}`);
      await systemClock.sleep(LOOK_EVERY_MS);
    }
    if (this.holder === name) this.holder = '';
  }

  #fault(what: string): void {
    if (this.faults.length < FAULTS_KEPT_MAX) this.faults.push(what);
  }
}
