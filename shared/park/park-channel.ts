/**
 * What a ParkClient needs of the way to its coordinators: one at a time, and word of every change. Over links it is
 * park-link-channel.ts; within a coordinator coordinator-server/park/park-store-channel.ts.
 *
 * C1: each request taken has exactly one of onAnswer, onError, onLost; none after its cancel.
 * C2: between onUp and onDown everything goes to and comes from one coordinator, over one connection, in order. A watch
 *     or a session's binding lasts until onDown and no longer.
 */
import type { PlatformError } from '../errors.ts';
import type { EventBatch, ParkRequest, WatchEnd } from './park-protocol.ts';

/** Who waits for the answer to a request (C1). */
export interface Asker {
  onAnswer(value: unknown): void;
  /** The coordinator refused. */
  onError(error: PlatformError): void;
  /** The request may or may not have reached it; no answer comes any more. */
  onLost(reason: PlatformError): void;
}

export interface Asked {
  /** The asker no longer waits. */
  cancel(): void;
}

export interface ChannelListener {
  onUp(): void;
  /** What was asked and not answered has been told onLost by now. */
  onDown(): void;
  /** More may be asked: see `ask`. */
  onRoom(): void;
  onEvents(batches: readonly EventBatch[]): void;
  onWatchEnded(end: WatchEnd): void;
}

export interface ParkChannel {
  /** Begins; onUp may come before this returns. */
  start(listener: ChannelListener): void;
  readonly up: boolean;
  /** @returns undefined, and nothing is asked, while down, or while the coordinator must first take up what it has */
  ask(request: ParkRequest, asker: Asker): Asked | undefined;
  /** This coordinator cannot serve: goes down, and up again with another one, or with this one after a pause. */
  refuse(reason: string): void;
  /** This coordinator does not answer: as `refuse` when there is another one, else nothing. */
  doubt(reason: string): void;
  /** What was asked before this still goes out. Nothing is called any more. */
  close(): void;
}
