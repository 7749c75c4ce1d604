/** Bytes on a socket, in as many writes as a test likes, and what comes back. */
import { connect } from 'node:net';

export interface RawExchangeOptions {
  /** host:port */
  readonly address: string;
  /** latin1: one character is one byte. Each part is a write of its own. */
  readonly parts: readonly string[];
  /**
   * What is waited for: the connection's end; or an answer, and then nothing for SILENCE_MS; or nothing for that long,
   * whatever came before; or that nothing comes at all, else the end. At most until the time is over.
   */
  readonly until: 'end' | 'answer' | 'silence' | 'nothing';
  readonly timeoutMs?: number;
}

export interface RawAnswer {
  /** latin1 */
  readonly received: string;
  /** The server ended the connection. */
  readonly ended: boolean;
}

/** Between two parts: longer than the server takes to see the first one, or to answer it. */
const PART_PAUSE_MS = 10;
/** Nothing for this long, where everything that will come comes within a few ms. */
const SILENCE_MS = 40;
const TIMEOUT_MS = 5_000;

export function rawExchange(options: RawExchangeOptions): Promise<RawAnswer> {
  const { address, parts, until, timeoutMs = TIMEOUT_MS } = options;
  const colon = address.lastIndexOf(':');
  return new Promise((resolve) => {
    let received = '';
    let sent = 0;
    let silence: NodeJS.Timeout | undefined;
    const socket = connect({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)), noDelay: true });
    const settle = (ended: boolean): void => {
      clearTimeout(silence);
      clearTimeout(limit);
      socket.destroy();
      resolve({ received, ended });
    };
    const limit = setTimeout(() => settle(false), timeoutMs);
    const listenForSilence = (): void => {
      if (until === 'end' || sent < parts.length) return;
      clearTimeout(silence);
      if (until === 'nothing' && received !== '') return; // who answers after all ends the connection, if not at once
      if (until !== 'answer' || hasAnswer(received)) silence = setTimeout(() => settle(false), SILENCE_MS);
    };
    const sendNext = (): void => {
      if (socket.destroyed) return;
      socket.write(parts[sent++] as string, 'latin1');
      if (sent < parts.length) setTimeout(sendNext, PART_PAUSE_MS);
      else listenForSilence();
    };
    socket.on('connect', sendNext);
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
      listenForSilence();
    });
    socket.on('error', () => undefined); // a reset: 'close' follows
    socket.on('close', () => settle(true));
  });
}

/** Status lines of the answers in it; interim ones (1xx) are none. */
export function statusesIn(received: string): number[] {
  return [...received.matchAll(/HTTP\/1\.1 ([2-5]\d\d)/g)].map(([, status]) => Number(status));
}

/** To a HEAD there is no body: once the head is there, silence says that all is there. */
function hasAnswer(received: string): boolean {
  return /HTTP\/1\.1 [2-5]\d\d[\s\S]*\r\n\r\n/.test(received);
}
