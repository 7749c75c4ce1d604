/**
 * Serves the park to clients on a coordinator's links, from its store.
 *
 * S1: whatever a client sends is checked before the store sees it, and every request has one answer, while its link lives.
 * S2: what waits is bounded: requests that the store has not answered, watches, and events that a client has not taken
 *     up. Requests past the bound are refused (QUEUE_FULL), watches end (PARK_WATCH_BEHIND): a client loses nothing by it.
 * S3: writes of a link are its session's, which it has opened or named by its secret id. A lost link ends no session.
 * S4: access rights are overridden for links of role `tool` only.
 */
import type { Clock } from '../../shared/clock.ts';
import { writeError } from '../../shared/envelope.ts';
import { ERROR_KINDS, PlatformError, toPlatformError } from '../../shared/errors.ts';
import { FRAME_HEAD_BYTES, FRAME_TYPE } from '../../shared/link/frame.ts';
import type { Link } from '../../shared/link/link.ts';
import type { Logger } from '../../shared/log.ts';
import { writeAnswerText } from '../../shared/park/park-answers.ts';
import type { WriteOutcome } from '../../shared/park/park-model.ts';
import {
  PARK_TOPIC,
  type ParkRequest,
  readHeard,
  readParkRequest,
  type WriteRequest,
  writeWatchEnd,
} from '../../shared/park/park-protocol.ts';
import type { ParkStore } from '../store/park-store.ts';
import { requireName } from './park-bounds.ts';
import { carryOut, type ParkConnection, type SimpleRequest } from './park-requests.ts';
import { FedWatch, type FeedLedger, WatchFeed } from './watch-feed.ts';

/** As many as a client lets be under way; their bytes stay under the link's window, as that opens with the answer. */
export const LINK_REQUESTS_MAX = 8_192;
/** Of all links: eight of the busiest kind. */
export const REQUESTS_MAX = 65_536;
/** As many as a client has. */
export const LINK_WATCHES_MAX = 10_000;
/** Of all links, of events that wait; the link that has the most to hear loses a watch. */
const WAITING_CHARS_MAX = 512 * 1024 * 1024;
/** Nodes of content that wait on a link: one more watch is refused until they have gone. Of all links: two whole parks. */
const LINK_CONTENT_NODES_MAX = 100_000;
const CONTENT_NODES_MAX = 8_000_000;

const BYTES_PER_CHAR_MAX = 3;
/** Above it counting bytes costs less than room for three a character. */
const LONG_TEXT = 64 * 1024;

export interface ParkLinkServiceOptions {
  readonly store: ParkStore;
  readonly log: Logger;
  readonly clock: Clock;
}

/** One link that has asked for something. */
class ServedLink implements ParkConnection {
  readonly link: Link;
  readonly feed: WatchFeed;
  session = '';
  inFlight = 0;

  constructor(link: Link, ledger: FeedLedger) {
    this.link = link;
    this.feed = new WatchFeed(ledger);
  }
}

export class ParkLinkService {
  readonly #store: ParkStore;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #links = new Map<Link, ServedLink>();
  readonly #waiting: FeedLedger = { chars: 0, contentNodes: 0 };
  /** Have events to tell; told at the end of this turn. */
  #toTell = new Set<ServedLink>();
  #inFlight = 0;

  constructor(options: ParkLinkServiceOptions) {
    this.#store = options.store;
    this.#log = options.log;
    this.#clock = options.clock;
  }

