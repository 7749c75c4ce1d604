/**
 * Keeps one client's session: opened when it is first needed, renewed at a third of its time, told to each new
 * connection, given up when its time has run out here.
 *
 * H1: the holder believes in the session no longer than the coordinator does: its time counts from when the renewal that
 *     was answered was sent.
 * H2: a session is lost once; its listeners are called once, in the order they came.
 * H3: a write goes out only over a connection that was told the session before.
 */
import type { Clock, TimerHandle } from '../clock.ts';
import { PlatformError, toPlatformError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { HeldSession } from './held-session.ts';
import type { ParkSession } from './park.ts';
import { readDone, readRenewalAnswer, readSessionAnswer } from './park-answers.ts';
import { servedElsewhere } from './park-calls.ts';
import type { Asked, Asker, ParkChannel } from './park-channel.ts';

/** One renewal may get lost and the session still lives. */
const RENEWALS_PER_TTL = 3;
/** A coordinator that leaves a renewal unanswered for this share of a session's time is doubted: a sixth is left then. */
const DOUBT_SHARE = 1 / 2;

export interface SessionKeeperOptions {
  readonly channel: ParkChannel;
  readonly clock: Clock;
  readonly log: Logger;
  /** Shown as the owner of what this client creates. */
  readonly name: string;
  readonly ttlMs: number;
  /** For opening a session. */
  readonly timeoutMs: number;
  /** Writes may go. */
  readonly onReady: () => void;
  /** No session can be had now. */
  readonly onFailed: (error: PlatformError) => void;
  /** The coordinator does not serve. */
  readonly leave: (why: string) => void;
}

interface Opener {
  readonly promise: Promise<ParkSession>;
  readonly resolve: (session: ParkSession) => void;
  readonly reject: (error: PlatformError) => void;
}

export class SessionKeeper {
  readonly #options: SessionKeeperOptions;
  #session: HeldSession | undefined;
  /** Connections are told apart: an answer that came over an earlier one binds nothing. */
  #connection = 0;
  #bound = false;
  #opening: Asked | undefined;
  #openingTimer: TimerHandle | undefined;
  #wanted = false;
  #opener: Opener | undefined;
  #renewal: TimerHandle | undefined;
  #expiry: TimerHandle | undefined;
  #doubt: TimerHandle | undefined;
  /** When the oldest renewal without an answer was sent over this connection. */
  #unansweredSinceMs: number | undefined;
  /** Given up here unheard by the coordinator, to be ended there. */
  #left: string | undefined;
  #closed = false;

  constructor(options: SessionKeeperOptions) {
    this.#options = options;
  }

  /** Whether a write may be sent now (H3); sees to it if not. */
  readonly ready = (): boolean => {
    if (this.#session !== undefined && this.#bound) return true;
    this.#see();
    return this.#session !== undefined && this.#bound;
  };

  /** @throws PlatformError NO_COORDINATOR when none opened one in time */
  session(): Promise<ParkSession> {
    const session = this.#session;
    if (session !== undefined && session.aliveUntilMs > this.#options.clock.nowMs()) return Promise.resolve(session);
    this.#opener ??= this.#makeOpener();
    const { promise } = this.#opener;
    this.#see();
    return promise;
  }

  onUp(): void {
    this.#connection++;
    if (this.#left !== undefined && this.#end(this.#left)) this.#left = undefined;
    if (this.#session !== undefined) this.#renew();
    else if (this.#wanted || this.#opener !== undefined) this.#see();
  }

  onDown(): void {
    this.#bound = false;
    this.#unansweredSinceMs = undefined;
    this.#openingTimer?.cancel();
    this.#opening = undefined;
  }

  /** What did not go for want of room goes now. */
  onRoom(): void {
    if (this.#session !== undefined && !this.#bound) this.#renew();
    else if (this.#session === undefined && (this.#wanted || this.#opener !== undefined)) this.#see();
  }

  /** The coordinator says that the session has ended. */
  onUnknown(): void {
    if (this.#session !== undefined) this.#lose('the coordinator says that it has ended');
  }

  close(): void {
    this.#closed = true;
    this.#openingTimer?.cancel();
    this.#opener?.reject(new PlatformError('NO_COORDINATOR', 'this client of the park has been closed'));
    const session = this.#session;
    if (session === undefined) return;
    this.#end(session.id);
    this.#drop();
    session.lose();
  }

  /** Opens a session, or tells the connection the one there is. */
  #see(): void {
    const { channel, clock } = this.#options;
    if (this.#closed) return;
    const session = this.#session;
    if (session !== undefined && session.aliveUntilMs <= clock.nowMs()) this.#lose('it was not renewed in time');
    this.#wanted = true;
    if (!channel.up) return;
    if (this.#session !== undefined) {
      if (!this.#bound) this.#renew();
    } else if (this.#opening === undefined) this.#open();
  }

  #open(): void {
    const { channel, clock, name, ttlMs, timeoutMs } = this.#options;
    const sentAtMs = clock.nowMs();
    const answered = (): void => {
      this.#openingTimer?.cancel();
      this.#opening = undefined;
    };
    const asker: Asker = {
      onAnswer: (value) => {
        answered();
        this.#take(value, sentAtMs);
      },
      onError: (error) => {
        answered();
        if (servedElsewhere(error)) this.#options.leave(error.message);
        else this.#fail(error);
      },
      onLost: answered,
    };
    this.#opening = channel.ask({ op: 'open-session', name, ttlMs }, asker);
    if (this.#opening === undefined) return; // onRoom, onUp
    this.#openingTimer = clock.after(timeoutMs, () => {
      this.#opening?.cancel();
      answered();
      channel.doubt('it does not open a session');
      this.#fail(new PlatformError('NO_COORDINATOR', `expected a session to be opened within ${timeoutMs} ms`));
    });
  }

  #take(value: unknown, sentAtMs: number): void {
    const { name, log, onReady } = this.#options;
    let answer: { readonly id: string; readonly ttlMs: number };
    try {
      answer = readSessionAnswer(value);
    } catch (thrown) {
      return this.#fail(toPlatformError(thrown));
    }
    const { id, ttlMs } = answer;
    const session = new HeldSession({ id, name, ttlMs, aliveUntilMs: sentAtMs + ttlMs, log }); // H1
    this.#session = session;
    this.#bound = true; // H3: opening it has told this connection
    this.#wanted = false;
    this.#planExpiry(session);
    this.#planRenewal(session);
    const opener = this.#opener;
    this.#opener = undefined;
    opener?.resolve(session);
    onReady();
  }

  #fail(error: PlatformError): void {
    this.#wanted = false;
    const opener = this.#opener;
    this.#opener = undefined;
    opener?.reject(error);
    this.#options.onFailed(error);
  }

  #renew(): void {
    const { channel, clock, leave } = this.#options;
    const session = this.#session;
    if (session === undefined || !channel.up) return;
    const sentAtMs = clock.nowMs();
    const connection = this.#connection;
    const asked = channel.ask(
      { op: 'renew-session', id: session.id },
      {
        onAnswer: (value) => {
          if (connection === this.#connection) this.#unansweredSinceMs = undefined;
          this.#renewed(session, sentAtMs, value);
        },
        onError: (error) => {
          if (connection === this.#connection) this.#unansweredSinceMs = undefined;
          if (servedElsewhere(error)) leave(error.message);
          else if (error.code === 'PARK_SESSION_UNKNOWN' && session === this.#session) this.onUnknown();
        },
        onLost: () => {},
      },
    );
    if (asked === undefined) return;
    if (this.#unansweredSinceMs === undefined) {
      this.#unansweredSinceMs = sentAtMs;
      this.#planDoubt(session, sentAtMs);
    }
    if (this.#bound) return;
    this.#bound = true; // H3: what is sent from here on comes behind it
    this.#options.onReady();
  }

  /** H1 */
  #renewed(session: HeldSession, sentAtMs: number, value: unknown): void {
    if (session !== this.#session) return;
    try {
      const aliveUntilMs = sentAtMs + readRenewalAnswer(value);
      if (aliveUntilMs > session.aliveUntilMs) session.aliveUntilMs = aliveUntilMs;
      this.#planExpiry(session);
    } catch (thrown) {
      this.#options.log.warn({ err: toPlatformError(thrown) }, 'the answer to a renewal cannot be read');
    }
  }

  #planRenewal(session: HeldSession): void {
    this.#renewal?.cancel();
    this.#renewal = this.#options.clock.after(session.ttlMs / RENEWALS_PER_TTL, () => {
      if (session !== this.#session) return;
      this.#planRenewal(session);
      this.#renew();
    });
  }

  #planDoubt(session: HeldSession, sentAtMs: number): void {
    const { clock, channel } = this.#options;
    this.#doubt?.cancel();
    this.#doubt = clock.after(session.ttlMs * DOUBT_SHARE, () => {
      if (session !== this.#session || this.#unansweredSinceMs !== sentAtMs) return;
      channel.doubt('it does not answer renewals of a session'); // renewed elsewhere at once, if there is somewhere
    });
  }

  #planExpiry(session: HeldSession): void {
    const { clock } = this.#options;
    this.#expiry?.cancel();
    this.#expiry = clock.after(Math.max(0, session.aliveUntilMs - clock.nowMs()), () => {
      if (session !== this.#session) return;
      if (clock.nowMs() < session.aliveUntilMs) this.#planExpiry(session);
      else this.#lose('it was not renewed in time');
    });
  }

  #lose(why: string): void {
    const session = this.#session;
    if (session === undefined) return;
    this.#drop(); // H2
    this.#options.log.warn({ session: session.name, why }, 'session of the park lost');
    if (!this.#end(session.id)) this.#left = session.id;
    session.lose();
  }

  #drop(): void {
    this.#session = undefined;
    this.#bound = false;
    this.#unansweredSinceMs = undefined;
    this.#renewal?.cancel();
    this.#expiry?.cancel();
    this.#doubt?.cancel();
  }

  /** What nobody holds any more goes at once instead of by its time. @returns whether the coordinator was told */
  #end(id: string): boolean {
    const asker: Asker = { onAnswer: readDone, onError: () => {}, onLost: () => {} };
    return this.#options.channel.ask({ op: 'end-session', id }, asker) !== undefined;
  }

  #makeOpener(): Opener {
    let opener!: Pick<Opener, 'resolve' | 'reject'>;
    const promise = new Promise<ParkSession>((resolve, reject) => {
      opener = { resolve, reject };
    });
    const { clock, timeoutMs } = this.#options;
    const made = { promise, ...opener };
    clock.after(timeoutMs, () => {
      if (this.#opener !== made) return;
      this.#opener = undefined;
      made.reject(new PlatformError('NO_COORDINATOR', `expected a session to be opened within ${timeoutMs} ms`));
    });
    return made;
  }
}
