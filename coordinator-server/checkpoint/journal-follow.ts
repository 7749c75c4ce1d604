/**
 * The checkpointer's side: follows the coordinator's journal into a journal and a park of its own, makes snapshots of
 * it, and sends them. What it holds is ready to be served, should it be promoted.
 *
 * C1: its journal holds the coordinator's records under the same sequences, in order, none twice; it only ever gets what
 *     is durable there.
 * C2: a new checkpointer, and one that fell behind what is kept, begins with the coordinator's snapshot.
 * C3: a coordinator that has fewer records than this one has lost some: nothing of it is followed, and an operator is
 *     told, who may promote this one.
 * C4: whatever goes wrong on the way, it begins again with the next link, after its own last record.
 */
import type { Clock } from '../../shared/clock.ts';
import { PlatformError, toPlatformError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { Random } from '../../shared/random.ts';
import { Journal } from '../journal/journal.ts';
import { ParkState } from '../park/park-state.ts';
import { decodeParkRecord } from '../store/park-record.ts';
import { ParkSnapshots } from '../store/park-snapshots.ts';
import type { FeedAnswer, FeedMessage, FeedRequest } from './feed-messages.ts';
import { PART_BYTES_MAX, unpackRecords } from './feed-messages.ts';

/** Journal bytes, and time, after which a snapshot is made, if there was any record. */
export const SNAPSHOT_AFTER_BYTES = 32 * 1024 * 1024;
export const SNAPSHOT_EVERY_MS = 600_000;
const AGAIN_AFTER_MS = 500;

export type AskCoordinator = (request: FeedRequest, bytes?: Uint8Array) => Promise<FeedMessage<FeedAnswer>>;

export type FollowState =
  | { readonly kind: 'waiting'; readonly reason: string }
  | { readonly kind: 'beginning' }
  | { readonly kind: 'following'; readonly behindBy: number }
  /** C3 */
  | { readonly kind: 'ahead'; readonly reason: string };

export interface JournalFollowOptions {
  readonly folder: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Asks the coordinator. Rejects when there is no link, or it breaks. */
  readonly ask: AskCoordinator;
  readonly snapshotAfterBytes?: number | undefined;
}

export class JournalFollow {
  readonly #options: JournalFollowOptions;
  readonly #journal: Journal;
  #park: ParkState;
  #snapshots: ParkSnapshots;
  #state: FollowState = { kind: 'waiting', reason: 'no link to the coordinator yet' };
  #grownBytes = 0;
  #snapshotAtMs: number;
  #sent = 0;
  #sending: Promise<void> | undefined;
  #running: Promise<void> | undefined;
  #closed = false;

  private constructor(options: JournalFollowOptions, journal: Journal, park: ParkState) {
    this.#options = options;
    this.#journal = journal;
    this.#park = park;
    this.#snapshots = this.#snapshotsOf(park);
    this.#snapshotAtMs = options.clock.nowMs();
  }

  /** @throws PlatformError JOURNAL_CORRUPT; USAGE when another process has the folder */
  static async open(options: JournalFollowOptions): Promise<JournalFollow> {
    const { folder, clock, log, random } = options;
    const park = new ParkState();
    const onRecord = (payload: Buffer): void => load(park, payload, clock.nowMs());
    const journal = await Journal.open({ folder, clock, log, random, onRecord });
    return new JournalFollow(options, journal, park);
  }

  get state(): FollowState {
    return this.#state;
  }

  status(): Readonly<Record<string, unknown>> {
    return {
      state: this.#state,
      term: this.#journal.epoch,
      revision: this.#park.revision,
      nodes: this.#park.nodes,
      journal: this.#journal.status(),
      snapshots: { ...this.#snapshots.status(), sent: this.#sent },
      writeFailure: this.#journal.failure,
    };
  }

  /** Follows until it is closed. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Makes a snapshot and sends it now. @returns records in it */
  async snapshot(): Promise<number> {
    const records = await this.#snapshots.make();
    await this.#send();
    return records;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#snapshots.close();
    await this.#running;
    await this.#sending?.catch(() => undefined);
    await this.#journal.close();
  }

  /**
   * Takes the place of a coordinator that is lost: its journal's term is raised, so that the old one, should it return,
   * is refused. Closed afterwards: the folder is a coordinator's from now on.
   * @returns the new term
   */
  async promote(): Promise<number> {
    if (this.#journal.status().newestSnapshot === 0 && this.#journal.lastSequence === 0)
      throw new PlatformError(
        'NOT_READY',
        'expected a checkpointer that has followed its coordinator, this one never did: it holds nothing',
      );
    this.#closed = true;
    await this.#running;
    await this.#journal.raiseEpoch(this.#journal.epoch + 1);
    const term = this.#journal.epoch;
    await this.close();
    return term;
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      try {
        await this.#step();
      } catch (thrown) {
        const reason = toPlatformError(thrown).detail;
        if (this.#state.kind !== 'waiting')
          this.#options.log.warn({ reason }, 'not following the coordinator; tried again'); // C4
        this.#state = { kind: 'waiting', reason };
        if (!this.#closed) await this.#options.clock.sleep(AGAIN_AFTER_MS);
      }
    }
  }

  async #step(): Promise<void> {
    const isNew = this.#journal.lastSequence === 0;
    if (isNew) return await this.#begin(); // C2
    const { head, bytes } = await this.#options.ask({ op: 'follow', from: this.#journal.lastSequence + 1 });
    switch (head.kind) {
      case 'records':
        await this.#take(head, bytes);
        break;
      case 'none':
        this.#state = { kind: 'following', behindBy: head.durable - this.#journal.lastSequence };
        break;
      case 'dropped':
        await this.#begin(); // C2
        break;
      case 'behind': {
        const reason = `expected a coordinator with ${this.#journal.lastSequence} records at least, it has ${head.durable}: it has lost some. Promote this checkpointer, or empty its folder to follow anew`;
        if (this.#state.kind !== 'ahead') this.#options.log.error({ reason }, 'the coordinator is not followed'); // C3
        this.#state = { kind: 'ahead', reason };
        await this.#options.clock.sleep(AGAIN_AFTER_MS * 4);
        break;
      }
      default:
        throw new PlatformError('LINK_FRAME_INVALID', `expected records, got ${head.kind}`);
    }
    this.#snapshotIfDue();
  }

  /** C1 */
  async #take(head: Extract<FeedAnswer, { kind: 'records' }>, bytes: Buffer): Promise<void> {
    if (head.first !== this.#journal.lastSequence + 1)
      throw new PlatformError(
        'LINK_FRAME_INVALID',
        `expected record ${this.#journal.lastSequence + 1}, got ${head.first}`,
      );
    for (const payload of unpackRecords(bytes, head.count)) {
      this.#journal.append(payload, 'async');
      load(this.#park, payload, this.#options.clock.nowMs());
      this.#grownBytes += payload.length;
    }
    this.#state = { kind: 'following', behindBy: Math.max(0, head.durable - this.#journal.lastSequence) };
  }

  /** C2 */
  async #begin(): Promise<void> {
    const { ask, log } = this.#options;
    this.#state = { kind: 'beginning' };
    this.#snapshots.abandon();
    const { head } = await ask({ op: 'read-snapshot' });
    if (head.kind !== 'snapshot')
      throw new PlatformError('LINK_FRAME_INVALID', `expected a snapshot, got ${head.kind}`);
    await this.#journal.adoptSnapshot(partsOf(ask), head.fromSequence);
    const reader = await this.#journal.readSnapshot();
    if (reader === undefined)
      throw new PlatformError('STORE_UNAVAILABLE', 'expected the snapshot that was just adopted');
    const park = new ParkState();
    for await (const payloads of reader.payloads())
      for (const payload of payloads) load(park, payload, this.#options.clock.nowMs());
    await reader.close();
    this.#park = park;
    this.#snapshots = this.#snapshotsOf(park);
    this.#grownBytes = 0;
    log.info({ fromSequence: head.fromSequence, nodes: park.nodes }, 'began with the coordinator’s snapshot');
  }

  #snapshotIfDue(): void {
    const { clock, snapshotAfterBytes = SNAPSHOT_AFTER_BYTES } = this.#options;
    const isDue = this.#grownBytes >= snapshotAfterBytes || clock.nowMs() - this.#snapshotAtMs >= SNAPSHOT_EVERY_MS;
    if (!isDue || this.#grownBytes === 0 || this.#sending !== undefined || this.#state.kind !== 'following') return;
    this.#grownBytes = 0;
    this.#snapshotAtMs = clock.nowMs();
    this.#sending = this.snapshot()
      .then(() => undefined)
      .catch((thrown: unknown) => {
        const reason = toPlatformError(thrown).detail;
        this.#options.log.warn({ reason }, 'snapshot not made, or not taken by the coordinator; the next one is');
      })
      .finally(() => {
        this.#sending = undefined;
      });
  }

  async #send(): Promise<void> {
    const reader = await this.#journal.readSnapshot();
    if (reader === undefined) return;
    try {
      let first = true;
      for await (const chunk of reader.chunks()) {
        for (let at = 0; at < chunk.length; at += PART_BYTES_MAX) {
          const part = chunk.subarray(at, at + PART_BYTES_MAX);
          await this.#options.ask({ op: 'offer-part', fromSequence: reader.fromSequence, first }, part);
          first = false;
        }
      }
      await this.#options.ask({ op: 'offer-end' });
      this.#sent += 1;
    } finally {
      await reader.close();
    }
  }

  #snapshotsOf(state: ParkState): ParkSnapshots {
    const { clock, log } = this.#options;
    return new ParkSnapshots({ journal: this.#journal, state, clock, log });
  }
}

function load(park: ParkState, payload: Buffer, nowMs: number): void {
  const { changes, revision } = decodeParkRecord(payload);
  park.load(changes, revision, nowMs);
}

async function* partsOf(ask: AskCoordinator): AsyncGenerator<Uint8Array> {
  for (;;) {
    const { head, bytes } = await ask({ op: 'read-part' });
    if (head.kind !== 'part') throw new PlatformError('LINK_FRAME_INVALID', `expected a part, got ${head.kind}`);
    if (head.last) return;
    yield bytes;
  }
}
