/**
 * Which nodes with a TTL go when. Pure.
 *
 * E1: a node that has a TTL has one entry in the queue that counts, no later than it is due: most writes only move
 *     `dueAtMs`, and what comes up too early is put back. Only a shorter TTL needs an entry of its own.
 * E2: entries that no longer count, of nodes that are gone or whose time was shortened, stay until their time, but never
 *     more than as many as there are nodes with a TTL, and LEFT_OVER_MAX: however often nodes are created and deleted,
 *     nothing is left behind for a month.
 */
import { DueQueue } from './due-queue.ts';

export const LEFT_OVER_MAX = 10_000;

interface DueNode {
  readonly dueAtMs: number;
  readonly domain: string;
  readonly node: string;
}

interface Due {
  dueAtMs: number;
  /** Of the entry that counts. */
  queuedAtMs: number;
}

export interface NodeName {
  readonly domain: string;
  readonly node: string;
}

/** Whether the node is there and has a TTL. */
export type HasTtl = (domain: string, node: string) => boolean;

export class DueNodes {
  #queue = new DueQueue<DueNode>();
  readonly #due = new Map<string, Due>();

  /** Entries, those that no longer count too. */
  get size(): number {
    return this.#queue.size;
  }

  /** @returns undefined: it was never set, or has come up */
  dueAtMs(domain: string, node: string): number | undefined {
    return this.#due.get(keyOf(domain, node))?.dueAtMs;
  }

  /** The node goes at that time, unless it is set again before. */
  set(domain: string, node: string, dueAtMs: number): void {
    const key = keyOf(domain, node);
    const known = this.#due.get(key);
    if (known !== undefined && known.queuedAtMs <= dueAtMs) {
      known.dueAtMs = dueAtMs; // E1
      return;
    }
    this.#due.set(key, { dueAtMs, queuedAtMs: dueAtMs });
    this.#queue.add({ dueAtMs, domain, node });
  }

  /** @returns at most `max` that are due by now, taken out */
  takeDue(nowMs: number, max: number, hasTtl: HasTtl): NodeName[] {
    const taken: NodeName[] = [];
    while (taken.length < max) {
      const item = this.#queue.takeDue(nowMs);
      if (item === undefined) break;
      const { domain, node } = item;
      const key = keyOf(domain, node);
      const due = this.#due.get(key);
      if (due?.queuedAtMs !== item.dueAtMs) continue; // E2
      this.#due.delete(key);
      if (!hasTtl(domain, node)) continue;
      if (due.dueAtMs > nowMs) this.set(domain, node, due.dueAtMs);
      else taken.push({ domain, node });
    }
    return taken;
  }

  /** E2. @param live nodes that have a TTL */
  trim(live: number, hasTtl: HasTtl): void {
    if (this.#queue.size <= 2 * live + LEFT_OVER_MAX) return;
    this.#queue = new DueQueue();
    for (const [key, due] of this.#due) {
      const slash = key.indexOf('/');
      const [domain, node] = [key.slice(0, slash), key.slice(slash + 1)];
      if (!hasTtl(domain, node)) {
        this.#due.delete(key);
        continue;
      }
      due.queuedAtMs = due.dueAtMs;
      this.#queue.add({ dueAtMs: due.dueAtMs, domain, node });
    }
  }
}

/** Names have no slash. */
function keyOf(domain: string, node: string): string {
  return `${domain}/${node}`;
}
