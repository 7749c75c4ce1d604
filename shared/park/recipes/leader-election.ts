/**
 * An election: of the candidates the one that came first leads until it goes; two candidates are enough, and one is.
 * Whoever only wants to know who leads watches, and is no candidate.
 */
import type { Park, ParkEntry, ParkWatch } from '../park.ts';
import type { WaitOptions } from './bounded-wait.ts';
import { EMPTY_VIEW, viewAfter } from './domain-view.ts';
import type { FencedHold } from './park-lock.ts';
import { contendersOf } from './place-in-queue.ts';
import { QueuedClaim, type RecipeOptions } from './queued-claim.ts';

export interface Leader {
  /** What it gave as itself. */
  readonly candidate: unknown;
  readonly token: number;
}

export class LeaderElection {
  readonly #claim: QueuedClaim;
  readonly #park: Park;
  readonly #domain: string;

  constructor(park: Park, domain: string, options: RecipeOptions = {}) {
    this.#park = park;
    this.#domain = domain;
    this.#claim = new QueuedClaim({ park, domain, kind: 'election', ...options });
  }

  /** Leads from when it resolves until it is lost or given back. @param candidate what observers are told: any JSON */
  async campaign(candidate: unknown, options: WaitOptions): Promise<FencedHold> {
    const hold = await this.#claim.acquire({ mode: 'exclusive', permits: 1, info: candidate }, options);
    return { hold, fence: { name: this.#domain, token: hold.token } };
  }

  /** @returns who leads as the coordinator sees it; undefined: nobody */
  async leader(): Promise<Leader | undefined> {
    return leaderOf(await this.#park.getDomain(this.#domain));
  }

  /** Calls `listener` with who leads now, and whenever that changes. */
  observe(listener: (leader: Leader | undefined) => unknown): ParkWatch {
    let view = EMPTY_VIEW;
    let told: number | undefined;
    return this.#park.watch(this.#domain, (change) => {
      view = viewAfter(view, change);
      const leader = leaderOf([...view.values()]);
      const token = leader?.token ?? 0;
      if (token === told) return true;
      told = token;
      return listener(leader);
    });
  }
}

function leaderOf(entries: readonly ParkEntry[]): Leader | undefined {
  const [first] = contendersOf(entries);
  return first === undefined ? undefined : { candidate: first.info, token: first.createRevision };
}
