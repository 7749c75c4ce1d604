/**
 * Journals on real files, damaged at every kind of place: a coordinator's process refuses what it cannot trust, names the
 * place and says what to do; a torn end is cut and shown. What is told after any damage is a beginning of what was written.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { systemFiles } from '../../coordinator-server/journal/journal-files.ts';
import { PlatformError } from '../../shared/errors.ts';
import { CoordinatorSet } from '../support/coordinator-set.ts';
import { assertPrefix, JournalSubject } from '../support/journal-subject.ts';
import { SimulatedDisk } from '../support/simulated-disk.ts';
import { lengthOf } from '../support/soak.ts';
import { tempFolder } from '../support/test-cluster.ts';
import '../support/property-runs.ts';

const LONG_MS = 60_000;
const CASES = lengthOf(150, 5_000);
const SEGMENT_BYTES = 300;

type Damage =
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  | { readonly kind: 'zeros' | 'noise'; readonly at: number; readonly bytes: number }
  | { readonly kind: 'cut' | 'longer'; readonly at: number }
  | { readonly kind: 'gone' };

/** `at` is a share of the file, in 1/10,000. */
const AT = fc.nat(9_999);
const DAMAGE: fc.Arbitrary<Damage> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('flip' as const), at: AT, bit: fc.nat(7) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('zeros' as const, 'noise' as const),
      at: AT,
      bytes: fc.integer({ min: 1, max: 200 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('cut' as const, 'longer' as const), at: AT }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('gone' as const) }) },
);

function damage(file: string, how: Damage): void {
  if (how.kind === 'gone') return fs.rmSync(file);
  const bytes = fs.readFileSync(file);
  const at = Math.floor((how.at / 10_000) * bytes.length);
  const end = Math.min(bytes.length, at + ('bytes' in how ? how.bytes : 0));
  if (how.kind === 'flip') bytes[at] = (bytes[at] as number) ^ (1 << how.bit);
  else if (how.kind === 'zeros') bytes.fill(0, at, end);
  else if (how.kind === 'noise') bytes.fill('damage', at, end);
  else if (how.kind === 'cut') return fs.writeFileSync(file, bytes.subarray(0, at));
  else return fs.writeFileSync(file, Buffer.concat([bytes, Buffer.alloc(at + 1, 0x5a)]));
  fs.writeFileSync(file, bytes);
}

/** A journal's folder before the damage. */
interface Whole {
  readonly folder: string;
  readonly names: readonly string[];
  readonly appended: ReadonlyMap<number, string>;
  /** Records that are proved to have been on the disk; behind them an end may be torn. */
  readonly proved: number;
}

/** Several segments, two snapshots, and an end as a stop leaves it, or a kill. */
async function makeWhole(folder: string, isStopped: boolean): Promise<Whole> {
  const disk = new SimulatedDisk();
  const options = { segmentBytesMax: SEGMENT_BYTES };
  const subject = await JournalSubject.open(disk, options);
  for (let round = 0; round < 4; round++) {
    for (let record = 0; record < 6; record++) await subject.write(`${round}.${record} ${'x'.repeat(record * 7)}`);
    if (round === 1 || round === 2) await subject.snapshot();
  }
  const proved = isStopped ? subject.held.size : subject.held.size - 1;
  if (isStopped) {
    await subject.journal.close();
    await (await JournalSubject.open(disk, options)).journal.close();
  }
  fs.mkdirSync(folder);
  for (const [name, bytes] of disk.files) fs.writeFileSync(path.join(folder, name), bytes);
  const names = [...disk.files.keys()].toSorted();
  assert.equal(names.filter((name) => name.endsWith('.snapshot')).length, 2);
  return { folder, names, appended: subject.held, proved };
}

/** How many records must be told. What is cut or overwritten at the end looks as a crash leaves it; a single bit does not. */
function leastOf({ names, appended, proved }: Whole, name: string, how: Damage): number {
  const ends = names.filter((one) => one.endsWith('.journal')).slice(-2);
  if (!ends.includes(name)) return appended.size;
  return how.kind === 'flip' || how.kind === 'longer' ? proved : 0;
}

