/**
 * A WebSocket over a plain socket, either end, of which every byte is the test's: it can stop reading, send what no
 * library would, and drop the connection in the middle of a frame. RFC 6455 without fragments, extensions or pings.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { splitAddress } from '../../shared/web-server.ts';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const HEAD_END = '\r\n\r\n';
const BINARY = 0x82;
const CLOSE = 0x88;
const OPCODE = 0x0f;
const MASKED = 0x80;

/** How the other end closed; 1006 when the connection ended without a word. */
export interface RawClose {
  readonly code: number;
  readonly reason: string;
}

export class RawWebSocket {
  readonly socket: Socket;
  /** Resolves once the other end has closed, or the connection is gone. */
  readonly closed: Promise<RawClose>;
  /** Told of each binary message. */
  onMessage: (message: Buffer) => void = () => {};
  readonly #masks: boolean;
  #received: Buffer = Buffer.alloc(0);
  #resolveClosed: (close: RawClose) => void = () => {};

  private constructor(socket: Socket, masks: boolean, rest: Buffer) {
    this.socket = socket;
    this.#masks = masks;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    socket.on('error', () => {});
    socket.on('close', () => this.#resolveClosed({ code: 1006, reason: '' }));
    socket.on('data', (bytes) => this.#onBytes(bytes));
    if (rest.length > 0) this.#onBytes(rest);
  }

  /** @param address host:port @throws Error with the status line when there is no WebSocket */
  static async dial(address: string, path: string): Promise<RawWebSocket> {
    const { host, port } = splitAddress(address);
    const socket = connect({ host, port, noDelay: true });
    socket.on('error', () => {});
    const upgrade = `host: ${address}\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: rntlorhLTMPMIwHfaiIrPQ==`;
    socket.write(`GET ${path} HTTP/1.1\r\n${upgrade}${HEAD_END}`);
    const { head, rest } = await headOf(socket);
    if (!head.startsWith('HTTP/1.1 101 ')) {
      socket.destroy();
      throw new Error(head.split('\r\n', 1)[0]);
    }
    return new RawWebSocket(socket, true, rest);
  }

  /** Takes a connection on the server's side. */
  static async accept(socket: Socket): Promise<RawWebSocket> {
    socket.on('error', () => {});
    const { head, rest } = await headOf(socket);
    const key = /sec-websocket-key: *(\S+)/i.exec(head)?.[1] ?? '';
    const accept = createHash('sha1').update(`${key}${GUID}`).digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}${HEAD_END}`,
    );
    return new RawWebSocket(socket, false, rest);
  }

  /** Sends one binary message. @returns false once the connection takes no more for now: wait for `drained()` */
  send(message: Uint8Array): boolean {
    if (this.socket.destroyed) return false;
    this.socket.write(headFor(BINARY, message.length, this.#masks));
    return this.socket.write(message);
  }

  /** Resolves when what was sent is with the system, or the connection is gone. */
  async drained(): Promise<void> {
    if (this.socket.writableNeedDrain && !this.socket.destroyed)
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.socket.off('drain', done).off('close', done);
          resolve();
        };
        this.socket.on('drain', done).on('close', done);
      });
  }

  /** From here on nothing is taken from the connection: what the other end sends piles up there. */
  stopReading(): void {
    this.socket.pause();
  }

  readOn(): void {
    this.socket.resume();
  }

  destroy(): void {
    this.socket.destroy();
  }

  #onBytes(bytes: Buffer): void {
    this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
    for (;;) {
      const frame = frameIn(this.#received);
      if (frame === undefined) return;
      this.#received = this.#received.subarray(frame.end);
      if (frame.opcode === (CLOSE & OPCODE)) {
        const code = frame.payload.length >= 2 ? frame.payload.readUInt16BE(0) : 1005;
        this.#resolveClosed({ code, reason: frame.payload.toString('utf8', 2) });
        this.socket.end(Buffer.concat([headFor(CLOSE, frame.payload.length, this.#masks), frame.payload]));
        return;
      }
      this.onMessage(frame.payload);
    }
  }
}

/** A server of which every connection becomes a RawWebSocket. */
export class RawWebSocketServer {
  readonly address: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, address: string) {
    this.#server = server;
    this.address = address;
  }

  static async listen(address: string, onOpen: (webSocket: RawWebSocket) => void): Promise<RawWebSocketServer> {
    const server = createServer({ noDelay: true });
    const { host, port } = splitAddress(address);
    server.listen({ host, port });
    await once(server, 'listening');
    const bound = server.address();
    if (bound === null || typeof bound !== 'object') throw new Error('expected a TCP address');
    const raw = new RawWebSocketServer(server, `${host}:${bound.port}`);
    server.on('connection', (socket) => {
      raw.#sockets.add(socket);
      socket.on('close', () => raw.#sockets.delete(socket));
      RawWebSocket.accept(socket).then(onOpen, () => socket.destroy());
    });
    return raw;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Reads up to the end of an HTTP head. */
async function headOf(socket: Socket): Promise<{ head: string; rest: Buffer }> {
  let received = Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    const onClose = (): void => reject(new Error('the connection closed before the end of its head'));
    const onData = (bytes: Buffer): void => {
      received = Buffer.concat([received, bytes]);
      const end = received.indexOf(HEAD_END);
      if (end === -1) return;
      socket.off('data', onData);
      socket.off('close', onClose);
      resolve({ head: received.toString('latin1', 0, end), rest: received.subarray(end + HEAD_END.length) });
    };
    socket.on('data', onData);
    socket.on('close', onClose);
  });
}

/** Head of an unfragmented frame. A client must mask; a mask of zeros leaves the payload as it is. */
export function headFor(first: number, payloadBytes: number, masks: boolean): Buffer {
  const mask = masks ? MASKED : 0;
  const maskBytes = masks ? 4 : 0;
  if (payloadBytes < 126) return Buffer.concat([Buffer.from([first, mask | payloadBytes]), Buffer.alloc(maskBytes)]);
  const head = Buffer.alloc((payloadBytes < 65_536 ? 4 : 10) + maskBytes);
  head[0] = first;
  if (payloadBytes < 65_536) {
    head[1] = mask | 126;
    head.writeUInt16BE(payloadBytes, 2);
  } else {
    head[1] = mask | 127;
    head.writeBigUInt64BE(BigInt(payloadBytes), 2);
  }
  return head;
}

interface RawFrame {
  readonly opcode: number;
  readonly payload: Buffer;
  /** Where the next frame begins. */
  readonly end: number;
}

/** Bytes of the long forms of a length, by what stands in the short one's place. */
const LENGTH_BYTES: Readonly<Record<number, number>> = { 126: 2, 127: 8 };

/** @returns undefined while the frame is not whole yet */
function frameIn(bytes: Buffer): RawFrame | undefined {
  if (bytes.length < 2) return undefined;
  const second = bytes[1] as number;
  const short = second & 0x7f;
  const lengthEnd = 2 + (LENGTH_BYTES[short] ?? 0);
  const masked = (second & MASKED) !== 0;
  const payloadAt = lengthEnd + (masked ? 4 : 0);
  if (bytes.length < payloadAt) return undefined;
  let payloadBytes = short;
  if (short === 126) payloadBytes = bytes.readUInt16BE(2);
  if (short === 127) payloadBytes = Number(bytes.readBigUInt64BE(2));
  const end = payloadAt + payloadBytes;
  if (bytes.length < end) return undefined;
  const payload = Buffer.from(bytes.subarray(payloadAt, end));
  if (masked) {
    const mask = bytes.subarray(lengthEnd, payloadAt);
    for (let at = 0; at < payload.length; at++) payload[at] = (payload[at] as number) ^ (mask[at & 3] as number);
  }
  return { opcode: (bytes[0] as number) & OPCODE, payload, end };
}
