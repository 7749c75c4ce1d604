/** What lies under a link, and how a connection's end is told. */
import { type ErrorCode, errorCodeOfWire } from '../errors.ts';

/** Path of the WebSocket that carries a link. */
export const LINK_PATH = '/-/link';

/** The connection under a link: a WebSocket of the server or the client kind, or a pair in memory. */
export interface LinkTransport {
  /** Hands bytes to the connection, which copies them. */
  send(bytes: Uint8Array): void;
  /** Bytes handed over that the peer's machine has not taken yet. */
  readonly bufferedBytes: number;
  /** @param code WebSocket close code, 4000 + wire number of the reason */
  close(code: number, reason: string): void;
}

/** Close codes from here on are reasons of ours: 4000 + the wire number of an error code. */
const CLOSE_CODE_BASE = 4_000;

/** The typed reason a peer closed with, or what the connection itself said. */
export function closeReason(code: number, reason: string): [ErrorCode, string] {
  if (code > CLOSE_CODE_BASE) return [errorCodeOfWire(code - CLOSE_CODE_BASE), reason];
  return ['LINK_CLOSED', reason === '' ? `connection closed (code ${code})` : reason];
}

/** What a close frame can carry beside its code (RFC 6455 § 5.5); the client's door throws at more. */
const CLOSE_REASON_BYTES_MAX = 123;

/** A close reason cut to what a close frame can carry, between two characters. */
export function closeText(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= CLOSE_REASON_BYTES_MAX) return reason;
  let end = CLOSE_REASON_BYTES_MAX;
  while (((bytes[end] as number) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}
