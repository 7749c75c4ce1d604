/** Clients of a park in maps, within this process. */
import { ParkStoreChannel } from '../../coordinator-server/park/park-store-channel.ts';
import { systemClock } from '../../shared/clock.ts';
import type { ParkEntry } from '../../shared/park/park.ts';
import { ParkClient } from '../../shared/park/park-client.ts';
import { MemoryParkStore } from './memory-park-store.ts';

export class ParkInMaps {
  readonly store = new MemoryParkStore();
  readonly #clients: ParkClient[] = [];
  #isOpen = true;
  /** Without sockets nothing else keeps the process alive while it waits. */
  readonly #staying = this.#stay();

  /** Closed with the park. */
  client(name: string, sessionTtlMs = 10_000): ParkClient {
    const made = new ParkClient({ channel: new ParkStoreChannel({ store: this.store }), name, sessionTtlMs });
    made.start();
    this.#clients.push(made);
    return made;
  }

  async close(): Promise<void> {
    this.#isOpen = false;
    for (const one of this.#clients) one.close();
    await this.#staying;
  }

  async #stay(): Promise<void> {
    while (this.#isOpen) await systemClock.sleep(10);
  }
}

/** A node as the park shows it; a claim of a recipe unless `value` says otherwise. */
export function parkEntry(node: string, createRevision: number, more: Partial<ParkEntry> = {}): ParkEntry {
  const value = { claim: node, mode: 'shared', permits: 1, info: null };
  const shared = { domain: 'd', version: 1, access: 'read', owner: '', ephemeral: true } as const;
  return { ...shared, node, value, createRevision, modRevision: createRevision, ...more };
}