describe('the journal’s own files', () => {
  let folder: string;
  let wholes: Whole[];

  before(async () => {
    folder = tempFolder();
    wholes = [await makeWhole(path.join(folder, 'stopped'), true), await makeWhole(path.join(folder, 'killed'), false)];
  });
  after(() => fs.rmSync(folder, { recursive: true, force: true }));

  test(`damaged in ${CASES} ways: refused with the place, or a beginning of what was written, whole where that is proved`, async (context) => {
    const outcomes = { refused: 0, whole: 0, shorter: 0 };
    let number = 0;
    const aCase = fc.record({ which: fc.nat(1), file: fc.nat(100), how: DAMAGE });
    await fc.assert(
      fc.asyncProperty(aCase, async ({ which, file, how }) => {
        const whole = wholes[which] as Whole;
        const name = whole.names[file % whole.names.length] as string;
        const copy = path.join(folder, `case-${++number}`);
        fs.cpSync(whole.folder, copy, { recursive: true });
        damage(path.join(copy, name), how);
        try {
          const found = await JournalSubject.open(systemFiles, { folder: copy, segmentBytesMax: SEGMENT_BYTES });
          assertPrefix(found, whole.appended, leastOf(whole, name, how));
          if (found.journal.lastSequence < whole.appended.size) outcomes.shorter += 1;
          else outcomes.whole += 1;
          found.append('goes on');
          await found.journal.close();
        } catch (thrown) {
          if (!(thrown instanceof PlatformError) || thrown.code !== 'JOURNAL_CORRUPT') throw thrown;
          assert.ok(thrown.detail.includes(copy), thrown.detail);
          assert.match(thrown.detail, /record \d+, byte \d+|snapshot/);
          outcomes.refused += 1;
        } finally {
          fs.rmSync(copy, { recursive: true, force: true });
        }
      }),
      { numRuns: CASES },
    );
    assert.ok(outcomes.refused > 0 && outcomes.whole > 0, JSON.stringify(outcomes));
    context.diagnostic(JSON.stringify(outcomes));
  });
});

describe('a coordinator', () => {
  let set: CoordinatorSet;
  let last = 0;

  before(async () => {
    set = await CoordinatorSet.make();
    const started = set.start('c1');
    await set.untilServing('c1', started);
    const client = set.client('writer', { callTimeoutMs: LONG_MS });
    for (let index = 0; index < 50; index++) await client.put('d', `n${index % 10}`, index);
    last = (await set.status('c1')).park.details.durableSequence;
    client.close();
    await started.kill();
  });
  after(async () => await set.close());

  /** The segment that has the records. */
  function segment(): string {
    const folder = set.parkFolder('c1');
    const largest = fs
      .readdirSync(folder)
      .filter((name) => name.endsWith('.journal'))
      .map((name) => path.join(folder, name))
      .toSorted((a, b) => fs.statSync(b).size - fs.statSync(a).size)[0];
    return largest ?? assert.fail('no segment');
  }

  test('whose journal has a torn end cuts it, shows how much, and serves', async () => {
    fs.appendFileSync(segment(), Buffer.alloc(77, 0x21));
    const started = set.start('c1');
    await set.untilServing('c1', started);
    const { recovery } = (await set.status('c1')).park.details;
    assert.equal(recovery.cutBytes, 77);
    assert.ok(recovery.journalRecords >= last, `${recovery.journalRecords} of ${last}`);
    const client = set.client('reader', { callTimeoutMs: LONG_MS });
    assert.equal((await client.get('d', 'n9'))?.value, 49);
    client.close();
    await started.kill();
  });

  test('whose journal is damaged in the middle does not start: exit code 2, the record and place, and what to do', async () => {
    const file = segment();
    const bytes = fs.readFileSync(file);
    const damaged = Buffer.from(bytes);
    const at = Math.floor(bytes.length / 2);
    damaged[at] = (damaged[at] as number) ^ 0x10;
    fs.writeFileSync(file, damaged);
    for (let start = 0; start < 2; start++) {
      const { exitCode, errors } = await set.start('c1').ended; // as often as it is tried, and nothing is changed by it
      assert.equal(exitCode, 2);
      assert.match(errors, new RegExp(`${path.basename(file)}: record \\d+, byte \\d+: `));
      assert.match(errors, /promote|copy/i);
      assert.deepEqual(fs.readFileSync(file), damaged);
    }
    fs.writeFileSync(file, bytes);
    const started = set.start('c1');
    await set.untilServing('c1', started);
    await started.kill();
  });

  test('whose journal is moved aside begins with a park that holds what it had published, and nothing else', async () => {
    let started = set.start('c1');
    await set.untilServing('c1', started);
    const { epoch } = (await set.status('c1')).published;
    await started.kill();
    fs.renameSync(set.parkFolder('c1'), `${set.parkFolder('c1')}.aside`);
    started = set.start('c1');
    await set.untilServing('c1', started);
    assert.equal((await set.status('c1')).published.epoch, epoch);
    const client = set.client('reader', { callTimeoutMs: LONG_MS });
    assert.deepEqual(await client.getDomain('d'), []);
    client.close();
    await started.kill();
  });
});
