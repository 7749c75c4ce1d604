/**
 * `ctx.park` of all handlers of an app server: one client, over links of its own to the coordinators.
 *
 * K1: nothing is opened before a handler asks for it. With every coordinator down the server starts and serves; a call to
 *     the park ends after CALL_TIMEOUT_MS with NO_COORDINATOR, and nothing else notices.
 */
import type { LinkIdentity } from '../shared/link/greeting.ts';
import type { LinkSettings } from '../shared/link/link-settings.ts';
import type { Logger } from '../shared/log.ts';
import type { Park } from '../shared/park/park.ts';
import { ParkClient } from '../shared/park/park-client.ts';
import { ParkLinkChannel } from '../shared/park/park-link-channel.ts';

/** Leaves a handler of the default deadline the time to answer by itself. */
export const CALL_TIMEOUT_MS = 2_000;

export interface HandlerParkOptions {
  /** host:port each. */
  readonly coordinators: readonly string[];
  readonly identity: LinkIdentity;
  readonly settings: LinkSettings;
  readonly log: Logger;
  readonly callTimeoutMs?: number;
}

export class HandlerPark {
  readonly #options: HandlerParkOptions;
  #client: ParkClient | undefined;
  #closed = false;

  constructor(options: HandlerParkOptions) {
    this.#options = options;
  }

  /** K1. After `close` a client that has been closed: its calls end with NO_COORDINATOR. */
  get park(): Park {
    this.#client ??= this.#open();
    return this.#client;
  }

  get opened(): boolean {
    return this.#client !== undefined;
  }

  /** Ends the session: what handlers hold by it is free at once. */
  close(): void {
    this.#closed = true;
    this.#client?.close();
  }

  #open(): ParkClient {
    const { coordinators, identity, settings, log, callTimeoutMs = CALL_TIMEOUT_MS } = this.#options;
    const channel = new ParkLinkChannel({ coordinators, identity, settings, log });
    const client = new ParkClient({ channel, name: identity.serverId, callTimeoutMs, log });
    if (this.#closed) client.close();
    else client.start();
    return client;
  }
}
