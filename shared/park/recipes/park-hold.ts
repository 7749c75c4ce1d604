/**
 * What is held by a node of this client's session: a lock, a permit, the leadership.
 *
 * H1: it is believed in no longer than the session surely lives by this process's own clock, whatever timers do: one that
 *     was stopped and goes on sees so in `isHeld` before any timer has fired.
 * H2: it ends once: lost, or given back. Only a loss is told, in `signal` and `lost`.
 * H3: giving it back does the same however often it is called, and is tried until the node is gone or the session is.
 */
import type { Clock } from '../../clock.ts';
import { PlatformError } from '../../errors.ts';
import type { Park, ParkChange, ParkSession } from '../park.ts';
import { removeSurely } from './claim-node.ts';
import { onSessionLost } from './session-loss.ts';

/** As `ctx.db.write(run, { fence })` takes it. */
export interface ParkFence {
  readonly name: string;
  readonly token: number;
}

export interface HoldFields {
  readonly park: Park;
  readonly clock: Clock;
  readonly session: ParkSession;
  readonly domain: string;
  readonly node: string;
  readonly token: number;
  /** Called once, when it has ended either way. */
  readonly onEnd: () => void;
}

export class ParkHold {
  /** Revision of the node it is held by: greater than that of whoever held before, on every store, for good. */
  readonly token: number;
  readonly #fields: HoldFields;
  readonly #abort = new AbortController();
  readonly #lost: Promise<PlatformError>;
  #tellLost!: (why: PlatformError) => void;
  readonly #stops: (() => void)[] = [];
  #isOver = false;
  #releasing: Promise<void> | undefined;

  constructor(fields: HoldFields) {
    this.#fields = fields;
    this.token = fields.token;
    this.#lost = new Promise((resolve) => {
      this.#tellLost = resolve;
    });
    this.#stops.push(onSessionLost(fields.session, () => this.#lose('its session was not renewed in time')));
    if (this.#isOver) return;
    const { park, domain, node, token } = fields;
    const watch = park.watch(domain, (change) => this.#onChange(change), { node, afterRevision: token });
    this.#stops.push(() => watch.close());
  }

  /** Whether it is surely held at this moment (H1). Ask before each step that must not be done by two. */
  get isHeld(): boolean {
    const { clock, session } = this.#fields;
    if (!this.#isOver && clock.nowMs() >= session.aliveUntilMs) this.#lose('its session was not renewed in time');
    return !this.#isOver;
  }

  /** Aborts when it is lost, with a PlatformError as the reason; not when it is given back. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Resolves when it is lost, with the reason; never, when it is given back. */
  get lost(): Promise<PlatformError> {
    return this.#lost;
  }

  /** Gives it back: the next one has it at once. With no coordinator there it ends with the session, which is then lost. */
  release(): Promise<void> {
    if (this.#releasing !== undefined) return this.#releasing;
    const { park, clock, session, domain, node } = this.#fields;
    if (this.#isOver) return Promise.resolve();
    this.#end();
    this.#releasing = removeSurely({ park, clock, session, domain, node }); // H3
    return this.#releasing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  #onChange(change: ParkChange): boolean {
    const { node } = this.#fields;
    const isThere = change.kind === 'content' ? change.entries.some((one) => one.node === node) : change.kind === 'put';
    if (!isThere) this.#lose('somebody removed its node');
    return isThere;
  }

  /** H2 */
  #lose(why: string): void {
    if (this.#isOver) return;
    this.#end();
    const { domain, token } = this.#fields;
    const detail = `${domain} is no longer held (token ${token}): ${why}; stop what needs it, and take it anew`;
    const error = new PlatformError('PARK_SESSION_UNKNOWN', detail);
    this.#abort.abort(error);
    this.#tellLost(error);
  }

  #end(): void {
    this.#isOver = true;
    for (const stop of this.#stops) stop();
    this.#fields.onEnd();
  }
}
