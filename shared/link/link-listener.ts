/**
 * Accepts links: a WebSocket server of which each connection becomes a Link once its peer has greeted.
 *
 * J1: at most LINK_GREETING_MAX connections greet at once; one more takes the place of the one that has greeted longest:
 *     who floods this port with connections waits in vain, and a peer, which needs milliseconds, still gets through.
 * J2: the end of every link is logged with its reason, so many lines a while and no more; strangers use up none of the
 *     lines about peers.
 */
import { BoundedLog } from '../bounded-log.ts';
import { type Clock, systemClock } from '../clock.ts';
import { DRAIN_HEARD_MS_MAX, LINK_GREETING_MAX, LINK_HELLO_TIMEOUT_MS } from '../constants.ts';
import { drained } from '../drained.ts';
import type { PlatformError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { Tick } from '../queue/tick.ts';
import { type Random, systemRandom } from '../random.ts';
import { createWebApp, type ListeningSocket, listenExclusive, type WebApp, type WebSocketPeer } from '../web-server.ts';
import { listenerGreeter } from './greeter.ts';
import type { LinkIdentity, LinkRole } from './greeting.ts';
import { Link, type LinkHandlers } from './link.ts';
import { type LinkSettings, messageBytesMaxOf, unsentBytesMaxOf } from './link-settings.ts';
import { closeReason, LINK_PATH, type LinkTransport } from './link-transport.ts';

export interface LinkListenerOptions {
  /** host:port; port 0 lets the system choose. */
  readonly address: string;
  readonly identity: LinkIdentity;
  readonly acceptRoles: readonly LinkRole[];
  readonly settings: LinkSettings;
  readonly handlers: LinkHandlers;
  readonly log: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly tick?: Tick;
}

/** Ends that are logged: of links more than a cluster has servers, far below what fills a disk; of strangers a few. */
const CLOSED_LINES = { linesMax: 200, periodMs: 10_000 };
const REFUSED_LINES = { linesMax: 20, periodMs: 10_000 };

interface Connection {
  link: Link | undefined;
}

export class LinkListener {
  readonly #options: LinkListenerOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #tick: Tick;
  readonly #app: WebApp;
  readonly #links = new Set<Link>();
  /** Oldest first (J1). */
  readonly #greeting = new Set<Link>();
  readonly #closedLines = new BoundedLog(CLOSED_LINES);
  readonly #refusedLines = new BoundedLog(REFUSED_LINES);
  #draining = false;
  #socket: ListeningSocket | undefined;

  constructor(options: LinkListenerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#tick = options.tick ?? new Tick(this.#clock);
    this.#app = createWebApp();
    this.#serve();
  }

  /** Open links. */
  get links(): readonly Link[] {
    return [...this.#links].filter((link) => link.open);
  }

  /** @returns host:port really bound @throws PlatformError PORT_TAKEN */
  async listen(): Promise<string> {
    this.#socket = await listenExclusive(this.#app, this.#options.address);
    return this.#socket.address;
  }

  /**
   * Tells every peer to send no new requests.
   * Resolves when all have heard it, so that nothing is on its way any more, or after DRAIN_HEARD_MS_MAX.
   */
  async announceDrain(): Promise<void> {
    this.#draining = true;
    for (const link of this.#links) link.announceDrain();
    const unheard = (): number => this.links.filter((link) => !link.heartbeat.drainHeard).length;
    await drained(this.#clock, unheard, DRAIN_HEARD_MS_MAX);
  }

  get draining(): boolean {
    return this.#draining;
  }

  close(): void {
    for (const link of [...this.#links]) link.close('LINK_CLOSED', 'this server is stopping');
    this.#socket?.close();
    this.#app.close();
  }

  #serve(): void {
    const { settings } = this.#options;
    this.#app.ws<Connection>(LINK_PATH, {
      maxPayloadLength: messageBytesMaxOf(settings),
      // The link cuts off a peer that does not read, with a reason; this stands behind it.
      maxBackpressure: unsentBytesMaxOf(settings) + messageBytesMaxOf(settings),
      closeOnBackpressureLimit: true,
      idleTimeout: 0, // the link's own PING tells a dead peer sooner
      sendPingsAutomatically: false,
      upgrade: (response, request, context) => {
        const key = request.getHeader('sec-websocket-key');
        const extensions = request.getHeader('sec-websocket-extensions');
        response.upgrade<Connection>({ link: undefined }, key, '', extensions, context);
      },
      open: (webSocket) => this.#accept(webSocket),
      message: (webSocket, message, isBinary) => {
        // The server's buffer is gone after this call: the one copy a request's bytes take here.
        const owned = Buffer.allocUnsafe(isBinary ? message.byteLength : 0);
        if (isBinary) owned.set(new Uint8Array(message));
        webSocket.getUserData().link?.receive(owned);
      },
      close: (webSocket, code, reason) => {
        const connection = webSocket.getUserData();
        const link = connection.link;
        connection.link = undefined;
        if (link === undefined) return;
        link.transportClosed(...closeReason(code, Buffer.from(reason).toString()));
      },
    });
    this.#app.any('/*', (response) => {
      response
        .writeStatus('426 Upgrade Required')
        .end('This port is for the servers of the cluster. HTTP goes to an interface server.');
    });
  }

  #accept(webSocket: WebSocketPeer<Connection>): void {
    const { identity, acceptRoles, settings, handlers, log } = this.#options;
    const connection = webSocket.getUserData();
    const [oldest] = this.#greeting;
    if (oldest !== undefined && this.#greeting.size >= LINK_GREETING_MAX) {
      oldest.close('LINK_HELLO_TIMEOUT', `more than ${LINK_GREETING_MAX} connections greet: the oldest makes room`); // J1
    }
    const link = new Link(
      {
        transport: transportOf(webSocket, connection),
        greeter: listenerGreeter(identity, this.#random.bytes(16).toString('hex'), acceptRoles),
        settings,
        log,
        clock: this.#clock,
        tick: this.#tick,
        handlers: {
          ...handlers,
          onOpen: (opened) => {
            this.#greeting.delete(opened);
            if (this.#draining) opened.announceDrain(); // it was still greeting when the others were told
            handlers.onOpen?.(opened);
          },
          onClosed: (closed, reason) => {
            this.#logEnd(closed, reason);
            this.#greeting.delete(closed);
            this.#links.delete(closed);
            handlers.onClosed?.(closed, reason);
          },
        },
      },
      this.#clock.nowMs() + LINK_HELLO_TIMEOUT_MS,
    );
    connection.link = link;
    this.#links.add(link);
    this.#greeting.add(link);
  }

  /** J2 */
  #logEnd(link: Link, reason: PlatformError): void {
    const refused = this.#greeting.has(link);
    const { write, dropped } = (refused ? this.#refusedLines : this.#closedLines).admit(this.#clock.nowMs());
    if (!write) return;
    const { log } = this.#options;
    const { code, detail } = reason;
    if (refused) log.warn({ code, detail, dropped }, 'link refused');
    else log.info({ peer: link.peer, code, detail, dropped }, 'link closed');
  }
}

/** uWebSockets.js throws when a closed socket is touched, so the connection forgets its link first. */
function transportOf(webSocket: WebSocketPeer<Connection>, connection: Connection): LinkTransport {
  return {
    send: (bytes) => {
      // 2 = dropped: the limit above was passed, and the socket closes itself (closeOnBackpressureLimit).
      if (connection.link !== undefined) webSocket.send(bytes, true, false);
    },
    get bufferedBytes() {
      return connection.link === undefined ? 0 : webSocket.getBufferedAmount();
    },
    close: (code, reason) => {
      if (connection.link === undefined) return;
      connection.link = undefined;
      webSocket.end(code, reason);
    },
  };
}
