/** Door to undici: WebSocket connections to other servers. */
import type { Socket } from 'node:net';
import { Agent, buildConnector, WebSocket } from 'undici';
import { systemClock, type TimerHandle } from './clock.ts';

export interface WebSocketListeners {
  onOpen(socket: ClientWebSocket): void;
  /** One binary message; the buffer is the callee's to keep. */
  onMessage(message: Buffer): void;
  /** Called once, after a failed dial too. @param code WebSocket close code, 1006 when there was none */
  onClose(code: number, reason: string): void;
}

/** What a dialed connection can do. */
export interface ClientWebSocket {
  send(bytes: Uint8Array): void;
  readonly bufferedBytes: number;
  /** Also gives up a dial that is not through yet. @param reason at most 123 bytes */
  close(code: number, reason: string): void;
}

export interface DialOptions {
  /** host:port */
  readonly address: string;
  readonly path: string;
  /** Largest message accepted; a longer one closes the connection. */
  readonly messageBytesMax: number;
  readonly connectTimeoutMs: number;
}

/** Fragments of one message: links send whole messages, so few are allowed. */
const FRAGMENTS_MAX = 4;

/** How long the peer has to answer our close; undici itself would wait for it for ever. */
const CLOSE_ANSWER_MS_MAX = 1_000;

/** Dials; what happens is told to the listeners. @returns the connection, so that a dial can be given up */
export function dialWebSocket(options: DialOptions, listeners: WebSocketListeners): ClientWebSocket {
  let tcp: Socket | undefined;
  let lastCall: TimerHandle | undefined;
  const connect = buildConnector({ timeout: options.connectTimeoutMs });
  const agent = new Agent({
    webSocket: { maxPayloadSize: options.messageBytesMax, maxFragments: FRAGMENTS_MAX },
    connect: (target, done) =>
      connect(target, (...result) => {
        tcp = result[1] ?? undefined;
        done(...result);
      }),
  });
  const webSocket = new WebSocket(`ws://${options.address}${options.path}`, { dispatcher: agent });
  webSocket.binaryType = 'arraybuffer';
  const socket: ClientWebSocket = {
    send: (bytes) => webSocket.send(bytes),
    get bufferedBytes() {
      return webSocket.bufferedAmount;
    },
    close: (code, reason) => {
      webSocket.close(code, reason);
      lastCall ??= systemClock.after(CLOSE_ANSWER_MS_MAX, () => tcp?.destroy());
    },
  };
  webSocket.onopen = () => listeners.onOpen(socket);
  webSocket.onmessage = (event) => {
    const data: unknown = event.data;
    // A text message is no link traffic: an empty message is refused by the frame reader.
    listeners.onMessage(data instanceof ArrayBuffer ? Buffer.from(data) : Buffer.alloc(0));
  };
  webSocket.onclose = (event) => {
    lastCall?.cancel();
    listeners.onClose(event.code, event.reason);
    void agent.destroy();
  };
  return socket;
}
