/**
 * One open connection between two servers: many requests at once, each on a stream of its own, both halves in one class.
 *
 * Client half: `openStream`, write a REQUEST into `writer`, `endStreamFrame`; the owner hears the reply, error or loss.
 * Server half: `handlers.onRequest`; the answer is written into `writer` under the same stream id.
 *
 * K1: frames written in one turn of the event loop leave in one message (more when they pass BATCH_BYTES_MAX).
 * K2: an owner hears exactly one of onReply, onError, onLost; none after cancelStream.
 * K3: stream ids carry a generation, so that a late answer never reaches the slot's next owner.
 * K4: bytes of requests and replies that the peer has not taken up stay under its window; a peer that overruns ours is
 *     cut off, and so is one that does not read what we send, whatever that is.
 * K5: a process that was itself stopped does not take the silence of that time for its peer's.
 * K6: however many PINGs come in one turn, one PONG answers the newest: it costs a peer more to ask than us to answer.
 * K7: a peer that in one turn sends more than any window allows is cut off: it would have the event loop to itself.
 */
import type { Clock, TimerHandle } from '../clock.ts';
import { BATCH_BUFFER_BYTES, BATCH_BYTES_MAX, LINK_WINDOW_BYTES, NOTICE_BYTES_MAX } from '../constants.ts';
import { ERROR_KINDS, type ErrorCode, PlatformError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Tick } from '../queue/tick.ts';
import { FRAME_HEAD_BYTES, FRAME_TYPE, FrameWriter } from './frame.ts';
import { readFrames } from './frame-reader.ts';
import type { Greeter } from './greeter.ts';
import type { LinkPeer } from './greeting.ts';
import { Heartbeat } from './heartbeat.ts';
import { type LinkSettings, unsentBytesMaxOf } from './link-settings.ts';
import { handlesStreams, type LinkEvent, type LinkState, nextLinkState } from './link-state.ts';
import { closeText, type LinkTransport } from './link-transport.ts';
import { type LoadReport, NO_LOAD, readPong, writePong } from './load-report.ts';
import { readNotice, writeNotice } from './notice.ts';
import { ReceiveWindow } from './receive-window.ts';
import { SendWindow } from './send-window.ts';
import { StreamTable } from './stream-table.ts';

/** Who waits for the answer to a request (K2). */
export interface StreamOwner {
  onReply(message: Buffer, start: number, end: number): void;
  onError(message: Buffer, start: number, end: number): void;
  onLost(reason: PlatformError): void;
}

export interface LinkHandlers {
  onOpen?(link: Link): void;
  /** The frame is `message[start..end)`; the handler calls `releaseReceived` once it no longer waits in a queue. */
  onRequest?(link: Link, streamId: number, message: Buffer, start: number, end: number): void;
  onCancel?(link: Link, streamId: number): void;
  onNotice?(link: Link, topic: string, value: unknown): void;
  onPeerDraining?(link: Link): void;
  /** The peer granted more bytes: a request may be writable again. */
  onWindow?(link: Link): void;
  onLoad?(link: Link, report: LoadReport): void;
  onClosed?(link: Link, reason: PlatformError): void;
  loadReport?(): LoadReport;
}

export interface LinkOptions {
  readonly transport: LinkTransport;
  readonly greeter: Greeter;
  readonly settings: LinkSettings;
  readonly handlers: LinkHandlers;
  readonly log: Logger;
  readonly clock: Clock;
  readonly tick: Tick;
}

export class Link {
  readonly writer = new FrameWriter(BATCH_BUFFER_BYTES);
  readonly #options: LinkOptions;
  readonly #handlers: LinkHandlers;
  readonly #transport: LinkTransport;
  #state: LinkState;
  #peer: LinkPeer | undefined;

  readonly #streams = new StreamTable<StreamOwner>();
  readonly #receiveWindow: ReceiveWindow;
  readonly #sendWindow = new SendWindow();
  /** Sequence of the PING to answer at the end of this turn (K6). */
  #pingHeard: number | undefined;

  #flushAsked = false;
  #ticker: TimerHandle | undefined;
  #lastTickAtMs: number;
  readonly heartbeat = new Heartbeat();
  peerLoad: LoadReport = NO_LOAD;

