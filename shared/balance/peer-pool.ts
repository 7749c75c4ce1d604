/**
 * The peers of one kind that a server sends requests to: keeps a link to each, judges each, chooses among the working.
 *
 * O1: verdicts are made on events and on a slow tick, never per request; `choose` walks a ready list.
 * O2: an ejected peer returns by itself after its rest, with a clean sheet.
 * O3: a peer in maintenance has no link: what was out to it is lost to it at once.
 * O4: a peer that falls silent while others work loses what was out to it: whoever sent it may ask another one. Its
 *     link stays, and so does its good name: it is back with its first word.
 * O5: when nobody else works, a peer that rests and answers is back before its time: slow is better than silent.
 * O6: a process that was itself stopped does not take the silence of that time for its peers'.
 * O7: without a working peer whoever waits is told again and again, so that it notices when waiting has become useless.
 */
import { type Clock, systemClock, type TimerHandle } from '../clock.ts';
import type { ChoicePolicy, HealthConfig } from '../config/cluster-schema.ts';
import { OUTAGE_HOLD_MS } from '../constants.ts';
import { PlatformError } from '../errors.ts';
import type { LinkIdentity, LinkRole } from '../link/greeting.ts';
import type { Link } from '../link/link.ts';
import { LinkDialer } from '../link/link-dialer.ts';
import type { LinkSettings } from '../link/link-settings.ts';
import type { Logger } from '../log.ts';
import type { TakenOut } from '../published-state.ts';
import type { Tick } from '../queue/tick.ts';
import { type Random, systemRandom } from '../random.ts';
import { ejectionReason, healthVerdict, type Verdict } from './health-verdict.ts';
import { type PeerChoice, peerChoice } from './peer-choice.ts';
import { PeerEvidence } from './peer-evidence.ts';

export interface PeerAddress {
  readonly id: string;
  /** host:port */
  readonly address: string;
  /** By an operator. */
  readonly takenOut?: TakenOut | undefined;
}

export interface PeerPoolOptions {
  readonly role: LinkRole;
  readonly identity: LinkIdentity;
  readonly settings: LinkSettings;
  readonly health: HealthConfig;
  readonly policy: ChoicePolicy;
  readonly linksPerPeer: number;
  readonly log: Logger;
  readonly tick: Tick;
  readonly clock?: Clock;
  readonly random?: Random;
  /** A peer became usable, can take more, or none is awaited any longer: whoever waits for one looks again. */
  readonly onUsable: () => void;
  /** The state of some peer changed. */
  readonly onVerdict?: () => void;
  readonly onNotice?: (peer: Peer, topic: string, value: unknown) => void;
}

export interface PeerStatus {
  readonly id: string;
  readonly address: string;
  readonly state: Verdict['state'];
  readonly reason: string;
  readonly inFlight: number;
  readonly latencyMs: number;
  readonly errorRate: number;
  readonly queueDepth: number;
}

export class Peer {
  readonly id: string;
  readonly address: string;
  readonly evidence = new PeerEvidence();
  /** Empty while it is in maintenance (O3). */
  dialers: LinkDialer[] = [];
  takenOut: TakenOut | undefined;
  verdict: Verdict = { state: 'down', reason: 'not connected yet' };
  #turn = 0;

  constructor(id: string, address: string) {
    this.id = id;
    this.address = address;
  }

  /** A link that can take a request now. */
  get link(): Link | undefined {
    const count = this.dialers.length;
    if (count === 1) {
      const only = this.dialers[0]?.link;
      return only?.writable === true ? only : undefined;
    }
    for (let offset = 0; offset < count; offset++) {
      this.#turn = (this.#turn + 1) % count;
      const link = this.dialers[this.#turn]?.link;
      if (link?.writable === true) return link;
    }
    return undefined;
  }

  get writable(): boolean {
    return this.link !== undefined;
  }

  get inFlight(): number {
    let sum = 0;
    for (const dialer of this.dialers) sum += dialer.link?.inFlight ?? 0;
    return sum;
  }

  get openLinks(): Link[] {
    return this.dialers.flatMap((dialer) => dialer.link ?? []);
  }
}

/** How often verdicts are looked over when nothing happens: well under the shortest limit they watch. */
const JUDGE_EVERY_MS = 100;

/** A look that comes so long after the one before tells of this process, not of its peers. */
const LOOK_LATE_MS = JUDGE_EVERY_MS * 3;

export class PeerPool {
  #options: PeerPoolOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  #choice: PeerChoice<Peer>;
  #peers: Peer[] = [];
  #working: Peer[] = [];
  /** Since when no peer works; only while none does. */
  #noneSinceMs: number;
  readonly #timer: TimerHandle;
  /** When the timer last came; O6. */
  #lookedAtMs: number;

