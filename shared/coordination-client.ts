/**
 * What every server uses to join the cluster and to hear the published state.
 *
 * J1: a server acts on the newest state it ever got: the one on disk at start, then each newer one, never an older (P1).
 * J2: with every coordinator down nothing happens here but dialing.
 * J3: a state that does not fit, or that the server cannot take up, is refused with a log line; the one before stays.
 * J4: writing to disk never holds the server up: at most one write runs, and of the states that came meanwhile only the
 *     newest is written next.
 */
import { type Clock, systemClock, type TimerHandle } from './clock.ts';
import { fitsLoadReport, type JoinNotice, type Membership, parseLease, TOPIC } from './coordination-messages.ts';
import { PlatformError, toPlatformError } from './errors.ts';
import type { LinkIdentity } from './link/greeting.ts';
import type { Link, LinkHandlers } from './link/link.ts';
import { LinkDialer } from './link/link-dialer.ts';
import type { LinkSettings } from './link/link-settings.ts';
import type { Logger } from './log.ts';
import { leaseAtAnswer, leaseAtJoin, leaseAtRenewal, type OwnLease } from './own-lease.ts';
import type { PublishedState } from './published-state.ts';
import { PublishedStateFile } from './published-state-file.ts';
import { parsePublishedState } from './published-state-schema.ts';
import type { Random } from './random.ts';

/** Until the coordinator has told another: the schema's default. */
const LEASE_TTL_MS_DEFAULT = 1_000;
/** One may be lost on the way and the lease still holds. */
const RENEWALS_PER_LEASE = 3;

export interface CoordinationClientOptions {
  /** host:port each. */
  readonly coordinators: readonly string[];
  readonly identity: LinkIdentity;
  readonly membership: Membership;
  readonly settings: LinkSettings;
  /** Absolute; keeps the last published state. */
  readonly stateFile: string;
  readonly log: Logger;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
  /** A few numbers, sent with each renewal and shown in the coordinator's status. */
  readonly loadReport?: (() => unknown) | undefined;
  /** Throwing refuses the state (J3). */
  readonly onState: (state: PublishedState) => void;
}

export class CoordinationClient {
  readonly #options: CoordinationClientOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #file: PublishedStateFile<PublishedState>;
  readonly #dialers: readonly LinkDialer[];
  readonly #leases = new Map<Link, OwnLease>();
  #state: PublishedState | undefined;
  #leaseTtlMs = LEASE_TTL_MS_DEFAULT;
  #leaseUntilMs = Number.NEGATIVE_INFINITY;
  #renewal: TimerHandle | undefined;
  #saving = false;
  #unsaved: PublishedState | undefined;
  #lastRefusal = '';
  #started = false;
  #closed = false;

  constructor(options: CoordinationClientOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log;
    this.#file = new PublishedStateFile(options.stateFile, parsePublishedState);
    const handlers: LinkHandlers = {
      onOpen: (link) => this.#join(link),
      onNotice: (link, topic, value) => this.#onNotice(link, topic, value),
      onClosed: (link) => void this.#leases.delete(link),
    };
    const { identity, settings, log, random } = options;
    const shared = { identity, settings, log, handlers, expectRole: 'coordinator', clock: this.#clock } as const;
    this.#dialers = options.coordinators.map(
      (address) => new LinkDialer({ ...shared, address, ...(random === undefined ? {} : { random }) }), // J2: it dials until it is closed
    );
  }

