/**
 * Kills servers of a running cluster with SIGKILL, by a plan that a seed decides, and knows when each was down.
 *
 * K1: one interface server is always left: what clients see through it is what a test judges.
 */
import assert from 'node:assert/strict';
import type { Random } from '../../shared/random.ts';
import { eventually } from './eventually.ts';
import type { TestCluster } from './test-cluster.ts';

interface Outage {
  readonly fromMs: number;
  /** Infinity while it lasts. */
  untilMs: number;
}

/** Far more than a start takes. */
const BACK_WITHIN_MS = 30_000;
/** A look is cheap: it reads the supervisor's own state. */
const LOOK_EVERY_MS = 2;
const VICTIMS_MAX = 4;

export class ServerKiller {
  readonly #running: TestCluster;
  readonly #random: Random;
  readonly #outages = new Map<string, Outage[]>();
  /** Kills by server. */
  readonly kills = new Map<string, number>();

  constructor(running: TestCluster, random: Random) {
    this.#running = running;
    this.#random = random;
  }

  /** One server most times, up to VICTIMS_MAX at others, each as likely as any other. K1 */
  choose(): string[] {
    const { config, cluster } = this.#running;
    const left = cluster.servers().map(({ serverId }) => serverId);
    const interfaceIds = config.interface.servers.map(({ id }) => id);
    const count = this.#random.float() < 0.6 ? 1 : 2 + Math.floor(this.#random.float() * (VICTIMS_MAX - 1));
    const victims: string[] = [];
    while (victims.length < count) {
      const [victim] = left.splice(Math.floor(this.#random.float() * left.length), 1);
      assert.ok(victim !== undefined, 'more servers than victims');
      const isLastInterface =
        interfaceIds.includes(victim) &&
        interfaceIds.every((id) => id === victim || victims.includes(id) || this.#isDown(id));
      if (!isLastInterface) victims.push(victim);
    }
    return victims;
  }

  /** Kills them, those that run. @returns once all of them are up again: how long that took, ms */
  async kill(serverIds: readonly string[]): Promise<number> {
    const killedAt = performance.now();
    await Promise.all(serverIds.map((serverId) => this.#killOne(serverId)));
    return performance.now() - killedAt;
  }

  /** For MixedLoad: whether the interface server was down at some time since then. */
  readonly wasDown = (url: string, sinceMs: number): boolean => {
    const { id } = this.#running.config.interface.servers.find(({ listen }) => url.endsWith(listen)) ?? { id: '' };
    return (this.#outages.get(id) ?? []).some(({ untilMs }) => untilMs >= sinceMs);
  };

  async #killOne(serverId: string): Promise<void> {
    const { cluster } = this.#running;
    const pid = cluster.pid(serverId);
    const outage: Outage = { fromMs: performance.now(), untilMs: Number.POSITIVE_INFINITY };
    this.#outages.set(serverId, [...(this.#outages.get(serverId) ?? []), outage]);
    if (cluster.kill(serverId)) this.kills.set(serverId, (this.kills.get(serverId) ?? 0) + 1);
    const isBack = (): boolean =>
      cluster.servers().some((server) => server.serverId === serverId && server.phase === 'up' && server.pid !== pid);
    await eventually(`${serverId} to be up again`, isBack, BACK_WITHIN_MS, LOOK_EVERY_MS);
    outage.untilMs = performance.now();
  }

  #isDown(serverId: string): boolean {
    return (this.#outages.get(serverId) ?? []).some(({ untilMs }) => untilMs === Number.POSITIVE_INFINITY);
  }
}
