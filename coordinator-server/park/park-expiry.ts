/**
 * Ends what has run out: sessions with their ephemeral nodes, and nodes with a TTL.
 *
 * X1: the end of a session or node is a change like all others; while no changes are taken, they live on.
 * X2: renewals that came while this process was itself stopped are read before any session is ended.
 */
import type { Clock, TimerHandle } from '../../shared/clock.ts';
import type { ParkState, StoredChange } from './park-state.ts';

const EXPIRE_EVERY_MS = 50;
/** Of each kind in one round, so that a round stays short. */
const EXPIRED_MAX = 500;
/** Nodes of one change: a session may have any number. */
const ENDED_NODES_MAX = 10_000;
const AGAIN_AFTER_MS = 1_000;

export interface ParkExpiryOptions {
  readonly state: ParkState;
  readonly clock: Clock;
  /** Whether changes are taken. */
  readonly takesChanges: () => boolean;
  /** Records changes and puts them in force. */
  readonly commit: (changes: readonly StoredChange[]) => Promise<unknown>;
}

export class ParkExpiry {
  readonly #options: ParkExpiryOptions;
  readonly #timer: TimerHandle;
  #lookedAtMs: number;

  constructor(options: ParkExpiryOptions) {
    this.#options = options;
    this.#lookedAtMs = options.clock.nowMs();
    this.#timer = options.clock.every(EXPIRE_EVERY_MS, () => this.#look());
  }

  close(): void {
    this.#timer.cancel();
  }

  /** Also by its holder's wish. No effect when it has ended already. */
  async endSession(id: string): Promise<void> {
    const { state, commit } = this.#options;
    const session = state.session(id);
    if (session === undefined) return;
    const removes: StoredChange[] = [...session.nodes].map((key) => {
      const slash = key.indexOf('/');
      return { kind: 'remove', domain: key.slice(0, slash), node: key.slice(slash + 1) };
    });
    for (let from = ENDED_NODES_MAX; from < removes.length; from += ENDED_NODES_MAX)
      await commit(removes.slice(from, from + ENDED_NODES_MAX));
    await commit([...removes.slice(0, ENDED_NODES_MAX), { kind: 'session-ended', id }]);
  }

  #look(): void {
    const { state, clock, takesChanges } = this.#options;
    const nowMs = clock.nowMs();
    const stopped = nowMs - this.#lookedAtMs > EXPIRE_EVERY_MS * 4;
    this.#lookedAtMs = nowMs;
    if (stopped || !takesChanges()) return; // X1, X2
    const due = state.due(nowMs, EXPIRED_MAX);
    for (const id of due.sessions) this.endSession(id).catch(() => undefined); // the next round tries again
    for (const { domain, node } of due.nodes) this.#remove(domain, node);
  }

  #remove(domain: string, node: string): void {
    const { state, clock, commit } = this.#options;
    const again = (): void => state.dueAgain(domain, node, clock.nowMs() + AGAIN_AFTER_MS);
    commit([{ kind: 'remove', domain, node }]).catch(again);
  }
}
