/**
 * How two servers get to know each other. The token itself never travels: each side proves that it has it.
 *
 *   1. dialer   → HELLO  { cluster, role, serverId, incarnation, nonce, windowBytes }          code = protocol version
 *   2. listener → HELLO  { …the same of its own…, proof = HMAC(token, "listener", nonces, ids) }
 *   3. dialer   → AUTH   { proof = HMAC(token, "dialer", nonces, ids) }                        the link is open
 *
 * G1: each proof covers both nonces, both ids and the direction, so none can be replayed or reflected.
 * G2: proofs are compared in constant time.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { HELLO_BYTES_MAX, LINK_WINDOW_BYTES } from '../constants.ts';
import { checkSchema } from '../schema-check.ts';
import { FRAME_HEAD_BYTES, FRAME_TYPE, type FrameWriter, PROTOCOL_VERSION } from './frame.ts';
import type { FrameFault } from './frame-reader.ts';

export type LinkRole = 'interface' | 'dispatcher' | 'app' | 'coordinator' | 'tool';

export interface LinkIdentity {
  readonly cluster: string;
  readonly token: string;
  readonly role: LinkRole;
  readonly serverId: string;
  /** 16 hex digits, new at every start of the process: a restarted peer is a new peer. */
  readonly incarnation: string;
}

export interface LinkPeer {
  readonly role: LinkRole;
  readonly serverId: string;
  readonly incarnation: string;
}

/** A peer that saves its grants up to a quarter of a larger window would leave a sender that uses ours (send-window.ts) waiting for ever. */
const PEER_WINDOW_BYTES_MAX = 4 * LINK_WINDOW_BYTES;

const helloSchema = z.object({
  cluster: z.string().max(64),
  role: z.enum(['interface', 'dispatcher', 'app', 'coordinator', 'tool']),
  serverId: z.string().regex(/^[\x21-\x7e]{1,64}$/), // no line end: proofOf joins its parts by them (G1)
  incarnation: z.string().regex(/^[0-9a-f]{16}$/),
  nonce: z.string().regex(/^[0-9a-f]{32}$/),
  windowBytes: z.int().min(1024).max(PEER_WINDOW_BYTES_MAX),
  proof: z.string().max(128).optional(),
});

export type Hello = z.infer<typeof helloSchema>;

const authSchema = z.object({ proof: z.string().max(128) });

/** @param nonce 32 hex digits; @param proof only in the listener's answer */
export function helloOf(identity: LinkIdentity, nonce: string, windowBytes: number, proof?: string): Hello {
  const { cluster, role, serverId, incarnation } = identity;
  return { cluster, role, serverId, incarnation, nonce, windowBytes, ...(proof === undefined ? {} : { proof }) };
}

export function writeGreeting(writer: FrameWriter, type: 'HELLO' | 'AUTH', payload: Hello | { proof: string }): void {
  const json = Buffer.from(JSON.stringify(payload));
  writer.reserve(FRAME_HEAD_BYTES + json.length);
  writer.beginFrame(FRAME_TYPE[type], 0, PROTOCOL_VERSION, 0, 0);
  writer.at += json.copy(writer.buffer, writer.at);
  writer.endFrame();
}

/** Checks version, shape and cluster; the proof is checked by the caller, who knows the nonces. */
export function readHello(message: Buffer, start: number, end: number, cluster: string): Hello | FrameFault {
  const version = message.readUInt16LE(start + 6);
  if (version !== PROTOCOL_VERSION) {
    const detail = `expected protocol version ${PROTOCOL_VERSION}, the peer speaks ${version}: run the same release on both`;
    return { code: 'LINK_VERSION_MISMATCH', detail };
  }
  const parsed = checkSchema(helloSchema, jsonOf(message, start, end));
  if (parsed?.success !== true) return { code: 'LINK_FRAME_INVALID', detail: 'expected a HELLO, got something else' };
  if (parsed.data.cluster !== cluster) {
    const detail = `expected a peer of cluster "${cluster}", got one of "${parsed.data.cluster}"`;
    return { code: 'LINK_CLUSTER_MISMATCH', detail };
  }
  return parsed.data;
}

export function readAuth(message: Buffer, start: number, end: number): string | undefined {
  const parsed = checkSchema(authSchema, jsonOf(message, start, end));
  return parsed?.success === true ? parsed.data.proof : undefined;
}

/** G1 */
export function proofOf(token: string, direction: 'dialer' | 'listener', dialer: Hello, listener: Hello): string {
  const covered = [direction, dialer, listener].map((part) =>
    typeof part === 'string' ? part : [part.cluster, part.role, part.serverId, part.incarnation, part.nonce].join('\n'),
  );
  return createHmac('sha256', token).update(covered.join('\n\n')).digest('hex');
}

/** G2 */
export function sameProof(expected: string, got: string | undefined): boolean {
  const expectedBytes = Buffer.from(expected);
  const gotBytes = Buffer.from(got ?? '');
  return gotBytes.length === expectedBytes.length && timingSafeEqual(expectedBytes, gotBytes);
}

function jsonOf(message: Buffer, start: number, end: number): unknown {
  if (end - start > HELLO_BYTES_MAX) return undefined;
  try {
    return JSON.parse(message.toString('utf8', start + FRAME_HEAD_BYTES, end));
  } catch {
    return undefined;
  }
}
