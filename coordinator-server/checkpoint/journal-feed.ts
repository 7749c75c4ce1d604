/**
 * The coordinator's side of checkpoints: gives its journal to the checkpointer, and takes over the snapshots it makes.
 *
 * F1: one thing at a time on each link, in the order it was asked.
 * F2: while a checkpointer follows, the coordinator makes no snapshots itself; FOLLOWED_MS after its last word it does.
 * F3: a snapshot counts once all of it came and was checked; what was dropped for it is in it.
 */
import type { Clock } from '../../shared/clock.ts';
import { ERROR_KINDS, PlatformError, toPlatformError } from '../../shared/errors.ts';
import { FRAME_HEAD_BYTES, FRAME_TYPE } from '../../shared/link/frame.ts';
import type { Link } from '../../shared/link/link.ts';
import type { Logger } from '../../shared/log.ts';
import type { JournalFollower } from '../journal/journal-follower.ts';
import type { SnapshotReader } from '../journal/snapshot-reader.ts';
import type { JournalStore } from '../store/journal-store.ts';
import {
  type FeedAnswer,
  type FeedMessage,
  type FeedRequest,
  PART_BYTES_MAX,
  packRecords,
  readFeedRequest,
  writeFeedPayload,
} from './feed-messages.ts';
import { HandedChunks } from './handed-chunks.ts';

/** A checkpointer asks at least every second. */
export const FOLLOWED_MS = 10_000;
/** How long a question for records may wait for some. */
const WAIT_MS = 1_000;

interface Answer {
  readonly head: FeedAnswer;
  readonly parts: readonly Uint8Array[];
}

interface Feeding {
  follower: JournalFollower | undefined;
  reading: { readonly reader: SnapshotReader; readonly chunks: AsyncGenerator<Buffer> } | undefined;
  offered: { readonly chunks: HandedChunks; readonly adopted: Promise<void> } | undefined;
  /** What is being answered (F1). */
  busy: Promise<void>;
  /** Records that were read and have found no room in an answer yet. */
  kept: { first: number; payloads: Buffer[] };
}

export interface JournalFeedOptions {
  readonly store: JournalStore;
  readonly clock: Clock;
  readonly log: Logger;
}