  constructor(options: PeerPoolOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#choice = peerChoice(options.policy, this.#random, options.tick);
    this.#noneSinceMs = this.#clock.nowMs();
    this.#timer = this.#clock.every(JUDGE_EVERY_MS, () => this.#look());
    this.#lookedAtMs = this.#clock.nowMs();
  }

  /** The peers that get requests now (O1). */
  get working(): readonly Peer[] {
    return this.#working;
  }

  /** No peer works, but the outage is young: one may well be back before a request would have to be refused. */
  get awaitsPeer(): boolean {
    return this.#working.length === 0 && this.#clock.nowMs() - this.#noneSinceMs < OUTAGE_HOLD_MS;
  }

  /** @returns a working, writable peer other than `avoid` if there is one, or undefined */
  choose(avoid?: Peer): Peer | undefined {
    if (avoid !== undefined && this.#working.length > 1) {
      return this.#choice(this.#working.filter((peer) => peer !== avoid)) ?? this.#choice(this.#working);
    }
    return this.#choice(this.#working);
  }

  /** Takes over a new list of peers and new settings; links to peers that stay are kept. */
  configure(
    addresses: readonly PeerAddress[],
    settings: Partial<Pick<PeerPoolOptions, 'policy' | 'health'>> = {},
  ): void {
    if (settings.policy !== undefined && settings.policy !== this.#options.policy) {
      this.#choice = peerChoice(settings.policy, this.#random, this.#options.tick);
    }
    this.#options = { ...this.#options, ...settings };
    const keeps = (peer: Peer): boolean =>
      addresses.some(({ id, address }) => id === peer.id && address === peer.address);
    for (const peer of this.#peers) {
      if (!keeps(peer)) this.#disconnect(peer);
    }
    this.#peers = addresses.map(({ id, address, takenOut }) => {
      const peer = this.#peers.find((known) => known.id === id && known.address === address) ?? new Peer(id, address);
      peer.takenOut = takenOut;
      return peer;
    });
    for (const peer of this.#peers) {
      if (peer.takenOut === 'maint')
        this.#disconnect(peer); // O3
      else if (peer.dialers.length === 0) this.#connect(peer);
    }
    this.#judgeAll();
  }

  /**
   * Notes how a request to a peer ended.
   * @param failed the peer's fault, not the client's
   * @param latencyMs undefined when the end says nothing about how fast the peer is
   */
  recordReply(peer: Peer, failed: boolean, latencyMs = peer.evidence.latencyMs): void {
    peer.evidence.recordReply(failed, latencyMs);
    // Only as the limit is reached (O1): what comes after it is looked over with the slow tick.
    if (failed && peer.evidence.consecutiveFailures === this.#options.health.consecutiveFailuresMax) this.#judgeAll();
  }

  status(): PeerStatus[] {
    return this.#peers.map((peer) => ({
      id: peer.id,
      address: peer.address,
      state: peer.verdict.state,
      reason: peer.verdict.reason,
      inFlight: peer.inFlight,
      latencyMs: Math.round(peer.evidence.latencyMs * 1000) / 1000,
      errorRate: Math.round(peer.evidence.errorRate * 1000) / 1000,
      queueDepth: peer.openLinks[0]?.peerLoad.queueDepth ?? 0,
    }));
  }

  close(): void {
    this.#timer.cancel();
    for (const peer of this.#peers) this.#disconnect(peer);
    this.#peers = [];
    this.#working = [];
  }

  #connect(peer: Peer): void {
    const { identity, role, settings, log, tick, linksPerPeer } = this.#options;
    const { id, address } = peer;
    const handlers = {
      onOpen: () => {
        if (peer.openLinks.length === 1) peer.evidence.reset();
        this.#judgeAll();
      },
      onPeerDraining: () => this.#judgeAll(),
      onWindow: () => this.#options.onUsable(),
      onNotice: (_link: Link, topic: string, value: unknown) => this.#options.onNotice?.(peer, topic, value),
      onClosed: (_link: Link, _reason: PlatformError) => this.#judgeAll(),
    };
    for (let count = 0; count < linksPerPeer; count++) {
      const dialer = new LinkDialer({
        address,
        identity,
        expectRole: role,
        expectServerId: id,
        settings,
        log,
        tick,
        clock: this.#clock,
        random: this.#random,
        handlers,
      });
      peer.dialers.push(dialer);
      dialer.start();
    }
  }

  #disconnect(peer: Peer): void {
    for (const dialer of peer.dialers) dialer.close();
    peer.dialers = [];
  }

  #look(): void {
    this.#judgeAll();
    this.#lookedAtMs = this.#clock.nowMs();
  }

  #judgeAll(): void {
    const nowMs = this.#clock.nowMs();
    const policy = this.#options.health;
    const wasStopped = nowMs - this.#lookedAtMs > LOOK_LATE_MS;
    const silentMsOf = (peer: Peer): number => {
      if (wasStopped && peer.verdict.state !== 'suspect') return 0; // O6: what came meanwhile is heard first
      return nowMs - Math.max(0, ...peer.openLinks.map((link) => link.lastHeardAtMs));
    };
    const couldWork = (peer: Peer): boolean => this.#couldWork(peer, nowMs, silentMsOf(peer));
    let able = this.#peers.filter(couldWork);
    if (able.length === 0) {
      for (const peer of this.#peers) if (peer.verdict.state === 'ejected') peer.evidence.reset(); // O5
      able = this.#peers.filter(couldWork);
    }
    let changed = false;
    const silent: Peer[] = [];
    for (const peer of this.#peers) {
      const others = able.filter((other) => other !== peer);
      const around = { nowMs, medianLatencyMs: medianLatency(others), last: others.length === 0 };
      this.#eject(peer, nowMs, around);
      // Else two peers that went bad since the last look would each count on the other (H2).
      if (peer.evidence.ejectedUntilMs > nowMs) able = others;
      const verdict = healthVerdict(
        {
          linkOpen: peer.openLinks.length > 0,
          linkReason: peer.dialers[0]?.lastRefusal ?? '',
          draining: peer.openLinks.every((link) => link.state.kind === 'draining'),
          takenOut: peer.takenOut,
          silentMs: silentMsOf(peer),
          evidence: peer.evidence,
        },
        policy,
        around,
      );
      if (verdict.state !== peer.verdict.state) {
        changed = true;
        if (verdict.state === 'suspect') silent.push(peer);
        this.#options.log.info(
          { peer: peer.id, was: peer.verdict.state, state: verdict.state, reason: verdict.reason },
          'peer verdict',
        );
      }
      peer.verdict = verdict;
    }
    const hadNone = this.#working.length === 0;
    this.#working = this.#peers.filter((peer) => peer.verdict.state === 'ready');
    if (this.#working.length === 0 && !hadNone) this.#noneSinceMs = nowMs;
    if (changed) this.#options.onVerdict?.();
    for (const peer of silent) this.#giveUp(peer);
    if (!this.awaitsPeer) this.#options.onUsable(); // O7
  }

  /** O4 */
  #giveUp(peer: Peer): void {
    const reason = new PlatformError('LINK_PEER_SILENT', peer.verdict.reason);
    for (const link of peer.openLinks) link.giveUpStreams(reason);
  }

  #couldWork(peer: Peer, nowMs: number, silentMs: number): boolean {
    if (peer.takenOut !== undefined || peer.evidence.ejectedUntilMs > nowMs) return false;
    return silentMs <= this.#options.health.pongSuspectMs && peer.openLinks.some(({ state }) => state.kind === 'open');
  }

  #eject(peer: Peer, nowMs: number, around: { nowMs: number; medianLatencyMs: number; last: boolean }): void {
    const { evidence } = peer;
    if (evidence.ejectedUntilMs > nowMs) return;
    if (evidence.ejectedUntilMs > 0) evidence.reset(); // O2
    const reason = ejectionReason(evidence, this.#options.health, around);
    if (reason === '' || around.last) return;
    evidence.ejectedUntilMs = nowMs + this.#options.health.ejectMs;
    evidence.ejectedBecause = reason;
  }
}

function medianLatency(peers: readonly Peer[]): number {
  const latencies = peers.filter(({ evidence }) => evidence.replies > 0).map(({ evidence }) => evidence.latencyMs);
  latencies.sort((a, b) => a - b);
  return latencies[Math.floor(latencies.length / 2)] ?? 0;
}
