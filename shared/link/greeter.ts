/** The two sides of a greeting (greeting.ts tells the steps), each fed the frames that come before a link is open. */
import { LINK_WINDOW_BYTES } from '../constants.ts';
import { FRAME_TYPE, type FrameWriter } from './frame.ts';
import type { FrameFault } from './frame-reader.ts';
import {
  type Hello,
  helloOf,
  type LinkIdentity,
  type LinkPeer,
  type LinkRole,
  proofOf,
  readAuth,
  readHello,
  sameProof,
  writeGreeting,
} from './greeting.ts';

export interface Greeted {
  readonly peer: LinkPeer;
  /** Bytes the peer lets us send before it has taken any up. */
  readonly windowBytes: number;
}

export interface Greeter {
  /** Writes what this side says unasked. */
  begin(writer: FrameWriter): void;
  /** @returns the peer once it has proved itself, what was wrong, or undefined while the greeting goes on */
  onFrame(
    type: number,
    message: Buffer,
    start: number,
    end: number,
    writer: FrameWriter,
  ): Greeted | FrameFault | undefined;
}

const TOKEN_REFUSED: FrameFault = {
  code: 'LINK_TOKEN_REFUSED',
  detail: 'the peer could not prove that it has this cluster’s token: give both the same token file',
};

function expectedFirst(type: number): FrameFault {
  return { code: 'LINK_HELLO_EXPECTED', detail: `expected a greeting first, got frame type ${type}` };
}

function greeted(hello: Hello): Greeted {
  const { role, serverId, incarnation, windowBytes } = hello;
  return { peer: { role, serverId, incarnation }, windowBytes };
}

/** @param nonce 32 random hex digits, new for every greeting */
export function dialerGreeter(
  identity: LinkIdentity,
  nonce: string,
  expected: { role: LinkRole; serverId?: string | undefined },
): Greeter {
  const own = helloOf(identity, nonce, LINK_WINDOW_BYTES);
  return {
    begin: (writer) => writeGreeting(writer, 'HELLO', own),
    onFrame(type, message, start, end, writer) {
      if (type !== FRAME_TYPE.HELLO) return expectedFirst(type);
      const peer = readHello(message, start, end, identity.cluster);
      if ('code' in peer) return peer;
      if (!sameProof(proofOf(identity.token, 'listener', own, peer), peer.proof)) return TOKEN_REFUSED;
      if (peer.role !== expected.role || (expected.serverId !== undefined && peer.serverId !== expected.serverId)) {
        const detail = `expected ${expected.role} ${expected.serverId ?? ''} at this address, got ${peer.role} ${peer.serverId}: check the addresses in the config`;
        return { code: 'LINK_ROLE_REFUSED', detail };
      }
      writeGreeting(writer, 'AUTH', { proof: proofOf(identity.token, 'dialer', own, peer) });
      return greeted(peer);
    },
  };
}

/** @param nonce 32 random hex digits, new for every greeting */
export function listenerGreeter(identity: LinkIdentity, nonce: string, acceptRoles: readonly LinkRole[]): Greeter {
  let dialer: Hello | undefined;
  const bare = helloOf(identity, nonce, LINK_WINDOW_BYTES);
  return {
    begin: () => {},
    onFrame(type, message, start, end, writer) {
      if (dialer === undefined) {
        if (type !== FRAME_TYPE.HELLO) return expectedFirst(type);
        const peer = readHello(message, start, end, identity.cluster);
        if ('code' in peer) return peer;
        if (!acceptRoles.includes(peer.role)) {
          return {
            code: 'LINK_ROLE_REFUSED',
            detail: `expected a peer of role ${acceptRoles.join(' or ')}, got ${peer.role}`,
          };
        }
        dialer = peer;
        const proof = proofOf(identity.token, 'listener', dialer, bare);
        writeGreeting(writer, 'HELLO', helloOf(identity, nonce, LINK_WINDOW_BYTES, proof));
        return undefined;
      }
      if (type !== FRAME_TYPE.AUTH) return expectedFirst(type);
      if (!sameProof(proofOf(identity.token, 'dialer', dialer, bare), readAuth(message, start, end)))
        return TOKEN_REFUSED;
      return greeted(dialer);
    },
  };
}