export class JournalFeed {
  readonly #options: JournalFeedOptions;
  readonly #feedings = new Map<Link, Feeding>();
  #lastAskedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: JournalFeedOptions) {
    this.#options = options;
  }

  /** Whether a checkpointer follows. */
  get isFollowed(): boolean {
    return this.#options.clock.nowMs() - this.#lastAskedAtMs < FOLLOWED_MS;
  }

  /** A REQUEST on a link whose peer is of role `coordinator`. */
  onRequest(link: Link, streamId: number, frame: Buffer, start: number, end: number): void {
    link.releaseReceived(end - start);
    const feeding = this.#feedingOf(link);
    feeding.busy = feeding.busy.then(async () => {
      let answer: Answer;
      try {
        answer = await this.#answer(feeding, readFeedRequest(frame, start, end));
      } catch (thrown) {
        this.#refuse(link, streamId, toPlatformError(thrown));
        return;
      }
      if (!link.open) return;
      const { writer } = link;
      writer.reserve(FRAME_HEAD_BYTES);
      writer.beginFrame(FRAME_TYPE.REPLY, 0, 200, streamId, 0);
      writeFeedPayload(writer, answer.head, answer.parts);
      link.endStreamFrame();
    });
  }

  onClosed(link: Link): void {
    const feeding = this.#feedings.get(link);
    if (feeding === undefined) return;
    this.#feedings.delete(link);
    void feeding.follower?.close();
    void feeding.reading?.reader.close();
    feeding.offered?.chunks.fail(new Error('the checkpointer is gone'));
  }

  /** F2. To be called now and then. */
  look(): void {
    this.#options.store.pauseSnapshots(this.isFollowed);
  }

  #feedingOf(link: Link): Feeding {
    const known = this.#feedings.get(link);
    if (known !== undefined) return known;
    const kept = { first: 0, payloads: [] };
    const feeding: Feeding = {
      follower: undefined,
      reading: undefined,
      offered: undefined,
      busy: Promise.resolve(),
      kept,
    };
    this.#feedings.set(link, feeding);
    return feeding;
  }

  #answer(feeding: Feeding, { head, bytes }: FeedMessage<FeedRequest>): Promise<Answer> | Answer {
    this.#lastAskedAtMs = this.#options.clock.nowMs();
    switch (head.op) {
      case 'follow':
        return this.#follow(feeding, head.from);
      case 'read-snapshot':
        return this.#openSnapshot(feeding);
      case 'read-part':
        return this.#readPart(feeding);
      case 'offer-part':
        return this.#takePart(feeding, head, bytes);
      case 'offer-end':
        return this.#takeSnapshot(feeding);
    }
  }

  async #follow(feeding: Feeding, from: number): Promise<Answer> {
    const { journal } = this.#options.store;
    const { durableSequence } = journal;
    if (from > durableSequence + 1) return { head: { kind: 'behind', durable: durableSequence }, parts: [] };
    if (feeding.kept.first !== from || feeding.kept.payloads.length === 0) {
      if (feeding.follower?.nextSequence !== from) {
        await feeding.follower?.close();
        feeding.follower = journal.readFrom(from);
      }
      if (from > durableSequence && !(await this.#isMore(durableSequence)))
        return { head: { kind: 'none', durable: durableSequence }, parts: [] };
      const followed = await feeding.follower.next();
      if (followed.kind === 'dropped') return { head: { kind: 'dropped' }, parts: [] };
      if (followed.kind === 'closed') throw new PlatformError('STORE_UNAVAILABLE', 'the journal is being closed');
      feeding.kept = { first: followed.firstSequence, payloads: [...followed.payloads] };
    }
    const { first, payloads } = takeSome(feeding.kept);
    const head = { kind: 'records', first, count: payloads.length, durable: journal.durableSequence } as const;
    return { head, parts: packRecords(payloads) };
  }

  /** Waits up to WAIT_MS for a record behind this one. */
  async #isMore(durableSequence: number): Promise<boolean> {
    const { store, clock } = this.#options;
    const giveUpAtMs = clock.nowMs() + WAIT_MS;
    while (store.journal.durableSequence <= durableSequence && clock.nowMs() < giveUpAtMs) await clock.sleep(10);
    return store.journal.durableSequence > durableSequence;
  }

  async #openSnapshot(feeding: Feeding): Promise<Answer> {
    const { store } = this.#options;
    await feeding.reading?.reader.close();
    feeding.reading = undefined;
    if (store.journal.status().newestSnapshot === 0) await store.snapshot();
    const reader = await store.journal.readSnapshot();
    if (reader === undefined) throw new PlatformError('STORE_UNAVAILABLE', 'there is no snapshot to begin with');
    feeding.reading = { reader, chunks: reader.chunks() };
    return { head: { kind: 'snapshot', fromSequence: reader.fromSequence }, parts: [] };
  }

  async #readPart({ reading }: Feeding): Promise<Answer> {
    if (reading === undefined) throw new PlatformError('REQUEST_INVALID', 'expected read-snapshot before read-part');
    const { done, value } = await reading.chunks.next();
    if (done === true) await reading.reader.close();
    return { head: { kind: 'part', last: done === true }, parts: done === true ? [] : [value] };
  }

  async #takePart(
    feeding: Feeding,
    { first, fromSequence }: FeedRequest & { op: 'offer-part' },
    bytes: Buffer,
  ): Promise<Answer> {
    if (bytes.length > PART_BYTES_MAX)
      throw new PlatformError('REQUEST_INVALID', `expected at most ${PART_BYTES_MAX} bytes, got ${bytes.length}`);
    if (first) {
      feeding.offered?.chunks.fail(new Error('another snapshot is offered'));
      await feeding.offered?.adopted.catch(() => undefined); // one is taken over at a time
      const chunks = new HandedChunks();
      const adopted = this.#options.store.journal.adoptSnapshot(chunks.all(), fromSequence);
      adopted.catch((thrown: unknown) => chunks.fail(toPlatformError(thrown)));
      feeding.offered = { chunks, adopted };
    }
    if (feeding.offered === undefined) throw new PlatformError('REQUEST_INVALID', 'expected a first part');
    await feeding.offered.chunks.hand(Buffer.from(bytes));
    return { head: { kind: 'taken' }, parts: [] };
  }

  /** F3 */
  async #takeSnapshot(feeding: Feeding): Promise<Answer> {
    const { offered } = feeding;
    if (offered === undefined) throw new PlatformError('REQUEST_INVALID', 'expected parts before offer-end');
    feeding.offered = undefined;
    offered.chunks.finish();
    await offered.adopted;
    this.#options.log.info('snapshot of the checkpointer taken over; older records dropped');
    return { head: { kind: 'taken' }, parts: [] };
  }

  #refuse(link: Link, streamId: number, error: PlatformError): void {
    this.#options.log.warn({ peer: link.peer, code: error.code, detail: error.detail }, 'checkpointer refused');
    if (!link.open) return;
    const json = Buffer.from(JSON.stringify({ detail: error.detail }));
    const { writer } = link;
    writer.reserve(FRAME_HEAD_BYTES + json.length);
    writer.beginFrame(FRAME_TYPE.ERROR, 0, ERROR_KINDS[error.code].wire, streamId, 0);
    writer.buffer.set(json, writer.at);
    writer.at += json.length;
    link.endStreamFrame();
  }
}

/** @returns as many as fit one answer, at least one, taken out */
function takeSome(kept: { first: number; payloads: Buffer[] }): { first: number; payloads: Buffer[] } {
  let bytes = 0;
  let count = 0;
  for (const payload of kept.payloads) {
    bytes += payload.length + 4;
    if (count > 0 && bytes > PART_BYTES_MAX) break;
    count++;
  }
  const { first } = kept;
  kept.first += count;
  return { first, payloads: kept.payloads.splice(0, count) };
}
