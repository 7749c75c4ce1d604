/** The coordinator's side of checkpoints, asked on a link that is only a writer: uploads that break off, and those after them. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import {
  type FeedRequest,
  readFeedAnswer,
  writeFeedPayload,
} from '../../../../coordinator-server/checkpoint/feed-messages.ts';
import { JournalFeed } from '../../../../coordinator-server/checkpoint/journal-feed.ts';
import { JournalStore } from '../../../../coordinator-server/store/journal-store.ts';
import { systemClock } from '../../../../shared/clock.ts';
import { FRAME_HEAD_BYTES, FRAME_TYPE, FrameWriter } from '../../../../shared/link/frame.ts';
import type { Link } from '../../../../shared/link/link.ts';
import { silentLogger } from '../../../../shared/log.ts';
import { systemRandom } from '../../../../shared/random.ts';
import { eventually } from '../../../support/eventually.ts';
import { SimulatedDisk } from '../../../support/simulated-disk.ts';

const NOBODY = { session: '', force: false, platform: false };

let disk: SimulatedDisk;
let store: JournalStore;
let feed: JournalFeed;
let link: FakeLink;

class FakeLink {
  readonly open = true;
  readonly peer = { serverId: 'k1' };
  readonly writer = new FrameWriter(4_096);
  readonly answers: string[] = [];

  releaseReceived(): void {}

  endStreamFrame(): void {
    this.writer.endFrame();
    const frame = Buffer.from(this.writer.buffer.subarray(0, this.writer.at));
    this.writer.at = 0;
    const isReply = frame[4] === FRAME_TYPE.REPLY;
    this.answers.push(isReply ? readFeedAnswer(frame, 0, frame.length).head.kind : 'refused');
  }

  /** @returns what it is answered with */
  async ask(request: FeedRequest, bytes: Uint8Array = Buffer.alloc(0)): Promise<string> {
    const writer = new FrameWriter(4_096);
    writer.reserve(FRAME_HEAD_BYTES);
    writer.beginFrame(FRAME_TYPE.REQUEST, 0, 0, 1, 0);
    writeFeedPayload(writer, request, [bytes]);
    writer.endFrame();
    const { length } = this.answers;
    feed.onRequest(this as unknown as Link, 1, writer.buffer, 0, writer.at);
    return await eventually('an answer', () => this.answers[length]);
  }
}

beforeEach(async () => {
  disk = new SimulatedDisk();
  store = await JournalStore.open({
    folder: '/park',
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
    files: disk,
  });
  feed = new JournalFeed({ store, clock: systemClock, log: silentLogger });
  link = new FakeLink();
});

afterEach(async () => await store.close());

async function put(value: string): Promise<void> {
  await store.write(NOBODY, { writes: [{ op: 'put', domain: 'd', node: 'x', value }] });
}

/** A snapshot that another has made of the same journal: here the store's own. */
async function madeElsewhere(): Promise<{ fromSequence: number; bytes: Buffer }> {
  await put('"in it"');
  await store.snapshot();
  const reader = await store.journal.readSnapshot();
  assert.ok(reader !== undefined);
  const chunks: Buffer[] = [];
  for await (const chunk of reader.chunks()) chunks.push(Buffer.from(chunk));
  await reader.close();
  return { fromSequence: reader.fromSequence, bytes: Buffer.concat(chunks) };
}

test('an upload that broke off leaves nothing behind, and the next one on the same link is taken', async () => {
  const { fromSequence, bytes } = await madeElsewhere();
  const half = bytes.subarray(0, bytes.length >> 1);
  for (let again = 0; again < 3; again++) {
    assert.equal(await link.ask({ op: 'offer-part', fromSequence, first: true }, half), 'taken');
    assert.ok([...disk.files.keys()].some((name) => name.startsWith('adopted.')));
  }
  assert.equal(await link.ask({ op: 'offer-part', fromSequence, first: true }, half), 'taken');
  const rest = bytes.subarray(half.length);
  assert.equal(await link.ask({ op: 'offer-part', fromSequence, first: false }, rest), 'taken');
  assert.equal(await link.ask({ op: 'offer-end' }), 'taken');
  assert.deepEqual(
    [...disk.files.keys()].filter((name) => name.startsWith('adopted.')),
    [],
  );
  assert.equal(store.journal.status().newestSnapshot, fromSequence);
});

test('an upload that ends in the middle, or lies, is refused, and what there was stays', async () => {
  const { fromSequence, bytes } = await madeElsewhere();
  const before = disk.files;
  const damaged = Buffer.from(bytes);
  damaged[bytes.length >> 1] = (damaged[bytes.length >> 1] as number) ^ 1;
  for (const wrong of [bytes.subarray(0, bytes.length - 3), damaged]) {
    await link.ask({ op: 'offer-part', fromSequence, first: true }, wrong);
    assert.equal(await link.ask({ op: 'offer-end' }), 'refused');
  }
  assert.equal(await link.ask({ op: 'offer-end' }), 'refused');
  assert.deepEqual([...disk.files.keys()].toSorted(), [...before.keys()].toSorted());
});

test('a link that is lost in the middle of an upload leaves nothing behind', async () => {
  const { fromSequence, bytes } = await madeElsewhere();
  assert.equal(await link.ask({ op: 'offer-part', fromSequence, first: true }, bytes.subarray(0, 100)), 'taken');
  feed.onClosed(link as unknown as Link);
  await eventually('the rest to go', () => ![...disk.files.keys()].some((name) => name.startsWith('adopted.')));
  await put('"goes on"');
});
