/**
 * A coordinator's process that may write no more, by a limit on the size of its files: writes are refused with a reason,
 * reads, watches and sessions go on, and writes too once there is room again. What was refused never comes back.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { requireProgram, skipReason, TEST_PROGRAMS } from '../../deploy/checks/test-programs.ts';
import { toPlatformError } from '../../shared/errors.ts';
import type { ParkClient } from '../../shared/park/park-client.ts';
import { type CoordinatorProcess, CoordinatorSet } from '../support/coordinator-set.ts';
import { eventually } from '../support/eventually.ts';
import { lengthOf } from '../support/soak.ts';

const ROUNDS = lengthOf(2, 40);
const WRITERS = 8;
const LONG_MS = 60_000;
const skip = skipReason(TEST_PROGRAMS.prlimit);

let set: CoordinatorSet;
let coordinator: CoordinatorProcess;
let client: ParkClient;

before(async () => {
  if (skip !== false) return;
  set = await CoordinatorSet.make();
  coordinator = set.start('c1');
  await set.untilServing('c1', coordinator);
  client = set.client('writer', { sessionTtlMs: LONG_MS, callTimeoutMs: LONG_MS });
});

after(async () => await set?.close());

/** No file may grow past so many bytes: as a full disk, it fails writes and nothing else. */
function limitFiles(bytes: number | 'unlimited'): void {
  execFileSync(requireProgram(TEST_PROGRAMS.prlimit), ['--pid', String(coordinator.child.pid), `--fsize=${bytes}:`]);
}

async function codeOf(writing: Promise<unknown>): Promise<string> {
  return await writing.then(
    () => 'done',
    (thrown: unknown) => toPlatformError(thrown).code,
  );
}

test('without room writes are refused and say why; reads, watches and sessions go on, then writes do', {
  skip,
}, async (context) => {
  let refused = 0;
  const acknowledged = new Map<string, number>();
  const refusedValues = new Set<number>();
  const told: unknown[] = [];
  const listener = set.client('listener');
  listener.watch('d', (change) => {
    if (change.kind === 'put') told.push(change.entry.value);
  });
  let lost = 0;
  (await client.session()).onLost(() => {
    lost += 1;
  });
  const guard = await client.create('workers', 'one', 1, { ephemeral: true });
  let number = 0;
  const put = async (node: string): Promise<string> => {
    const value = ++number;
    const code = await codeOf(client.put('d', node, value));
    if (code === 'done') acknowledged.set(node, value);
    else refusedValues.add(value);
    return code;
  };
  for (let round = 0; round < ROUNDS; round++) {
    const nodes = Array.from({ length: WRITERS }, (_, index) => `n${index}`);
    assert.deepEqual(
      await Promise.all(nodes.map(put)),
      nodes.map(() => 'done'),
    );
    limitFiles(1_024);
    await eventually('a refusal', async () => (await put('n0')) === 'STORE_UNAVAILABLE', LONG_MS);
    for (const code of await Promise.all(nodes.map(put))) {
      assert.equal(code, 'STORE_UNAVAILABLE');
      refused += 1;
    }
    await assert.rejects(client.put('d', 'n0', 0), {
      code: 'STORE_UNAVAILABLE',
      detail: /refused until there is room/,
    });
    for (const node of nodes) assert.equal((await client.get('d', node))?.value, acknowledged.get(node));
    const status = await set.status('c1');
    assert.match(status.park.writeFailure, /refused until there is room/);
    assert.equal((await client.get('workers', 'one'))?.createRevision, guard.revision);
    limitFiles('unlimited');
    await eventually('writes again', async () => (await put('n0')) === 'done', LONG_MS);
    assert.equal((await set.status('c1')).park.writeFailure, '');
  }
  await eventually('the last change told', () => told.at(-1) === acknowledged.get('n0'), LONG_MS);
  await coordinator.kill();
  coordinator = set.start('c1');
  await set.untilServing('c1', coordinator);
  for (const [node, value] of acknowledged) assert.equal((await client.get('d', node))?.value, value, node);
  assert.deepEqual(
    told.filter((value) => refusedValues.has(value as number)),
    [],
    'nothing that was refused is told',
  );
  assert.deepEqual(
    told,
    told.toSorted((a, b) => Number(a) - Number(b)),
  );
  assert.equal(lost, 0);
  context.diagnostic(`${ROUNDS} times without room: ${refused} writes refused, ${told.length} done`);
});
