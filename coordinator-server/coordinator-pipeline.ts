/**
 * The way of everything that reaches the coordinator, on one screen:
 *
 *   link opens    → the published state is sent
 *   join          → checked → lease granted → (app server) its manifest → publisher → park → every link
 *   renew, leave  → checked → lease prolonged, or ended
 *   config edited → decided → publisher → park → every link; or refused, with the reasons kept for the status
 *   park requests → park/park-link-service.ts → the park's store
 *   a while       → leases that have run out are ended
 *
 * Q1: what a peer says is checked before it is used; a peer that says anything else loses its link.
 * Q2: a server speaks for itself only: id, incarnation and tier are those that its link has proved.
 * Q3: a server that acts on a state of a later term shows that a checkpointer was promoted in this coordinator's place:
 *     this one is fenced, and serves nothing any more.
 * Q4: a server whose link missed a state gets it at the latest after RESEND_EVERY_MS.
 */
import { isDeepStrictEqual } from 'node:util';
import { BoundedLog } from '../shared/bounded-log.ts';
import type { Clock } from '../shared/clock.ts';
import type { ClusterConfig } from '../shared/config/cluster-schema.ts';
import { type JoinNotice, parseJoin, parseRenew, TOPIC } from '../shared/coordination-messages.ts';
import { type ErrorCode, PlatformError, toPlatformError } from '../shared/errors.ts';
import type { Link, LinkHandlers } from '../shared/link/link.ts';
import type { Logger } from '../shared/log.ts';
import { PARK_TOPIC } from '../shared/park/park-protocol.ts';
import type { PublishedState } from '../shared/published-state.ts';
import type { ConfigHistory } from './config-history.ts';
import { decideConfig } from './config-publisher.ts';
import type { MemberNodes } from './member-nodes.ts';
import { type MembershipEffect, MembershipState } from './membership-state.ts';
import type { ParkLinkService } from './park/park-link-service.ts';
import { birthEpochOf } from './publication.ts';
import type { RouteManifest } from './route-catalog.ts';
import type { StatePublisher } from './state-publisher.ts';

/** A quarter of the shortest lease a config allows. */
export const EXPIRE_EVERY_MS = 50;
export const RESEND_EVERY_MS = 250;

/** The config file's newest content was not taken up. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly reasons: readonly string[];
  readonly atWallMs: number;
  /** False once a later content was taken up. */
  readonly stands: boolean;
}

export interface CoordinatorPipelineOptions {
  readonly publisher: StatePublisher;
  /** Told who is a member. */
  readonly memberNodes?: Pick<MemberNodes, 'joined' | 'gone'> | undefined;
  /** A server acts on a state of this later term (Q3). */
  readonly onFenced?: ((term: number, serverId: string) => void) | undefined;
  /** Told what was published. */
  readonly history?: Pick<ConfigHistory, 'published'> | undefined;
  /** Serves the park on every link. Without it a request closes its link. */
  readonly park?: ParkLinkService | undefined;
  readonly log: Logger;
  readonly clock: Clock;
}

export class CoordinatorPipeline {
  readonly members = new MembershipState();
  /** Open links, and the epoch last sent on each. */
  readonly #links = new Map<Link, number>();
  /** What the app servers that have joined here declared; at most MEMBERS_MAX. */
  readonly #manifests = new Map<string, Omit<RouteManifest, 'order'>>();
  readonly #options: CoordinatorPipelineOptions;
  readonly #publisher: StatePublisher;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #faultLog = new BoundedLog({ linesMax: 20, periodMs: 10_000 });
  #refusal: Refusal | undefined;
  #expiredAtMs: number;
  #resentAtMs: number;

  constructor(options: CoordinatorPipelineOptions) {
    this.#options = options;
    this.#publisher = options.publisher;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#expiredAtMs = this.#clock.nowMs();
    this.#resentAtMs = this.#expiredAtMs;
  }

  /** The last refusal of a config, if there ever was one. */
  get refusal(): Refusal | undefined {
    return this.#refusal;
  }

  get linkCount(): number {
    return this.#links.size;
  }

  get linkHandlers(): LinkHandlers {
    const { park } = this.#options;
    const handlers: LinkHandlers = {
      onOpen: (link) => this.#onOpen(link),
      onNotice: (link, topic, value) => this.#onNotice(link, topic, value),
      onClosed: (link) => {
        this.#links.delete(link);
        park?.onClosed(link);
      },
    };
    if (park === undefined) return handlers;
    return { ...handlers, onRequest: (...request) => park.onRequest(...request) };
  }