  /** Bytes that have come in this turn (K7). */
  #turnBytes = 0;
  readonly #endTurn = (): void => {
    this.#turnBytes = 0;
    this.flush();
    this.#requireReader();
  };
  readonly #goOn = (): boolean => this.#state.kind !== 'closed';
  readonly #onFrame = (type: number, message: Buffer, start: number, end: number): void =>
    this.#handleFrame(type, message, start, end);

  constructor(options: LinkOptions, giveUpAtMs: number) {
    this.#options = options;
    this.#handlers = options.handlers;
    this.#receiveWindow = new ReceiveWindow(options.settings.frameBytesMax);
    this.#transport = options.transport;
    this.#state = { kind: 'greeting', giveUpAtMs };
    this.#lastTickAtMs = options.clock.nowMs();
    this.#ticker = options.clock.every(options.settings.pingEveryMs, () => this.#onTick());
    options.greeter.begin(this.writer);
    this.#askFlush();
  }

  get state(): LinkState {
    return this.#state;
  }

  get open(): boolean {
    return handlesStreams(this.#state);
  }

  /** Known once the link is open. */
  get peer(): LinkPeer {
    if (this.#peer === undefined) throw new PlatformError('LINK_HELLO_EXPECTED', 'the peer has not greeted yet');
    return this.#peer;
  }

  get lastHeardAtMs(): number {
    return this.#state.kind === 'open' || this.#state.kind === 'draining' ? this.#state.lastHeardAtMs : 0;
  }

  /** Requests sent and not yet answered. */
  get inFlight(): number {
    return this.#streams.size;
  }

  /** Whether a request may be sent now: open, the peer not draining, window and streams left. */
  get writable(): boolean {
    return this.#state.kind === 'open' && this.#sendWindow.open && !this.#streams.full;
  }

  /** Takes a stream for one request. Only while `writable`. */
  openStream(owner: StreamOwner): number {
    return this.#streams.open(owner); // K3
  }

  /** Ends the REQUEST, REPLY or ERROR that was being written, and counts it against the peer's window (K4). */
  endStreamFrame(): void {
    const frameBytes = this.writer.endFrame();
    if (!this.#sendWindow.open) {
      this.#holdReply(frameBytes);
      return;
    }
    this.#sendWindow.spend(frameBytes);
    this.#frameWritten();
  }

  /** The owner no longer waits: it hears nothing more (K2), and the peer is told to drop the work if it can. */
  cancelStream(streamId: number): void {
    if (this.#streams.take(streamId) === undefined || this.#state.kind === 'closed') return;
    this.#writeBare(FRAME_TYPE.CANCEL, streamId, 0);
  }

  /** The peer is silent: what is out to it is lost to its owners, and should it wake it is told to drop that. */
  giveUpStreams(reason: PlatformError): void {
    for (const streamId of this.#streams.ids()) {
      this.#writeBare(FRAME_TYPE.CANCEL, streamId, 0);
      this.#streams.take(streamId)?.onLost(reason); // K2
    }
  }

  /** The receiver of a request has taken it out of its queue: the peer may send as many bytes more (K4). */
  releaseReceived(frameBytes: number): void {
    const grantedBytes = this.#receiveWindow.released(frameBytes);
    if (grantedBytes > 0 && this.open) this.#writeBare(FRAME_TYPE.WINDOW, 0, grantedBytes);
  }

  /** Tells the peer that this server takes no new requests; those in flight are answered. */
  announceDrain(): void {
    if (!this.open || !this.heartbeat.beginDrain()) return;
    this.#writeBare(FRAME_TYPE.DRAIN, 0, 0);
    this.#ping();
  }

  /**
   * Sends a NOTICE.
   * @param topic 1..255 ASCII characters
   * @param value JSON, at most NOTICE_BYTES_MAX bytes of it
   * @returns false when the link is not open or the value is too large
   */
  notify(topic: string, value: unknown): boolean {
    if (!this.open) return false;
    const json = JSON.stringify(value);
    const jsonBytes = Buffer.byteLength(json);
    if (jsonBytes > NOTICE_BYTES_MAX) {
      this.#options.log.error({ topic, jsonBytes, jsonBytesMax: NOTICE_BYTES_MAX }, 'notice too large, not sent');
      return false;
    }
    writeNotice(this.writer, topic, json, jsonBytes);
    this.#frameWritten();
    return true;
  }

  /** Sends what has been written (K1). Called by the tick; callers rarely need it. */
  flush(): void {
    this.#flushAsked = false;
    this.#writePong();
    if (this.writer.at === 0) return;
    if (this.#state.kind !== 'closed') this.#transport.send(this.writer.packed());
    this.writer.clear();
  }

  /** Closes with a typed reason that both sides log. */
  close(code: ErrorCode, detail: string): void {
    this.#apply({ kind: 'fault', code, detail });
  }

  /** For the transport: bytes of one message. The buffer belongs to the link from here on. */
  receive(message: Buffer): void {
    if (this.#state.kind === 'closed') return;
    this.#turnBytes += message.length;
    const { settings, clock } = this.#options;
    if (this.#turnBytes > unsentBytesMaxOf(settings))
      return this.close('LINK_WINDOW_OVERRUN', `expected less than a window at once, got ${this.#turnBytes} bytes`); // K7
    this.#askFlush();
    this.#apply({ kind: 'heard', nowMs: clock.nowMs() });
    const fault = readFrames(message, settings.frameBytesMax, this.#onFrame, this.#goOn);
    if (fault !== undefined) this.close(fault.code, fault.detail);
  }

  /** For the transport: the connection is gone. */
  transportClosed(code: ErrorCode, detail: string): void {
    this.#apply({ kind: 'transport-closed', code, detail });
  }

  #handleFrame(type: number, message: Buffer, start: number, end: number): void {
    if (!this.open) {
      this.#greet(type, message, start, end);
      return;
    }
    switch (type) {
      case FRAME_TYPE.REQUEST:
        return this.#onRequestFrame(message, start, end);
      case FRAME_TYPE.REPLY:
        return this.#onAnswer(message, start, end, false);
      case FRAME_TYPE.ERROR:
        return this.#onAnswer(message, start, end, true);
      case FRAME_TYPE.CANCEL:
        return this.#handlers.onCancel?.(this, message.readUInt32LE(start + 8));
      case FRAME_TYPE.WINDOW:
        return this.#onGrant(message.readUInt32LE(start + 12));
      case FRAME_TYPE.PING:
        this.#pingHeard = message.readUInt32LE(start + 12);
        return; // the end of this turn answers it
      case FRAME_TYPE.PONG:
        return this.#onPong(message, start, end);
      case FRAME_TYPE.DRAIN:
        this.#apply({ kind: 'peer-drains' });
        return this.#handlers.onPeerDraining?.(this);
      case FRAME_TYPE.NOTICE:
        return this.#onNoticeFrame(message, start, end);
      default:
        this.close('LINK_FRAME_INVALID', `expected no greeting on an open link, got frame type ${type}`);
    }
  }

  #greet(type: number, message: Buffer, start: number, end: number): void {
    const outcome = this.#options.greeter.onFrame(type, message, start, end, this.writer);
    this.#askFlush();
    if (outcome === undefined) return;
    if ('code' in outcome) return this.close(outcome.code, outcome.detail);
    this.#peer = outcome.peer;
    this.#sendWindow.begin(outcome.windowBytes);
    this.#apply({ kind: 'greeted', nowMs: this.#options.clock.nowMs() });
    this.#handlers.onOpen?.(this);
  }

  #onRequestFrame(message: Buffer, start: number, end: number): void {
    const onRequest = this.#handlers.onRequest;
    if (onRequest === undefined) return this.close('LINK_ROLE_REFUSED', 'requests are not served on this link');
    if (!this.#countReceived(end - start)) return;
    onRequest.call(this.#handlers, this, message.readUInt32LE(start + 8), message, start, end);
  }

  #onAnswer(message: Buffer, start: number, end: number, isError: boolean): void {
    if (!this.#countReceived(end - start)) return;
    this.releaseReceived(end - start);
    const owner = this.#streams.take(message.readUInt32LE(start + 8));
    if (owner === undefined) return; // K2: cancelled meanwhile
    if (isError) owner.onError(message, start, end);
    else owner.onReply(message, start, end);
  }

  #onNoticeFrame(message: Buffer, start: number, end: number): void {
    const notice = readNotice(message, start, end);
    if ('code' in notice) return this.close(notice.code, notice.detail);
    this.#handlers.onNotice?.(this, notice.topic, notice.value);
  }

  /** K4 @returns false when the peer overran the window and the link is closed */
  #countReceived(frameBytes: number): boolean {
    if (this.#receiveWindow.received(frameBytes)) return true;
    const { unreleasedBytes } = this.#receiveWindow;
    this.close(
      'LINK_WINDOW_OVERRUN',
      `expected at most ${LINK_WINDOW_BYTES} bytes not taken up, got ${unreleasedBytes}`,
    );
    return false;
  }

  #holdReply(frameBytes: number): void {
    const frameAt = this.writer.at - frameBytes;
    const kept = this.#sendWindow.hold(Buffer.from(this.writer.buffer.subarray(frameAt, this.writer.at)));
    this.writer.abandonFrame();
    if (kept) return;
    this.close('LINK_BACKPRESSURE', `the peer does not take its replies up: ${this.#sendWindow.heldBytes} bytes wait`);
  }

  #onGrant(bytes: number): void {
    if (!this.#sendWindow.grant(bytes))
      return this.close('LINK_WINDOW_OVERRUN', `expected a WINDOW for what was sent, got one of ${bytes} bytes more`);
    for (let frame = this.#sendWindow.nextHeld(); frame !== undefined; frame = this.#sendWindow.nextHeld()) {
      this.writer.reserve(frame.length);
      this.writer.at += frame.copy(this.writer.buffer, this.writer.at);
      this.#frameWritten();
    }
    this.#handlers.onWindow?.(this);
  }

  /** K4: also for what no window counts. */
  #requireReader(): void {
    if (this.#state.kind === 'closed') return;
    const { bufferedBytes } = this.#transport;
    if (bufferedBytes > unsentBytesMaxOf(this.#options.settings))
      this.close('LINK_BACKPRESSURE', `the peer does not read: ${bufferedBytes} bytes wait`);
  }

  #onTick(): void {
    const nowMs = this.#options.clock.nowMs();
    const { pingEveryMs, pongDeadMs } = this.#options.settings;
    const stalled = nowMs - this.#lastTickAtMs > pingEveryMs * 2;
    this.#lastTickAtMs = nowMs;
    if (stalled) this.#apply({ kind: 'heard', nowMs }); // K5
    this.#apply({ kind: 'tick', nowMs, pongDeadMs });
    if (this.open) this.#ping();
  }

  #ping(): void {
    this.#writeBare(FRAME_TYPE.PING, 0, this.heartbeat.ping(this.#options.clock.nowMs()));
  }

  #writePong(): void {
    if (this.#pingHeard === undefined) return;
    writePong(this.writer, this.#pingHeard, this.#handlers.loadReport?.() ?? NO_LOAD); // K6
    this.#pingHeard = undefined;
  }

  #onPong(message: Buffer, start: number, end: number): void {
    const report = readPong(message, start, end);
    if (report === undefined) return this.close('LINK_FRAME_INVALID', 'expected a load report in PONG');
    this.heartbeat.pong(message.readUInt32LE(start + 12), this.#options.clock.nowMs());
    this.peerLoad = report;
    this.#handlers.onLoad?.(this, report);
  }

  #writeBare(type: number, streamId: number, amount: number): void {
    this.writer.reserve(FRAME_HEAD_BYTES);
    this.writer.beginFrame(type, 0, 0, streamId, amount);
    this.writer.endFrame();
    this.#askFlush();
  }

  /** K1: so a message holds at most one frame of the largest size and a batch, which both doors' limits allow. */
  #frameWritten(): void {
    if (this.writer.at >= BATCH_BYTES_MAX) this.flush();
    else this.#askFlush();
  }

  #askFlush(): void {
    if (this.#flushAsked) return;
    this.#flushAsked = true;
    this.#options.tick.flush(this.#endTurn);
  }

  #apply(event: LinkEvent): void {
    const before = this.#state;
    this.#state = nextLinkState(before, event);
    if (this.#state.kind === 'closed' && before.kind !== 'closed')
      this.#finish(this.#state, event.kind === 'transport-closed');
  }

  #finish(closed: LinkState & { kind: 'closed' }, transportGone: boolean): void {
    this.#ticker?.cancel();
    this.#ticker = undefined;
    if (!transportGone) {
      if (this.writer.at > 0) this.#transport.send(this.writer.packed());
      this.#transport.close(4000 + ERROR_KINDS[closed.code].wire, closeText(closed.detail));
    }
    this.writer.clear();
    this.#sendWindow.drop();
    const reason = new PlatformError(closed.code, closed.detail);
    for (const owner of this.#streams.takeAll()) owner.onLost(reason); // K2
    this.#handlers.onClosed?.(this, reason);
  }
}
