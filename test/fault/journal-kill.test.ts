/**
 * A process with a journal is killed with SIGKILL at random instants under writes and snapshots, and started again: what
 * was called durable is there, nothing is doubled or out of order, and what is lost of the rest is no older than its window.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { after, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { seededRandom, systemRandom } from '../../shared/random.ts';
import { eventually } from '../support/eventually.ts';
import { lengthOf } from '../support/soak.ts';

const CHILD = fileURLToPath(new URL('../support/journal-child.ts', import.meta.url));
/** KILL_SEED repeats the instants of a run. */
const SEED = Number(process.env['KILL_SEED'] ?? Math.floor(systemRandom.float() * 2 ** 32));
const KILLS = lengthOf(10, 200);
const LIFE_MS_MAX = lengthOf(150, 1_000);
const FLUSH_EVERY_MS = 10;
/** A machine at its limits may let a flush wait for so long. */
const GRACE_MS = 1_000;

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'journal-kill-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

interface Life {
  /** Last sequence it was told at its start. */
  readonly told: number;
  readonly snapshotRecords: number;
  /** Last one it called durable. */
  readonly durable: number;
  /** What it had appended, when. */
  readonly appended: readonly { readonly sequence: number; readonly atMs: number }[];
}

/** Starts the process, and kills it so long after its first record was durable. */
async function live(forMs: number): Promise<Life> {
  const report = path.join(folder, 'report');
  fs.rmSync(report, { force: true });
  const args = ['--no-warnings', CHILD, path.join(folder, 'journal'), String(FLUSH_EVERY_MS), report];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const reported = (): string => (fs.existsSync(report) ? fs.readFileSync(report, 'latin1') : '');
  const ended = once(child, 'close');
  try {
    await eventually('a durable record', () => /^d /m.test(reported()) || child.exitCode !== null, 10_000);
    await pause(forMs);
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
  const output = reported();
  assert.equal(child.signalCode, 'SIGKILL', `expected it to live until it was killed: ${output.slice(-500)}`);
  const lines = output
    .slice(0, output.lastIndexOf('\n'))
    .split('\n')
    .map((line) => line.split(' '));
  const numbersOf = (kind: string): number[][] =>
    lines.flatMap(([of, ...rest]) => (of === kind ? [rest.map(Number)] : []));
  const [told = 0, snapshotRecords = 0] = numbersOf('told')[0] ?? [];
  const durable = numbersOf('d').at(-1)?.[0] ?? told;
  const appended = numbersOf('a').map(([sequence = 0, atMs = 0]) => ({ sequence, atMs }));
  return { told, snapshotRecords, durable, appended };
}

test(`after each of ${KILLS} kills everything durable is there, and the rest up to its window`, async (context) => {
  const random = seededRandom(SEED);
  let before: Life | undefined;
  let lostMsMax = 0;
  let lostMax = 0;
  let withSnapshot = 0;
  for (let kill = 0; kill <= KILLS; kill++) {
    const life = await live(random.float() * LIFE_MS_MAX);
    if (life.snapshotRecords > 0) withSnapshot += 1;
    if (before !== undefined) {
      const { durable, appended } = before;
      assert.ok(life.told >= durable, `seed ${SEED}: ${durable} was durable, ${life.told} was told`);
      const lost = appended.filter(({ sequence }) => sequence > life.told);
      const lastAppended = appended.at(-1);
      if (lastAppended !== undefined && lost[0] !== undefined) {
        lostMsMax = Math.max(lostMsMax, lastAppended.atMs - lost[0].atMs);
        lostMax = Math.max(lostMax, lastAppended.sequence - life.told);
      }
    }
    before = life;
  }
  assert.ok(lostMsMax <= FLUSH_EVERY_MS + GRACE_MS, `seed ${SEED}: records ${lostMsMax} ms old were lost`);
  assert.ok(withSnapshot > KILLS / 2, `only ${withSnapshot} starts had a snapshot`);
  context.diagnostic(
    `KILL_SEED=${SEED}: ${before?.told} records at the end; lost at most ${lostMax}, the oldest ${Math.round(lostMsMax)} ms old`,
  );
});
