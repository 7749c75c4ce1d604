/**
 * The way to the park over links: one to each coordinator, all kept open, one used at a time.
 *
 * B1: everything goes over the link in use. One that is no longer used is closed, so that nothing of an earlier time,
 *     above all no watch, ever lives on it.
 * B2: a coordinator that has been silent for SUSPECT_MS is left when another one is heard.
 * B3: events are acknowledged as they are taken up, so that a coordinator never has more under way than a client reads.
 */
import { type Clock, systemClock, type TimerHandle } from '../clock.ts';
import { readError } from '../envelope.ts';
import { PlatformError, toPlatformError } from '../errors.ts';
import { FRAME_HEAD_BYTES, FRAME_TYPE } from '../link/frame.ts';
import type { LinkIdentity } from '../link/greeting.ts';
import type { Link, LinkHandlers, StreamOwner } from '../link/link.ts';
import { LinkDialer } from '../link/link-dialer.ts';
import type { LinkSettings } from '../link/link-settings.ts';
import type { Logger } from '../log.ts';
import { Tick } from '../queue/tick.ts';
import type { Random } from '../random.ts';
import { readEventBatches } from './park-answers.ts';
import type { Asked, Asker, ChannelListener, ParkChannel } from './park-channel.ts';
import { PARK_REQUEST_BYTES_MAX, PARK_TOPIC, type ParkRequest, readWatchEnd } from './park-protocol.ts';

/** Two of the PINGs a coordinator sends every `health.pingEveryMs` (250) did not come. A session of 1 s survives it. */
export const SUSPECT_MS = 600;
const LOOK_EVERY_MS = 100;
/** UTF-8 takes at most so many bytes for a UTF-16 unit. */
const BYTES_PER_CHAR_MAX = 3;

export interface ParkLinkChannelOptions {
  /** host:port each. */
  readonly coordinators: readonly string[];
  readonly identity: LinkIdentity;
  readonly settings: LinkSettings;
  readonly log: Logger;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

interface Coordinator {
  readonly dialer: LinkDialer;
  /** When it was last left; the one left longest ago is tried first. */
  leftAtMs: number;
}

export class ParkLinkChannel implements ParkChannel {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #tick: Tick;
  readonly #coordinators: readonly Coordinator[];
  #listener: ChannelListener | undefined;
  #link: Link | undefined;
  #looking: TimerHandle | undefined;
  #unacknowledged = 0;
  #closed = false;