  /** Requests that the store has not answered. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** A REQUEST frame has come: `message[start..end)`. */
  onRequest(link: Link, streamId: number, message: Buffer, start: number, end: number): void {
    const served = this.#servedOf(link);
    const bytes = end - start;
    if (served.inFlight >= LINK_REQUESTS_MAX || this.#inFlight >= REQUESTS_MAX) {
      link.releaseReceived(bytes);
      return fail(link, streamId, tooMany(served.inFlight));
    }
    served.inFlight++;
    this.#inFlight++;
    try {
      const request = readParkRequest(message.toString('utf8', start + FRAME_HEAD_BYTES, end)); // S1
      if (request.op === 'write') this.#write(served, streamId, bytes, request);
      else if (request.op === 'watch' || request.op === 'unwatch') {
        this.#onWatchRequest(served, request);
        this.#answer(served, streamId, bytes, '{}');
      } else this.#carryOut(served, streamId, bytes, request);
    } catch (thrown) {
      this.#refuse(served, streamId, bytes, thrown);
    }
  }

  /** The client has taken up notices about events. @throws PlatformError LINK_FRAME_INVALID */
  onHeard(link: Link, value: unknown): void {
    const count = readHeard(value);
    const served = this.#links.get(link);
    if (served?.feed.heard(count) !== true)
      throw new PlatformError(
        'LINK_FRAME_INVALID',
        `expected at most as many notices heard as were sent, got ${count}`,
      );
    this.#tellLater(served);
  }

  onClosed(link: Link): void {
    const served = this.#links.get(link);
    if (served === undefined) return;
    this.#links.delete(link);
    this.#toTell.delete(served);
    for (const watch of [...served.feed.watches.values()]) served.feed.remove(watch); // S3: the session stays
  }

  /** Ends all watches; the links stay. */
  close(): void {
    for (const link of [...this.#links.keys()]) this.onClosed(link);
  }

  #servedOf(link: Link): ServedLink {
    let served = this.#links.get(link);
    if (served === undefined) {
      served = new ServedLink(link, this.#waiting);
      this.#links.set(link, served);
    }
    return served;
  }

  #write(served: ServedLink, streamId: number, bytes: number, request: WriteRequest): void {
    const force = request.force === true;
    if (force && served.link.peer.role !== 'tool') throw forceRefused(served.link.peer.role); // S4
    this.#store.write({ session: served.session, force, platform: false }, request).then(
      (outcome: WriteOutcome) => this.#answer(served, streamId, bytes, writeAnswerText(outcome)),
      (thrown: unknown) => this.#refuse(served, streamId, bytes, thrown),
    );
  }