  /** Hands the state on disk to `onState` before it returns, when there is one; then begins to dial. */
  start(): void {
    if (this.#started || this.#closed) return;
    this.#started = true;
    this.#recover();
    for (const dialer of this.#dialers) dialer.start();
    this.#planRenewal();
  }

  /** The state this server acts on. */
  get state(): PublishedState | undefined {
    return this.#state;
  }

  get connected(): boolean {
    return this.#dialers.some((dialer) => dialer.link !== undefined);
  }

  /** This server may believe that it is a member while the clock's nowMs() is below this. */
  get leaseUntilMs(): number {
    return this.#leaseUntilMs;
  }

  /** Leaves at once instead of by the end of the lease. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#renewal?.cancel();
    void this.#file.close();
    for (const dialer of this.#dialers) {
      dialer.link?.notify(TOPIC.leave, {});
      dialer.close();
    }
  }

  #recover(): void {
    const content = this.#file.read();
    if ('reason' in content) this.#log.warn({ reason: content.reason }, 'published state on disk not as it should be');
    if (content.kind === 'whole' || content.kind === 'previous') this.#takeUp(content.value);
  }

  #join(link: Link): void {
    const { routes, ...membership } = this.#options.membership;
    const join: JoinNotice = {
      ...membership,
      ...(routes === undefined ? {} : { routes }),
      stateEpoch: this.#state?.epoch ?? 0,
      mapEpoch: this.#state?.bucketMap.epoch ?? 0,
      term: this.#state?.term ?? 0,
    };
    this.#leases.set(link, leaseAtJoin(this.#leases.get(link), this.#clock.nowMs()));
    link.notify(TOPIC.join, join);
  }

  #onNotice(link: Link, topic: string, value: unknown): void {
    try {
      if (topic === TOPIC.state) this.#onState(value);
      else if (topic === TOPIC.lease) this.#onLease(link, value);
      // Any other topic is a newer coordinator's: not for us.
    } catch (thrown) {
      link.close('LINK_FRAME_INVALID', toPlatformError(thrown).detail);
    }
  }

  #onLease(link: Link, value: unknown): void {
    const { sequence, ttlMs } = parseLease(value);
    const lease = this.#leases.get(link);
    if (lease === undefined) return;
    const answered = leaseAtAnswer(lease, sequence, ttlMs);
    this.#leases.set(link, answered);
    this.#leaseUntilMs = answered.untilMs;
    if (ttlMs === 0) {
      this.#join(link);
    } else if (ttlMs !== this.#leaseTtlMs) {
      this.#leaseTtlMs = ttlMs;
      this.#planRenewal();
    }
  }

  #onState(value: unknown): void {
    const epoch = (value as { epoch?: unknown } | null)?.epoch;
    if (typeof epoch === 'number' && epoch <= (this.#state?.epoch ?? -1)) return; // J1, before the cost of parsing
    let state: PublishedState;
    try {
      state = parsePublishedState(value);
    } catch (thrown) {
      this.#refuse(epoch, thrown); // J3: the link stays, a later state may fit
      return;
    }
    if (state.term < (this.#state?.term ?? 0)) return; // J1: of a coordinator that was replaced
    if (this.#takeUp(state)) this.#save(state);
  }

  /** @returns whether this server now acts on the state */
  #takeUp(state: PublishedState): boolean {
    try {
      const { cluster } = this.#options.identity;
      if (state.config.cluster !== cluster) {
        throw new PlatformError(
          'CONFIG_INVALID',
          `Expected a state of cluster ${cluster}, got one of ${state.config.cluster}.`,
        );
      }
      this.#options.onState(state);
    } catch (thrown) {
      this.#refuse(state.epoch, thrown);
      return false;
    }
    this.#state = state;
    this.#lastRefusal = '';
    return true;
  }

  #refuse(epoch: unknown, thrown: unknown): void {
    const { detail } = toPlatformError(thrown);
    const refusal = `${String(epoch)} ${detail}`;
    if (refusal !== this.#lastRefusal)
      this.#log.error({ epoch, detail, kept: this.#state?.epoch }, 'published state refused');
    this.#lastRefusal = refusal;
  }

  /** J4 */
  #save(state: PublishedState): void {
    this.#unsaved = state;
    if (this.#saving) return;
    this.#saving = true;
    void this.#saveAll();
  }

  async #saveAll(): Promise<void> {
    while (this.#unsaved !== undefined && !this.#closed) {
      const state = this.#unsaved;
      this.#unsaved = undefined;
      try {
        await this.#file.write(state);
      } catch (err) {
        if (this.#closed) return; // the folder may be gone with the server
        this.#log.error({ err, epoch: state.epoch }, 'published state not kept on disk; the next one is tried again');
      }
    }
    this.#saving = false;
  }

  #planRenewal(): void {
    this.#renewal?.cancel();
    this.#renewal = this.#clock.after(this.#leaseTtlMs / RENEWALS_PER_LEASE, () => {
      if (this.#closed) return;
      this.#planRenewal();
      for (const [link, lease] of this.#leases) this.#renew(link, lease);
    });
  }

  #renew(link: Link, lease: OwnLease): void {
    this.#leases.set(link, leaseAtRenewal(lease, this.#clock.nowMs()));
    link.notify(TOPIC.renew, { sequence: lease.nextSequence, load: this.#load() });
  }

  #load(): unknown {
    try {
      const load = this.#options.loadReport?.() ?? null;
      return fitsLoadReport(load) ? load : { omitted: 'too large' };
    } catch (thrown) {
      return { omitted: toPlatformError(thrown).detail };
    }
  }
}
