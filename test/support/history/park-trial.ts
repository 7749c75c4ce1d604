/**
 * One trial of a park: clients with nodes, a lock and watches at work on real coordinators, faults one after the other,
 * then the judgement of all that they noted.
 */
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import type { ParkWatch } from '../../../shared/park/park.ts';
import type { Random } from '../../../shared/random.ts';
import { eventually } from '../eventually.ts';
import { CutOffClient } from './cut-off-client.ts';
import { LockLoad } from './lock-load.ts';
import { NodeLoad } from './node-load.ts';
import type { Direction } from './one-way-proxy.ts';
import type { TrialCoordinators } from './trial-coordinators.ts';
import { WatchRecord } from './watch-record.ts';

const NODE_CLIENTS = 5;
const LOCK_CLIENTS = 3;
const NODES_A_ROUND = 3;
const GO_ON_OPERATIONS = 40;
const GO_ON_WITHIN_MS = 30_000;
/** Time enough for two holders to be seen beside each other. */
const BESIDE_WRITES = 10;
const DOMAIN = 'trial.nodes';

export class ParkTrial {
  readonly clients: readonly CutOffClient[];
  readonly nodes: NodeLoad;
  readonly lock: LockLoad;
  readonly #watches: { readonly record: WatchRecord; readonly watch: ParkWatch }[] = [];
  #rounds = 0;

  private constructor(clients: readonly CutOffClient[], random: Random) {
    this.clients = clients;
    this.nodes = new NodeLoad(DOMAIN, random);
    this.lock = new LockLoad('trial.lock', random);
  }

  static async start(set: TrialCoordinators, random: Random): Promise<ParkTrial> {
    const clients: CutOffClient[] = [];
    for (let number = 1; number <= NODE_CLIENTS + LOCK_CLIENTS; number++)
      clients.push(await CutOffClient.open(set, `client-${number}`));
    const trial = new ParkTrial(clients, random);
    trial.#turn();
    for (const client of clients.slice(-2)) trial.#watch(client);
    trial.nodes.start(clients.slice(0, NODE_CLIENTS));
    trial.lock.start(clients.slice(NODE_CLIENTS));
    await trial.goesOn();
    return trial;
  }

  /** Does harm, lets it work, and waits until everybody goes on; then turns to new nodes. */
  async round(harm: () => Promise<void>): Promise<void> {
    await harm();
    await this.goesOn();
    this.#turn();
    if (this.#rounds === 2) this.#watch(this.clients[0] as CutOffClient); // one that begins in the middle
  }

  async goesOn(): Promise<void> {
    const { answered } = this.nodes;
    const held = this.lock.holdings.length;
    await eventually(
      'clients to go on',
      () => this.nodes.answered >= answered + GO_ON_OPERATIONS && this.lock.holdings.length > held,
      GO_ON_WITHIN_MS,
    );
  }

  /** Cuts the lock's holder off for so long that another client gets the lock, while it keeps what it is sure of. */
  async cutOffHolder(...directions: readonly Direction[]): Promise<void> {
    const { lock } = this;
    lock.isKept = true;
    const name = await eventually('a holder', () => lock.holder !== '' && lock.holder, GO_ON_WITHIN_MS);
    const holder = this.clients.find((client) => client.name === name);
    holder?.cut(...directions);
    const isOthers = (): boolean => lock.holdings.at(-1)?.holder !== name;
    await eventually('another holder', isOthers, GO_ON_WITHIN_MS);
    const { accepted } = lock.resource;
    await eventually('its writes', () => lock.resource.accepted > accepted + BESIDE_WRITES, GO_ON_WITHIN_MS);
    lock.isKept = false;
    holder?.heal();
  }

  /** @returns a line of figures, for a diagnostic */
  async judge(): Promise<string> {
    await this.nodes.stop();
    await this.lock.stop();
    const [reader] = this.clients as [CutOffClient];
    const complaints = [...(await this.nodes.judge(reader)), ...this.lock.judge()];
    const there = await reader.park.getDomain(DOMAIN);
    for (const { record } of this.#watches) {
      // What is on its way may still come; what does not come in this time was skipped.
      await eventually('a watch', () => record.complaintsAgainst(there).length === 0, 5_000).catch(() => undefined);
      complaints.push(...record.complaints, ...record.complaintsAgainst(there));
      assert.ok(record.changes > 0, 'a watch was told something');
    }
    assert.deepEqual(complaints, []);
    const { answered, unanswered, nothingDone } = this.nodes;
    const { holdings, resource } = this.lock;
    const told = this.#watches.map(({ record }) => `${record.changes}+${record.contents}`).join(', ');
    return `${answered} operations answered, ${unanswered} not, ${nothingDone} not done; ${holdings.length} holdings, ${resource.accepted} fenced writes; watches told ${told}`;
  }

  close(): void {
    for (const client of this.clients) client.close();
  }

  #turn(): void {
    this.#rounds += 1;
    const names = Array.from({ length: NODES_A_ROUND }, (_, index) => `r${this.#rounds}-${index}`);
    this.nodes.turnTo(names);
  }

  #watch(client: CutOffClient): void {
    const record = new WatchRecord(`watch of ${client.name}`);
    this.#watches.push({ record, watch: client.park.watch(DOMAIN, record.take) });
  }
}

/** Some time up to so long. */
export async function aWhile(random: Random, msMax: number): Promise<void> {
  await pause(random.float() * msMax);
}