  #carryOut(served: ServedLink, streamId: number, bytes: number, request: SimpleRequest): void {
    carryOut(this.#store, served, request).then(
      (answer) => this.#answer(served, streamId, bytes, JSON.stringify(answer)),
      (thrown: unknown) => this.#refuse(served, streamId, bytes, thrown),
    );
  }

  #answer(served: ServedLink, streamId: number, bytes: number, json: string): void {
    this.#end(served, bytes);
    const { link } = served;
    if (!link.open) return;
    const { writer } = link;
    const room = json.length > LONG_TEXT ? Buffer.byteLength(json) : json.length * BYTES_PER_CHAR_MAX;
    writer.reserve(FRAME_HEAD_BYTES + room);
    writer.beginFrame(FRAME_TYPE.REPLY, 0, 200, streamId, 0);
    writer.at += writer.buffer.write(json, writer.at, 'utf8');
    link.endStreamFrame();
  }

  #refuse(served: ServedLink, streamId: number, bytes: number, thrown: unknown): void {
    this.#end(served, bytes);
    const error = toPlatformError(thrown);
    if (error.code === 'INTERNAL') this.#log.error({ err: error }, 'request of the park failed');
    fail(served.link, streamId, error);
  }

  #end(served: ServedLink, bytes: number): void {
    served.inFlight--;
    this.#inFlight--;
    served.link.releaseReceived(bytes); // S2: the bytes count until here
  }

  #onWatchRequest(served: ServedLink, request: ParkRequest & { readonly op: 'watch' | 'unwatch' }): void {
    const { feed } = served;
    const known = feed.watches.get(request.watch);
    if (request.op === 'unwatch') {
      if (known !== undefined) feed.remove(known);
      return;
    }
    const { domain, node, after: afterRevision } = request;
    requireName('domain', domain);
    if (node !== '') requireName('node', node);
    if (known !== undefined)
      throw new PlatformError('PARK_REQUEST_INVALID', `expected a number of no open watch, got ${request.watch}`);
    this.#requireRoom(feed);
    const watch = new FedWatch(request.watch, afterRevision);
    feed.watches.set(watch.number, watch);
    try {
      const handle = this.#store.watch(
        { domain, node, afterRevision },
        {
          onEvents: (events, upTo) => {
            const behind = feed.push(watch, events, upTo, this.#clock.nowMs());
            if (behind !== undefined) this.#endBehind(served, behind);
            if (this.#waiting.chars > WAITING_CHARS_MAX) this.#relieve();
            this.#tellLater(served);
          },
          onEnd: (reason) => this.#endWatch(served, watch, toPlatformError(reason)),
        },
      );
      if (watch.closed) handle.close();
      else watch.handle = handle;
    } catch (thrown) {
      feed.remove(watch);
      throw thrown;
    }
  }

  /** S2 */
  #requireRoom(feed: WatchFeed): void {
    if (feed.watches.size >= LINK_WATCHES_MAX)
      throw new PlatformError('PARK_LIMIT', `expected at most ${LINK_WATCHES_MAX} watches on a link: end some`);
    if (feed.contentNodes <= LINK_CONTENT_NODES_MAX && this.#waiting.contentNodes <= CONTENT_NODES_MAX) return;
    throw new PlatformError('QUEUE_FULL', 'what earlier watches begin with is still on its way: ask again');
  }

  /** S2 */
  #relieve(): void {
    let slowest: ServedLink | undefined;
    for (const served of this.#links.values()) {
      if (slowest === undefined || served.feed.chars > slowest.feed.chars) slowest = served;
    }
    const watch = slowest?.feed.greatest;
    if (slowest !== undefined && watch !== undefined) this.#endBehind(slowest, watch);
  }

  #endBehind(served: ServedLink, watch: FedWatch): void {
    const detail = `${watch.length} changes wait for this watch: take them up faster, or watch less`;
    this.#endWatch(served, watch, new PlatformError('PARK_WATCH_BEHIND', detail));
  }

  #endWatch(served: ServedLink, watch: FedWatch, reason: PlatformError): void {
    if (watch.closed) return;
    served.feed.remove(watch);
    served.link.notify(PARK_TOPIC.ended, writeWatchEnd(watch.number, reason, ERROR_KINDS[reason.code].wire));
  }

  #tellLater(served: ServedLink): void {
    if (this.#toTell.size === 0) this.#clock.atEndOfTick(() => this.#tellAll());
    this.#toTell.add(served);
  }

  #tellAll(): void {
    const all = this.#toTell;
    this.#toTell = new Set();
    for (const served of all) this.#tell(served);
  }

  #tell({ link, feed }: ServedLink): void {
    while (link.open && feed.sendable) {
      const batches = feed.next();
      if (batches.length === 0 || link.notify(PARK_TOPIC.events, batches)) continue;
      link.close('INTERNAL', 'expected events to fit a notice'); // the client begins again where it is
    }
  }
}

function fail(link: Link, streamId: number, error: PlatformError): void {
  if (!link.open) return;
  writeError(link.writer, streamId, error, {});
  link.endStreamFrame();
}

function tooMany(inFlight: number): PlatformError {
  const detail = `expected at most ${LINK_REQUESTS_MAX} requests of a link and ${REQUESTS_MAX} of all under way, this link has ${inFlight}: send fewer at once`;
  return new PlatformError('QUEUE_FULL', detail);
}

function forceRefused(role: string): PlatformError {
  return new PlatformError('PARK_RIGHTS_MISSING', `expected force from a link of role tool only, this one is ${role}`);
}
