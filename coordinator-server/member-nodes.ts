/**
 * The members of the cluster as nodes of the park, `trunkline.members/<server id>`, so that anybody may list and watch
 * them. What counts stays in membership-state.ts; this follows it.
 *
 * N1: at most one write is under way; of the changes that come meanwhile only the newest of each server is written.
 * N2: nodes of an earlier life of the coordinator, whose servers did not come back within a lease, are deleted.
 */
import { type Clock, systemClock, type TimerHandle } from '../shared/clock.ts';
import { toPlatformError } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import { PARK_LIMITS, type ParkWrite } from '../shared/park/park-model.ts';
import type { Member, MemberIdentity } from './membership-state.ts';
import { type ParkStore, PLATFORM_WRITER } from './store/park-store.ts';

export const MEMBERS_DOMAIN = 'trunkline.members';
const RETRY_MS = 500;

export interface MemberNodesOptions {
  readonly store: ParkStore;
  readonly log: Logger;
  readonly clock?: Clock | undefined;
}

export class MemberNodes {
  readonly #store: ParkStore;
  readonly #log: Logger;
  readonly #clock: Clock;
  /** By server id; undefined: to be deleted (N1). Bounded by MEMBERS_MAX of membership-state.ts. */
  #waiting = new Map<string, MemberIdentity | undefined>();
  readonly #here = new Set<string>();
  #writing: Promise<void> | undefined;
  #retry: TimerHandle | undefined;
  #begun = false;
  #closed = false;

  constructor(options: MemberNodesOptions) {
    this.#store = options.store;
    this.#log = options.log;
    this.#clock = options.clock ?? systemClock;
  }

  /** From now on this coordinator leads. @param leaseTtlMs how long servers have to come back (N2) */
  begin(leaseTtlMs: number, members: readonly Member[]): void {
    this.#begun = true;
    for (const { identity, lease } of members) if (lease.kind === 'alive') this.joined(identity);
    this.#retry = this.#clock.after(leaseTtlMs * 2, () => void this.#deleteThoseGone());
    this.#start();
  }

  /** It does not any more. */
  end(): void {
    this.#begun = false;
    this.#retry?.cancel();
  }

  joined(identity: MemberIdentity): void {
    this.#here.add(identity.serverId);
    this.#waiting.set(identity.serverId, identity);
    this.#start();
  }

  gone(serverId: string): void {
    this.#here.delete(serverId);
    this.#waiting.set(serverId, undefined);
    this.#start();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#retry?.cancel();
    await this.#writing;
  }

  #start(): void {
    if (!this.#begun || this.#closed || this.#writing !== undefined || this.#waiting.size === 0) return;
    this.#writing = this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.size > 0 && !this.#closed) {
      const batch = [...this.#waiting].slice(0, PARK_LIMITS.writesMax);
      for (const [serverId] of batch) this.#waiting.delete(serverId);
      try {
        await this.#write(batch);
      } catch (thrown) {
        this.#log.warn({ reason: toPlatformError(thrown).detail }, 'members not written to the park; tried again');
        // What came meanwhile is newer.
        this.#waiting = new Map([...batch, ...this.#waiting]);
        this.#retry = this.#clock.after(RETRY_MS, () => this.#start());
        return;
      }
    }
  }

  async #write(batch: readonly (readonly [string, MemberIdentity | undefined])[]): Promise<void> {
    const writes: ParkWrite[] = [];
    for (const [node, identity] of batch) {
      const { node: kept } = await this.#store.get(MEMBERS_DOMAIN, node);
      const value = identity === undefined ? undefined : JSON.stringify(identity);
      if (value === undefined && kept !== undefined) writes.push({ op: 'delete', domain: MEMBERS_DOMAIN, node });
      if (value !== undefined && kept?.value !== value)
        writes.push({ op: 'put', domain: MEMBERS_DOMAIN, node, value, access: 'read' });
    }
    if (writes.length > 0) await this.#store.write(PLATFORM_WRITER, { writes });
  }

  /** N2 */
  async #deleteThoseGone(): Promise<void> {
    try {
      const { nodes } = await this.#store.list(MEMBERS_DOMAIN, '', PARK_LIMITS.listNodesMax);
      for (const { node } of nodes) if (!this.#here.has(node)) this.gone(node);
    } catch (thrown) {
      this.#log.warn({ reason: toPlatformError(thrown).detail }, 'members of an earlier life not looked for');
    }
  }
}
