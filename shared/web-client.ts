/**
 * Door to undici: WebSocket connections to other servers. undici dials and asks for the upgrade; from there on the
 * socket is ours, and websocket-frames.ts says what is on it.
 *
 * E1: `onClose` is called once: after a failed dial, after the peer's CLOSE, or when the connection is lost.
 */
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Client as UndiciClient } from 'undici';
import { systemClock, type TimerHandle } from './clock.ts';
import { systemRandom } from './random.ts';
import { requirePackage } from './require-package.ts';
import { ClientFrameWriter, closePayload, OPCODE, ServerFrameReader } from './websocket-frames.ts';

/** The two parts of undici that a dial needs: all of it would be 4 MiB more in every process. */
const Client = requirePackage('undici/lib/dispatcher/client.js') as typeof import('undici').Client;
Client.prototype.upgrade = requirePackage('undici/lib/api/api-upgrade.js') as UndiciClient['upgrade'];

export interface WebSocketListeners {
  onOpen(socket: ClientWebSocket): void;
  /** One binary message; the buffer is the callee's to keep. */
  onMessage(message: Buffer): void;
  /** Called once, after a failed dial too. @param code WebSocket close code, 1006 when there was none */
  onClose(code: number, reason: string): void;
}

/** What a dialed connection can do. */
export interface ClientWebSocket {
  /** The bytes are copied, or on their way, when this returns. */
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

/** How long the peer has to answer our close before the connection is cut. */
const CLOSE_ANSWER_MS_MAX = 1_000;

/** The connection ended without a CLOSE (RFC 6455 § 7.1.5). */
const NO_CLOSE_FRAME = 1006;

/** Dials; what happens is told to the listeners. @returns the connection, so that a dial can be given up */
export function dialWebSocket(options: DialOptions, listeners: WebSocketListeners): ClientWebSocket {
  const connection = new Connection(options, listeners);
  connection.dial(options);
  return connection;
}

class Connection implements ClientWebSocket {
  readonly #client: UndiciClient;
  readonly #listeners: WebSocketListeners;
  readonly #reader: ServerFrameReader;
  readonly #frames = new ClientFrameWriter();
  #socket: Socket | undefined;
  #closeSent = false;
  #ended = false;
  #said: readonly [code: number, reason: string] = [NO_CLOSE_FRAME, ''];
  #lastCall: TimerHandle | undefined;

  constructor(options: DialOptions, listeners: WebSocketListeners) {
    this.#client = new Client(`http://${options.address}`, { connect: { timeout: options.connectTimeoutMs } });
    this.#listeners = listeners;
    this.#reader = new ServerFrameReader(options.messageBytesMax, {
      onMessage: (message) => listeners.onMessage(message),
      // Only once it has read what it was sent (RFC 6455 § 5.5.3): else PINGs would grow our memory.
      onPing: (payload) => void (this.bufferedBytes === 0 && this.#write(OPCODE.PONG, payload)),
      onCloseFrame: (code, reason) => {
        this.#said = [code, reason];
        this.close(code, '');
        this.#socket?.end();
      },
      onFault: (code, reason) => {
        this.#said = [code, reason];
        this.close(code, reason);
        this.#socket?.destroy();
      },
    });
  }

  dial({ path }: DialOptions): void {
    const key = systemRandom.bytes(16).toString('base64');
    const headers = { 'sec-websocket-key': key, 'sec-websocket-version': '13' };
    this.#client.upgrade({ path, protocol: 'websocket', headers }, (error, upgraded) => {
      void this.#client.destroy(); // its one connection is ours from here on
      if (error !== null) return this.#end(NO_CLOSE_FRAME, error.message);
      const socket = upgraded.socket as Socket;
      if (this.#closeSent) return this.#giveUp(socket);
      if (upgraded.headers['sec-websocket-accept'] !== acceptOf(key)) {
        this.#said = [NO_CLOSE_FRAME, 'the server is no WebSocket server'];
        return this.#giveUp(socket);
      }
      this.#open(socket);
    });
  }

  #open(socket: Socket): void {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('error', () => {}); // 'close' follows
    socket.on('close', () => this.#end(...this.#said));
    this.#listeners.onOpen(this);
    socket.on('data', (read: Buffer) => this.#reader.push(read));
  }

  #giveUp(socket: Socket): void {
    socket.on('error', () => {});
    socket.destroy();
    this.#end(...this.#said);
  }

  send(bytes: Uint8Array): void {
    if (!this.#closeSent) this.#write(OPCODE.BINARY, bytes);
  }

  get bufferedBytes(): number {
    return this.#socket?.writableLength ?? 0;
  }

  close(code: number, reason: string): void {
    if (this.#closeSent) return;
    this.#closeSent = true;
    if (this.#socket === undefined) {
      void this.#client.destroy();
      return;
    }
    this.#write(OPCODE.CLOSE, code === NO_CODE_NAMED ? EMPTY : closePayload(code, reason));
    this.#lastCall = systemClock.after(CLOSE_ANSWER_MS_MAX, () => this.#socket?.destroy());
  }

  #write(opcode: number, payload: Uint8Array): void {
    const socket = this.#socket;
    if (socket === undefined || !socket.writable) return;
    socket.write(this.#frames.frame(opcode, payload));
    // Nearly always the machine takes it up at once; else it reads from our buffer later.
    if (socket.writableLength > 0) this.#frames.giveAway();
  }

  /** E1 */
  #end(code: number, reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#closeSent = true;
    this.#lastCall?.cancel();
    this.#listeners.onClose(code, reason);
  }
}

const EMPTY = Buffer.alloc(0);

/** What a CLOSE without a code is told as; it may not be sent (RFC 6455 § 7.4.1). */
const NO_CODE_NAMED = 1005;

/** RFC 6455 § 4.2.2: shows that the server understood the upgrade. */
function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}