  #onOpen(link: Link): void {
    this.#links.set(link, 0);
    const { state } = this.#publisher;
    if (state !== undefined) this.#send(link, state);
  }

  #onNotice(link: Link, topic: string, value: unknown): void {
    try {
      if (topic === TOPIC.join) this.#onJoin(link, ownJoin(link, parseJoin(value)));
      else if (topic === TOPIC.renew) this.#onRenew(link, value);
      else if (topic === TOPIC.leave) this.#onLeave(link);
      else if (topic === PARK_TOPIC.heard && this.#options.park !== undefined) this.#options.park.onHeard(link, value);
      else throw new PlatformError('LINK_FRAME_INVALID', `Expected join, renew or leave, got "${topic.slice(0, 32)}".`);
    } catch (thrown) {
      this.#onFault(link, thrown); // Q1
    }
  }

  #onJoin(link: Link, join: JoinNotice): void {
    const { routes, stateEpoch, mapEpoch, term, ...identity } = join;
    if (term > this.#publisher.term) {
      this.#options.onFenced?.(term, identity.serverId); // Q3
      link.close(
        'COORDINATOR_FENCED',
        `a coordinator of term ${term} has replaced this one of term ${this.#publisher.term}`,
      );
      return;
    }
    const effects = this.members.join(identity, this.#clock.nowMs(), this.leaseTtlMs);
    this.#perform(effects, link, 0);
    if (effects.some((effect) => effect.kind === 'refused')) return;
    this.#publisher.raiseFloor(stateEpoch, mapEpoch);
    if (routes === undefined) return;
    const manifest = { serverId: identity.serverId, version: identity.version, routes };
    this.#manifests.set(identity.serverId, manifest);
    this.#publisher.declare(manifest);
  }

  /** Those that joined before this coordinator led are declared now. */
  declareJoined(): void {
    for (const manifest of this.#manifests.values()) this.#publisher.declare(manifest);
  }

  #onRenew(link: Link, value: unknown): void {
    const { sequence, load } = parseRenew(value);
    const { serverId, incarnation } = link.peer; // Q2
    this.#perform(
      this.members.renew(serverId, incarnation, load, this.#clock.nowMs(), this.leaseTtlMs),
      link,
      sequence,
    );
  }

  #onLeave(link: Link): void {
    const { serverId, incarnation } = link.peer; // Q2
    this.#perform(this.members.leave(serverId, incarnation, this.#clock.nowMs()), link, 0);
  }

  #perform(effects: readonly MembershipEffect[], link: Link | undefined, sequence: number): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'leased':
          link?.notify(TOPIC.lease, { sequence, ttlMs: effect.ttlMs });
          break;
        case 'unknown':
          link?.notify(TOPIC.lease, { sequence, ttlMs: 0 });
          break;
        case 'refused':
          link?.close('LINK_ROLE_REFUSED', effect.reason);
          break;
        case 'replaced':
          this.#closeLinksOf(effect.serverId, effect.incarnation);
          break;
        case 'joined':
        case 'left':
        case 'expired':
          if (effect.kind === 'joined') this.#options.memberNodes?.joined(effect.member.identity);
          else this.#options.memberNodes?.gone(effect.member.identity.serverId);
          this.#log.info({ member: effect.member.identity }, `member ${effect.kind}`);
      }
    }
  }

  /** @param config valid by itself; whether it may follow the accepted one is decided here */
  offerConfig(config: ClusterConfig): void {
    const decision = decideConfig(this.#publisher.accepted, config, birthEpochOf(this.#clock.wallMs()));
    if (decision.kind === 'refuse') {
      this.refuseConfig(decision.code, decision.reasons);
      return;
    }
    if (decision.kind === 'publish') {
      try {
        this.#publisher.accept(decision.accepted);
      } catch (thrown) {
        this.refuseConfig('CONFIG_INVALID', [toPlatformError(thrown).detail]);
        return;
      }
      this.#log.info({ changes: decision.changes }, 'config taken up');
    }
    if (this.#refusal !== undefined) this.#refusal = { ...this.#refusal, stands: false };
  }

  refuseConfig(code: ErrorCode, reasons: readonly string[]): void {
    const known = this.#refusal;
    if (known?.stands === true && known.code === code && isDeepStrictEqual(known.reasons, reasons)) return;
    this.#refusal = { code, reasons, atWallMs: this.#clock.wallMs(), stands: true };
    this.#log.error({ code, reasons }, 'config refused; the last good one stays');
  }

  /** Sends a state that is on disk to every link. */
  publish(state: PublishedState): void {
    this.#options.history?.published(state);
    for (const link of this.#links.keys()) this.#send(link, state);
  }

  /** To be called every EXPIRE_EVERY_MS. */
  onTick(): void {
    const nowMs = this.#clock.nowMs();
    const stopped = nowMs - this.#expiredAtMs > EXPIRE_EVERY_MS * 4;
    this.#expiredAtMs = nowMs;
    // Renewals that came while this process was itself stopped are read before anybody is declared dead.
    if (!stopped) this.#perform(this.members.expire(nowMs), undefined, 0);
    if (nowMs - this.#resentAtMs < RESEND_EVERY_MS) return;
    this.#resentAtMs = nowMs;
    const { state } = this.#publisher;
    if (state === undefined) return;
    for (const [link, epoch] of this.#links) if (epoch < state.epoch) this.#send(link, state); // Q4
  }

  #send(link: Link, state: PublishedState): void {
    if (link.notify(TOPIC.state, state)) this.#links.set(link, state.epoch);
  }

  #closeLinksOf(serverId: string, incarnation: string): void {
    for (const link of [...this.#links.keys()]) {
      if (link.peer.serverId !== serverId || link.peer.incarnation !== incarnation) continue;
      link.close('LINK_ROLE_REFUSED', `another process has joined as ${serverId}: stop one of the two`);
    }
  }

  #onFault(link: Link, thrown: unknown): void {
    const { detail } = toPlatformError(thrown);
    const { write, dropped } = this.#faultLog.admit(this.#clock.nowMs());
    if (write) this.#log.warn({ peer: link.peer, detail, dropped }, 'peer said what it may not; its link is closed');
    link.close('LINK_FRAME_INVALID', detail);
  }

  get leaseTtlMs(): number {
    return this.#publisher.accepted?.config.coordinator.leaseTtlMs ?? 1_000;
  }
}

/** Q2 */
function ownJoin(link: Link, join: JoinNotice): JoinNotice {
  const { role, serverId, incarnation } = link.peer;
  if (join.tier === role && join.serverId === serverId && join.incarnation === incarnation) return join;
  const detail = `Expected a join of ${role} ${serverId} ${incarnation}, got one of ${join.tier} ${join.serverId} ${join.incarnation}.`;
  throw new PlatformError('LINK_FRAME_INVALID', detail);
}
