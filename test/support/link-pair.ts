/** Two links over a connection in memory, or one against a peer whose every byte the test writes by hand. */
import { FRAME_TYPE } from '../../shared/link/frame.ts';
import { dialerGreeter, type Greeter, listenerGreeter } from '../../shared/link/greeter.ts';
import { helloOf, type LinkIdentity, proofOf } from '../../shared/link/greeting.ts';
import { Link, type LinkHandlers, type StreamOwner } from '../../shared/link/link.ts';
import type { LinkSettings } from '../../shared/link/link-settings.ts';
import { closeReason, type LinkTransport } from '../../shared/link/link-transport.ts';
import { silentLogger } from '../../shared/log.ts';
import { Tick } from '../../shared/queue/tick.ts';
import { FakeClock } from './fake-clock.ts';
import { frameOf, framesIn, type SeenFrame } from './frames.ts';

export const TEST_SETTINGS: LinkSettings = { pingEveryMs: 250, pongDeadMs: 5_000, frameBytesMax: 5 * 1024 * 1024 };

export function identity(fields: Partial<LinkIdentity> = {}): LinkIdentity {
  return {
    cluster: 'test',
    token: 'the token',
    role: 'dispatcher',
    serverId: 'd1',
    incarnation: '00000000000000d1',
    ...fields,
  };
}

export const APP: LinkIdentity = identity({ role: 'app', serverId: 'a1', incarnation: '00000000000000a1' });

/** One end of a connection in memory: messages wait until the test delivers them. */
export class MemoryTransport implements LinkTransport {
  readonly sent: Buffer[] = [];
  closedWith: { code: number; reason: string } | undefined;
  /** Messages not yet delivered to the other end. */
  readonly onTheWay: Buffer[] = [];
  bufferedBytes = 0;

  send(bytes: Uint8Array): void {
    const copy = Buffer.from(bytes);
    this.sent.push(copy);
    this.onTheWay.push(copy);
  }

  close(code: number, reason: string): void {
    this.closedWith ??= { code, reason };
  }

  /** Every frame sent so far. */
  get frames(): SeenFrame[] {
    return this.sent.flatMap(framesIn);
  }

  framesOf(type: number): SeenFrame[] {
    return this.frames.filter((frame) => frame.type === type);
  }
}

/** Notes what its owner hears; a second word about the same request fails the test. */
export class RecordingOwner implements StreamOwner {
  readonly heard: { kind: 'reply' | 'error' | 'lost'; text: string }[] = [];

  onReply(message: Buffer, start: number, end: number): void {
    this.heard.push({ kind: 'reply', text: message.toString('latin1', start + 16, end) });
  }

  onError(message: Buffer, start: number, end: number): void {
    this.heard.push({ kind: 'error', text: message.toString('latin1', start + 16, end) });
  }

  onLost(reason: { code: string }): void {
    this.heard.push({ kind: 'lost', text: reason.code });
  }
}

export interface PairOptions {
  readonly clock?: FakeClock;
  /** Shared by all that is one server in the test. */
  readonly tick?: Tick;
  readonly dialerIdentity?: LinkIdentity;
  readonly listenerIdentity?: LinkIdentity;
  readonly expectServerId?: string;
  readonly acceptRoles?: readonly LinkIdentity['role'][];
  readonly dialerHandlers?: LinkHandlers;
  readonly listenerHandlers?: LinkHandlers;
  readonly settings?: Partial<LinkSettings>;
}

export interface LinkPair {
  readonly clock: FakeClock;
  readonly tick: Tick;
  /** The client half: sends requests. */
  readonly dialer: Link;
  /** The server half: answers them. */
  readonly listener: Link;
  readonly dialerWire: MemoryTransport;
  readonly listenerWire: MemoryTransport;
  /** Ends turns and delivers messages, both ways, until nothing moves any more. @returns whether anything was delivered */
  settle(): boolean;
  /** Both connections break at once, without a word. */
  breakWire(): void;
}

const DIALER_NONCE = 'd'.repeat(32);
const LISTENER_NONCE = 'e'.repeat(32);
const GIVE_UP_MS = 3_000;

