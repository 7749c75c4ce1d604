/** Collects a request's body, bounded in bytes and in time. */
import type { WebResponse } from '../shared/web-server.ts';

/** Slowest body taken, and slowest reply given: below it a client holds a place for longer than its bytes are worth. */
export const BYTES_PER_MS_MIN = 16;

export interface BodyListener {
  /** The body is complete. */
  onBody(body: Uint8Array): void;
  /** More bytes came than allowed; nothing more is told. @param bytes read so far */
  onTooLarge(bytes: number): void;
  /** Some bytes came: the client may take this much longer. @param graceMs beyond the allowed pause */
  onProgress(graceMs: number): void;
}

/** Calls back once with the whole body, or once with onTooLarge. @param bytesMax most bytes taken */
export function readBody(response: WebResponse, bytesMax: number, listener: BodyListener): void {
  let parts: Buffer[] | undefined;
  let bytes = 0;
  let over = false;
  response.onData((chunk, isLast) => {
    if (over) return;
    bytes += chunk.byteLength;
    if (bytes > bytesMax) {
      over = true;
      parts = undefined;
      listener.onTooLarge(bytes);
      return;
    }
    // The server's buffer is gone after this call: the one copy a body takes here.
    const copy = Buffer.allocUnsafe(chunk.byteLength); // small ones from Node's pool: memory of their own costs 0.5 µs
    copy.set(new Uint8Array(chunk));
    if (isLast) {
      listener.onBody(parts === undefined ? copy : Buffer.concat([...parts, copy], bytes));
      return;
    }
    parts ??= [];
    parts.push(copy);
    listener.onProgress(bytes / BYTES_PER_MS_MIN);
  });
}
