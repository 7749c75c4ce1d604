/** A peer that holds the cluster's token and greets as it should, and then says whatever a test wants it to say. */
import { FRAME_TYPE } from '../../shared/link/frame.ts';
import { type Hello, helloOf, type LinkIdentity, proofOf } from '../../shared/link/greeting.ts';
import { LINK_PATH } from '../../shared/link/link-transport.ts';
import { frameOf, framesIn, type SeenFrame } from './frames.ts';
import { type RawClose, RawWebSocket } from './raw-web-socket.ts';

const NONCE = 'a1'.repeat(16);
const WINDOW_BYTES = 8 * 1024 * 1024;

export class HostilePeer {
  readonly webSocket: RawWebSocket;
  /** Told of each frame that comes after the greeting. */
  onFrame: (frame: SeenFrame) => void = () => {};
  greeted = false;

  private constructor(webSocket: RawWebSocket) {
    this.webSocket = webSocket;
  }

  get closed(): Promise<RawClose> {
    return this.webSocket.closed;
  }

  /** Dials a listener and greets. @param windowBytes what it may send before some has been taken up */
  static async dial(address: string, identity: LinkIdentity, windowBytes = WINDOW_BYTES): Promise<HostilePeer> {
    const peer = new HostilePeer(await RawWebSocket.dial(address, LINK_PATH));
    const own = helloOf(identity, NONCE, windowBytes);
    await peer.#greet(
      (frame, done) => {
        const listener = JSON.parse(frame.payload.toString()) as Hello;
        const proof = proofOf(identity.token, 'dialer', own, listener);
        peer.say(frameOf({ type: FRAME_TYPE.AUTH, code: 1, payload: JSON.stringify({ proof }) }));
        done();
      },
      frameOf({ type: FRAME_TYPE.HELLO, code: 1, payload: JSON.stringify(own) }),
    );
    return peer;
  }

  /** Greets a dialer that has come to a listener of the test's. */
  static async accept(
    webSocket: RawWebSocket,
    identity: LinkIdentity,
    windowBytes = WINDOW_BYTES,
  ): Promise<HostilePeer> {
    const peer = new HostilePeer(webSocket);
    const own = helloOf(identity, NONCE, windowBytes);
    await peer.#greet((frame, done) => {
      if (frame.type === FRAME_TYPE.AUTH) return done();
      const dialer = JSON.parse(frame.payload.toString()) as Hello;
      const proof = proofOf(identity.token, 'listener', dialer, own);
      peer.say(frameOf({ type: FRAME_TYPE.HELLO, code: 1, payload: JSON.stringify({ ...own, proof }) }));
    });
    return peer;
  }

  /** Sends frames, or what looks like them, as one message. */
  say(...frames: Uint8Array[]): boolean {
    return this.webSocket.send(Buffer.concat(frames));
  }

  /**
   * Says the same message over and over, as fast as the other end takes it.
   * @returns how often it was sent when the time was up or the link gone
   */
  async flood(message: Uint8Array, forMs: number): Promise<number> {
    const untilMs = performance.now() + forMs;
    let sent = 0;
    while (performance.now() < untilMs && !this.webSocket.socket.destroyed) {
      sent++;
      if (!this.webSocket.send(message)) await Promise.race([this.webSocket.drained(), pause(forMs)]);
      else await pause(0);
    }
    return sent;
  }

  #greet(answer: (frame: SeenFrame, done: () => void) => void, first?: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        this.greeted = true;
        resolve();
      };
      this.webSocket.onMessage = (message) => {
        for (const frame of framesIn(message)) {
          if (this.greeted) this.onFrame(frame);
          else answer(frame, done);
        }
      };
      void this.webSocket.closed.then(({ code, reason }) =>
        reject(new Error(`closed while greeting: ${code} ${reason}`)),
      );
      if (first !== undefined) this.say(first);
    });
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void (ms === 0 ? setImmediate(resolve) : setTimeout(resolve, ms)));
}
