/**
 * Keeps one link to one peer open: dials, greets, and dials again when it is lost. dial-state.ts decides when.
 *
 * I1: each dial ends once: what its connection says after that changes nothing, and never touches the next dial.
 * I2: a peer that takes the connection and says nothing is given up on, like one that does not greet.
 */
import { type Clock, systemClock, type TimerHandle } from '../clock.ts';
import { LINK_HELLO_TIMEOUT_MS } from '../constants.ts';
import type { ErrorCode } from '../errors.ts';
import type { Logger } from '../log.ts';
import { Tick } from '../queue/tick.ts';
import { type Random, systemRandom } from '../random.ts';
import { type ClientWebSocket, dialWebSocket } from '../web-client.ts';
import { type DialState, nextDialState } from './dial-state.ts';
import { dialerGreeter } from './greeter.ts';
import type { LinkIdentity, LinkRole } from './greeting.ts';
import { Link, type LinkHandlers } from './link.ts';
import { type LinkSettings, messageBytesMaxOf } from './link-settings.ts';
import { closeReason, LINK_PATH } from './link-transport.ts';

export interface LinkDialerOptions {
  /** host:port of the peer's listener. */
  readonly address: string;
  readonly identity: LinkIdentity;
  readonly expectRole: LinkRole;
  /** Omitted: any server of that role. */
  readonly expectServerId?: string;
  readonly settings: LinkSettings;
  readonly handlers: LinkHandlers;
  readonly log: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  /** The server's own, so that its links leave in step with its scanners. */
  readonly tick?: Tick;
}

export class LinkDialer {
  readonly #options: LinkDialerOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #tick: Tick;
  #state: DialState = { kind: 'idle' };
  #link: Link | undefined;
  /** Ends the dial or greeting under way. */
  #giveUp: (() => void) | undefined;
  #redial: TimerHandle | undefined;
  #lastRefusal = '';

  constructor(options: LinkDialerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#tick = options.tick ?? new Tick(this.#clock);
  }

  /** The link, while it is open. */
  get link(): Link | undefined {
    return this.#link?.open === true ? this.#link : undefined;
  }

  /** Why there is no link, in words; '' before the first try and while it is open. */
  get lastRefusal(): string {
    return this.#lastRefusal;
  }

  start(): void {
    if (this.#state.kind === 'idle') this.#dial();
  }

  close(): void {
    this.#state = nextDialState(this.#state, { kind: 'stop' });
    this.#redial?.cancel();
    this.#link?.close('LINK_CLOSED', 'this side is closing');
    this.#giveUp?.();
  }

  #dial(): void {
    this.#state = nextDialState(this.#state, { kind: 'dial' });
    if (this.#state.kind !== 'dialing') return;
    const { address, settings } = this.#options;
    let link: Link | undefined;
    let ended = false;
    const lost = (code: ErrorCode, detail: string): void => {
      if (ended) return; // I1
      ended = true;
      patience.cancel();
      this.#lost(code, detail);
    };
    const dial = {
      address,
      path: LINK_PATH,
      messageBytesMax: messageBytesMaxOf(settings),
      connectTimeoutMs: LINK_HELLO_TIMEOUT_MS,
    };
    const connection = dialWebSocket(dial, {
      onOpen: (socket) => {
        if (ended) return socket.close(1000, 'given up');
        patience.cancel();
        link = this.#greet(socket, lost);
      },
      onMessage: (message) => link?.receive(message),
      onClose: (code, reason) => {
        const [errorCode, detail] = closeReason(code, reason);
        link?.transportClosed(errorCode, detail);
        lost(errorCode, detail);
      },
    });
    const giveUp = (detail: string): void => {
      if (ended || link !== undefined) return;
      lost('LINK_HELLO_TIMEOUT', detail);
      connection.close(1000, 'given up');
    };
    const patience = this.#clock.after(LINK_HELLO_TIMEOUT_MS, () => giveUp('the peer did not answer the dial in time')); // I2
    this.#giveUp = () => giveUp('this side is closing');
  }

  #greet(socket: ClientWebSocket, lost: (code: ErrorCode, detail: string) => void): Link {
    const { identity, expectRole, expectServerId, handlers, settings, log } = this.#options;
    const nonce = this.#random.bytes(16).toString('hex');
    const link = new Link(
      {
        transport: socket,
        greeter: dialerGreeter(identity, nonce, { role: expectRole, serverId: expectServerId }),
        settings,
        log,
        clock: this.#clock,
        tick: this.#tick,
        handlers: {
          ...handlers,
          onOpen: (opened) => {
            this.#state = nextDialState(this.#state, { kind: 'opened', nowMs: this.#clock.nowMs() });
            this.#lastRefusal = '';
            handlers.onOpen?.(opened);
          },
          onClosed: (closed, reason) => {
            if (closed === this.#link) this.#link = undefined;
            handlers.onClosed?.(closed, reason);
            lost(reason.code, reason.detail); // the peer's answer to our close may never come
          },
        },
      },
      this.#clock.nowMs() + LINK_HELLO_TIMEOUT_MS,
    );
    this.#link = link;
    return link;
  }

  #lost(code: ErrorCode, detail: string): void {
    const event = { kind: 'lost', nowMs: this.#clock.nowMs(), chance: this.#random.float() } as const;
    const next = nextDialState(this.#state, event);
    if (next.kind !== 'waiting' || next === this.#state) return;
    this.#state = next;
    const refusal = `${code}: ${detail}`;
    if (refusal !== this.#lastRefusal)
      this.#options.log.info({ address: this.#options.address, code, detail }, 'link lost, dialing again');
    this.#lastRefusal = refusal;
    this.#redial = this.#clock.after(next.redialInMs, () => this.#dial());
  }
}