  constructor(options: ParkLinkChannelOptions) {
    const { identity, settings, log, random } = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = log;
    this.#tick = new Tick(this.#clock);
    const handlers: LinkHandlers = {
      onOpen: () => this.#choose(),
      onNotice: (link, topic, value) => this.#onNotice(link, topic, value),
      onPeerDraining: (link) => this.#leave(link, 'LINK_CLOSED', 'the coordinator is stopping'),
      onWindow: (link) => void (link === this.#link && this.#listener?.onRoom()),
      onClosed: (link) => this.#onClosed(link),
    };
    const shared = { identity, settings, log, handlers, expectRole: 'coordinator', clock: this.#clock } as const;
    this.#coordinators = options.coordinators.map((address) => ({
      dialer: new LinkDialer({ ...shared, address, tick: this.#tick, ...(random === undefined ? {} : { random }) }),
      leftAtMs: Number.NEGATIVE_INFINITY,
    }));
  }

  start(listener: ChannelListener): void {
    if (this.#listener !== undefined || this.#closed) return;
    this.#listener = listener;
    for (const { dialer } of this.#coordinators) dialer.start();
    this.#looking = this.#clock.every(LOOK_EVERY_MS, () => this.#look());
  }

  get up(): boolean {
    return this.#link !== undefined;
  }

  ask(request: ParkRequest, asker: Asker): Asked | undefined {
    const link = this.#link;
    if (link === undefined || !link.writable) return undefined;
    const json = JSON.stringify(request);
    let bytesMax = json.length * BYTES_PER_CHAR_MAX;
    if (bytesMax > PARK_REQUEST_BYTES_MAX) {
      bytesMax = Buffer.byteLength(json);
      if (bytesMax > PARK_REQUEST_BYTES_MAX) return this.#refuseLarge(bytesMax, asker);
    }
    const ask = new LinkAsk(link, asker);
    const { writer } = link;
    writer.reserve(FRAME_HEAD_BYTES + bytesMax);
    writer.beginFrame(FRAME_TYPE.REQUEST, 0, 0, ask.streamId, 0);
    writer.at += writer.buffer.write(json, writer.at, 'utf8');
    link.endStreamFrame();
    return ask;
  }

  refuse(reason: string): void {
    if (this.#link !== undefined) this.#leave(this.#link, 'LINK_CLOSED', reason);
  }

  doubt(reason: string): void {
    const link = this.#link;
    if (link !== undefined && this.#candidates().some((one) => one !== link && this.#isHeard(one)))
      this.#leave(link, 'LINK_PEER_SILENT', reason);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#looking?.cancel();
    this.#link = undefined;
    for (const { dialer } of this.#coordinators) dialer.close();
  }

  /** B2 */
  #look(): void {
    if (this.#link !== undefined && !this.#isHeard(this.#link)) this.doubt('it has said nothing for a while');
    this.#choose();
  }

  #isHeard(link: Link): boolean {
    return this.#clock.nowMs() - link.lastHeardAtMs <= SUSPECT_MS;
  }

  /** Links that could be used, the one left longest ago first. */
  #candidates(): readonly Link[] {
    return this.#coordinators
      .toSorted((a, b) => a.leftAtMs - b.leftAtMs)
      .map(({ dialer }) => dialer.link)
      .filter((link) => link?.state.kind === 'open')
      .filter((link) => link !== undefined);
  }

  #choose(): void {
    if (this.#link !== undefined || this.#closed) return;
    const candidates = this.#candidates();
    this.#link = candidates.find((link) => this.#isHeard(link)) ?? candidates[0];
    if (this.#link !== undefined) this.#listener?.onUp();
  }

  /** B1 */
  #leave(link: Link, code: 'LINK_CLOSED' | 'LINK_PEER_SILENT', reason: string): void {
    for (const coordinator of this.#coordinators)
      if (coordinator.dialer.link === link) coordinator.leftAtMs = this.#clock.nowMs();
    if (link === this.#link)
      this.#log.info({ peer: link.peer, reason }, 'coordinator left for another one, or for now');
    link.close(code, reason);
  }

  #onClosed(link: Link): void {
    if (link !== this.#link) return;
    this.#link = undefined;
    this.#unacknowledged = 0;
    if (this.#closed) return;
    this.#listener?.onDown(); // C2 of park-channel.ts: the next link begins anew
    this.#choose();
  }

  #onNotice(link: Link, topic: string, value: unknown): void {
    if (link !== this.#link) return;
    try {
      if (topic === PARK_TOPIC.events) {
        const batches = readEventBatches(value);
        this.#acknowledge(link);
        this.#listener?.onEvents(batches);
      } else if (topic === PARK_TOPIC.ended) this.#listener?.onWatchEnded(readWatchEnd(value));
      // Any other topic is not for the park.
    } catch (thrown) {
      link.close('LINK_FRAME_INVALID', toPlatformError(thrown).detail);
    }
  }

  /** B3: once for all that came in one turn. */
  #acknowledge(link: Link): void {
    if (this.#unacknowledged++ > 0) return;
    this.#tick.scan(() => {
      if (link !== this.#link) return;
      const count = this.#unacknowledged;
      this.#unacknowledged = 0;
      link.notify(PARK_TOPIC.heard, { count });
    });
  }

  #refuseLarge(bytes: number, asker: Asker): Asked {
    const detail = `expected a request of at most ${PARK_REQUEST_BYTES_MAX} bytes, got ${bytes}: split the transaction`;
    let cancelled = false;
    this.#tick.scan(() => {
      if (!cancelled) asker.onError(new PlatformError('PARK_REQUEST_INVALID', detail));
    });
    return {
      cancel: () => {
        cancelled = true;
      },
    };
  }
}

/** One request on its way: hears the link, and tells the asker. */
class LinkAsk implements StreamOwner, Asked {
  readonly #link: Link;
  readonly #asker: Asker;
  readonly streamId: number;

  constructor(link: Link, asker: Asker) {
    this.#link = link;
    this.#asker = asker;
    this.streamId = link.openStream(this);
  }

  cancel(): void {
    this.#link.cancelStream(this.streamId);
  }

  onReply(message: Buffer, start: number, end: number): void {
    let value: unknown;
    try {
      value = JSON.parse(message.toString('utf8', start + FRAME_HEAD_BYTES, end));
    } catch {
      // What cannot be read has no shape: whoever asked says what that means.
    }
    this.#asker.onAnswer(value);
  }

  onError(message: Buffer, start: number, end: number): void {
    this.#asker.onError(readError(message, start, end).error);
  }

  onLost(reason: PlatformError): void {
    this.#asker.onLost(reason);
  }
}
