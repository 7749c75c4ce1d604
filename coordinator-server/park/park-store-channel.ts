/**
 * The way to the park within a coordinator's own process: straight to its store. For controllers, and for tests.
 *
 * D1: an answer never comes before `ask` has returned, and never after its cancel.
 * D2: events that come within one call of the store are told as they come; a watch that has ended says no more.
 */
import { type Clock, systemClock, type TimerHandle } from '../../shared/clock.ts';
import { PlatformError, toPlatformError } from '../../shared/errors.ts';
import { writeAnswerText } from '../../shared/park/park-answers.ts';
import type { Asked, Asker, ChannelListener, ParkChannel } from '../../shared/park/park-channel.ts';
import type { ParkRequest } from '../../shared/park/park-protocol.ts';
import type { ParkStore, WatchHandle } from '../store/park-store.ts';
import { requireName } from './park-bounds.ts';
import { carryOut, type ParkConnection } from './park-requests.ts';

/** After a refusal: a store that does not serve now may in a moment. */
const REFUSED_PAUSE_MS = 100;

export interface ParkStoreChannelOptions {
  readonly store: ParkStore;
  /** May write the platform's own domains. */
  readonly platform?: boolean | undefined;
  readonly clock?: Clock | undefined;
}

interface OpenWatch {
  handle: WatchHandle | undefined;
  ended: boolean;
}

export class ParkStoreChannel implements ParkChannel {
  readonly #store: ParkStore;
  readonly #platform: boolean;
  readonly #clock: Clock;
  readonly #watches = new Map<number, OpenWatch>();
  readonly #open = new Set<StoreAsk>();
  #connection: ParkConnection = { session: '' };
  #listener: ChannelListener | undefined;
  #up = false;
  #closed = false;
  #pause: TimerHandle | undefined;

  constructor(options: ParkStoreChannelOptions) {
    this.#store = options.store;
    this.#platform = options.platform ?? false;
    this.#clock = options.clock ?? systemClock;
  }

  start(listener: ChannelListener): void {
    if (this.#listener !== undefined || this.#closed) return;
    this.#listener = listener;
    this.#rise();
  }

  get up(): boolean {
    return this.#up;
  }

  ask(request: ParkRequest, asker: Asker): Asked | undefined {
    if (!this.#up) return undefined;
    const ask = new StoreAsk(asker, this.#open);
    this.#open.add(ask);
    this.#carryOut(request).then(
      (value) => ask.end(() => asker.onAnswer(value)), // D1
      (thrown: unknown) => ask.end(() => asker.onError(toPlatformError(thrown))),
    );
    return ask;
  }

  refuse(): void {
    if (!this.#up) return;
    this.#fall('LINK_CLOSED', 'the store does not serve now');
    this.#listener?.onDown();
    this.#pause = this.#clock.after(REFUSED_PAUSE_MS, () => this.#rise());
  }

  /** There is no other one. */
  doubt(): void {}

  close(): void {
    this.#closed = true;
    this.#pause?.cancel();
    this.#fall('LINK_CLOSED', 'this client has been closed');
  }

  #rise(): void {
    if (this.#closed) return;
    this.#up = true;
    this.#listener?.onUp();
  }

  #fall(code: 'LINK_CLOSED', why: string): void {
    this.#up = false;
    this.#connection = { session: '' };
    for (const number of [...this.#watches.keys()]) this.#endWatch(number);
    for (const ask of [...this.#open]) ask.end(() => this.#closed || ask.asker.onLost(new PlatformError(code, why)));
  }

  async #carryOut(request: ParkRequest): Promise<unknown> {
    switch (request.op) {
      case 'write': {
        const { session } = this.#connection;
        const writer = { session, force: request.force === true, platform: this.#platform };
        return JSON.parse(writeAnswerText(await this.#store.write(writer, request)));
      }
      case 'watch':
        this.#watch(request);
        return {};
      case 'unwatch':
        this.#endWatch(request.watch);
        return {};
      default:
        return await carryOut(this.#store, this.#connection, request);
    }
  }

  #watch({ watch: number, domain, node, after: afterRevision }: ParkRequest & { op: 'watch' }): void {
    requireName('domain', domain);
    if (node !== '') requireName('node', node);
    const watch: OpenWatch = { handle: undefined, ended: false };
    this.#watches.set(number, watch);
    try {
      watch.handle = this.#store.watch(
        { domain, node, afterRevision },
        {
          onEvents: (events, upTo) => {
            if (!watch.ended) this.#listener?.onEvents([{ watch: number, events, upTo }]); // D2
          },
          onEnd: (reason) => {
            if (watch.ended) return;
            this.#endWatch(number);
            this.#listener?.onWatchEnded({ watch: number, reason: toPlatformError(reason) });
          },
        },
      );
    } catch (thrown) {
      this.#endWatch(number);
      throw thrown;
    }
    if (watch.ended) watch.handle.close();
  }

  #endWatch(number: number): void {
    const watch = this.#watches.get(number);
    if (watch === undefined) return;
    watch.ended = true;
    this.#watches.delete(number);
    watch.handle?.close();
  }
}

/** One request on its way. */
class StoreAsk implements Asked {
  readonly asker: Asker;
  readonly #open: Set<StoreAsk>;

  constructor(asker: Asker, open: Set<StoreAsk>) {
    this.asker = asker;
    this.#open = open;
  }

  cancel(): void {
    this.#open.delete(this);
  }

  /** D1 */
  end(tell: () => void): void {
    if (this.#open.delete(this)) tell();
  }
}