export function linkPair(options: PairOptions = {}): LinkPair {
  const clock = options.clock ?? new FakeClock();
  const tick = options.tick ?? new Tick(clock);
  const settings = { ...TEST_SETTINGS, ...options.settings };
  const dialerIdentity = options.dialerIdentity ?? identity();
  const listenerIdentity = options.listenerIdentity ?? APP;
  const dialerWire = new MemoryTransport();
  const listenerWire = new MemoryTransport();
  const make = (transport: LinkTransport, greeter: Greeter, handlers: LinkHandlers = {}): Link =>
    new Link({ transport, greeter, settings, handlers, log: silentLogger, clock, tick }, clock.nowMs() + GIVE_UP_MS);
  const expected = { role: 'app' as const, serverId: options.expectServerId };
  const dialer = make(dialerWire, dialerGreeter(dialerIdentity, DIALER_NONCE, expected), options.dialerHandlers);
  const listener = make(
    listenerWire,
    listenerGreeter(listenerIdentity, LISTENER_NONCE, options.acceptRoles ?? ['dispatcher']),
    options.listenerHandlers,
  );
  const carry = (from: MemoryTransport, to: Link): boolean => {
    const messages = from.onTheWay.splice(0);
    for (const message of messages) to.receive(message);
    if (from.closedWith === undefined || to.state.kind === 'closed') return messages.length > 0;
    to.transportClosed(...closeReason(from.closedWith.code, from.closedWith.reason));
    return true;
  };
  const settle = (): boolean => {
    for (let rounds = 0; ; rounds++) {
      clock.settle();
      const there = carry(dialerWire, listener);
      const back = carry(listenerWire, dialer);
      if (!there && !back && clock.waitingForEndOfTick === 0) return rounds > 0;
    }
  };
  const breakWire = (): void => {
    dialer.transportClosed('LINK_CLOSED', 'broken');
    listener.transportClosed('LINK_CLOSED', 'broken');
  };
  return { clock, tick, dialer, listener, dialerWire, listenerWire, settle, breakWire };
}

/** Settles several pairs that pass things on to each other. */
export function settleAll(pairs: readonly LinkPair[]): void {
  while (pairs.map((pair) => pair.settle()).includes(true));
}

/** A pair that has greeted. */
export function openPair(options: PairOptions = {}): LinkPair {
  const pair = linkPair(options);
  pair.settle();
  if (!pair.dialer.open || !pair.listener.open) throw new Error('expected the pair to have greeted');
  return pair;
}

/** A request whose payload is plain text, sent by the client half. @returns its stream id */
export function sendText(link: Link, owner: StreamOwner, text: string): number {
  const streamId = link.openStream(owner);
  writeText(link, FRAME_TYPE.REQUEST, streamId, text);
  return streamId;
}

/** A REQUEST, REPLY or ERROR whose payload is plain text. */
export function writeText(link: Link, type: number, streamId: number, text: string): void {
  const { writer } = link;
  writer.reserve(16 + text.length);
  writer.beginFrame(type, 0, 0, streamId, 0);
  writer.at += writer.buffer.write(text, writer.at, 'latin1');
  link.endStreamFrame();
}

/** A link in the listener's role against a dialer played by hand. */
export interface HandPlayed {
  readonly clock: FakeClock;
  readonly link: Link;
  readonly wire: MemoryTransport;
  /** Hands the link one message and lets it react. */
  say(...frames: Buffer[]): void;
}

/** @param windowBytes what the hand-played dialer allows the link to send it */
export function handPlayedDialer(
  handlers: LinkHandlers = {},
  windowBytes = 8 * 1024 * 1024,
  settings: Partial<LinkSettings> = {},
): HandPlayed {
  const clock = new FakeClock();
  const wire = new MemoryTransport();
  const link = new Link(
    {
      transport: wire,
      greeter: listenerGreeter(APP, LISTENER_NONCE, ['dispatcher']),
      settings: { ...TEST_SETTINGS, ...settings },
      handlers,
      log: silentLogger,
      clock,
      tick: new Tick(clock),
    },
    clock.nowMs() + GIVE_UP_MS,
  );
  const say = (...frames: Buffer[]): void => {
    link.receive(Buffer.concat(frames));
    clock.settle();
  };
  const own = helloOf(identity(), DIALER_NONCE, windowBytes);
  say(frameOf({ type: FRAME_TYPE.HELLO, code: 1, payload: JSON.stringify(own) }));
  const peer = helloOf(APP, LISTENER_NONCE, 8 * 1024 * 1024);
  const proof = proofOf('the token', 'dialer', own, peer);
  say(frameOf({ type: FRAME_TYPE.AUTH, code: 1, payload: JSON.stringify({ proof }) }));
  if (!link.open) throw new Error(`expected the link to be open, it is ${JSON.stringify(link.state)}`);
  return { clock, link, wire, say };
}
