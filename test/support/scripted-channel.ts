/** A ParkChannel that the test plays: it sees what is asked, and says what becomes of it, in any order. */
import { PlatformError } from '../../shared/errors.ts';
import type { Asked, Asker, ChannelListener, ParkChannel } from '../../shared/park/park-channel.ts';
import type { ParkRequest } from '../../shared/park/park-protocol.ts';

export interface ScriptedAsk {
  readonly request: ParkRequest;
  readonly asker: Asker;
  cancelled: boolean;
  answered: boolean;
}

export class ScriptedChannel implements ParkChannel {
  up = false;
  /** Whether more may be asked. */
  room = true;
  listener!: ChannelListener;
  readonly asks: ScriptedAsk[] = [];
  readonly refusals: string[] = [];
  readonly doubts: string[] = [];
  closed = false;
  /** Answers these by itself, so that a test is about the others. */
  auto: (request: ParkRequest) => unknown = () => undefined;

  start(listener: ChannelListener): void {
    this.listener = listener;
  }

  ask(request: ParkRequest, asker: Asker): Asked | undefined {
    if (!this.up || !this.room) return undefined;
    const ask: ScriptedAsk = { request, asker, cancelled: false, answered: false };
    this.asks.push(ask);
    const answer = this.auto(request);
    if (answer !== undefined) queueMicrotask(() => this.answer(ask, answer));
    return {
      cancel: () => {
        ask.cancelled = true;
      },
    };
  }

  refuse(reason: string): void {
    this.refusals.push(reason);
    this.goDown();
  }

  doubt(reason: string): void {
    this.doubts.push(reason);
  }

  close(): void {
    this.closed = true;
  }

  goUp(): void {
    this.up = true;
    this.listener.onUp();
  }

  goDown(): void {
    this.up = false;
    for (const ask of this.pending())
      this.#end(ask, () => ask.asker.onLost(new PlatformError('LINK_CLOSED', 'the wire is cut')));
    this.listener.onDown();
  }

  /** Asked, and neither answered nor cancelled. */
  pending(op?: ParkRequest['op']): ScriptedAsk[] {
    return this.asks.filter((ask) => !ask.answered && !ask.cancelled && (op === undefined || ask.request.op === op));
  }

  /** The oldest that waits of this kind. */
  next(op: ParkRequest['op']): ScriptedAsk {
    const [ask] = this.pending(op);
    if (ask === undefined) throw new Error(`expected a request ${op} to wait, there is none`);
    return ask;
  }

  answer(ask: ScriptedAsk, value: unknown): void {
    this.#end(ask, () => ask.asker.onAnswer(value));
  }

  fail(ask: ScriptedAsk, error: PlatformError): void {
    this.#end(ask, () => ask.asker.onError(error));
  }

  #end(ask: ScriptedAsk, tell: () => void): void {
    if (ask.answered || ask.cancelled) return;
    ask.answered = true;
    tell();
  }
}
