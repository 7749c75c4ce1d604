import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { PublishedStateFile } from '../../../shared/published-state-file.ts';
import { parsePublishedState } from '../../../shared/published-state-schema.ts';
import { smallState } from '../../support/small-cluster.ts';

const folders: string[] = [];
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

async function freshFile(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-state-file-'));
  folders.push(folder);
  return join(folder, 'made/as/needed', 'published-state.json');
}

const number = (value: unknown): number => {
  if (typeof value !== 'number') throw new Error('expected a number');
  return value;
};

test('what was written is read back, by another process too', async () => {
  const file = await freshFile();
  assert.deepEqual(new PublishedStateFile(file, parsePublishedState).read(), { kind: 'absent' });
  await new PublishedStateFile(file, parsePublishedState).write(smallState(7));
  const content = new PublishedStateFile(file, parsePublishedState).read();
  assert.deepEqual(content, { kind: 'whole', value: smallState(7) });
});

test('a changed byte anywhere is noticed; the file is set aside and the generation before is used', async () => {
  const file = await freshFile();
  const stateFile = new PublishedStateFile(file, number);
  await stateFile.write(11_111);
  await stateFile.write(22_222);
  const bytes = await readFile(file);
  for (let at = 0; at < bytes.length; at++) {
    const damaged = Buffer.from(bytes);
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    await writeFile(file, damaged);
    const content = stateFile.read();
    assert.ok(content.kind === 'previous', `byte ${at}: ${JSON.stringify(content)}`);
    assert.equal(content.value, 11_111);
    assert.deepEqual(await readFile(`${file}.damaged`), damaged);
  }
});

test('a peek finds what a read would, and leaves a damaged file for the read to find', async () => {
  const file = await freshFile();
  const stateFile = new PublishedStateFile(file, number);
  await stateFile.write(1);
  assert.deepEqual(stateFile.peek(), { kind: 'whole', value: 1 });
  await stateFile.write(2);
  await truncate(file, 10);
  for (const content of [stateFile.peek(), stateFile.peek()]) {
    assert.ok(content.kind === 'previous');
    assert.equal(content.value, 1);
  }
  assert.deepEqual(await readdir(join(file, '..')), ['published-state.json', 'published-state.json.previous']);
});

test('a file cut short at any place is never trusted', async () => {
  const file = await freshFile();
  const stateFile = new PublishedStateFile(file, number);
  await stateFile.write(12_345);
  const whole = await readFile(file);
  for (let bytes = 0; bytes < whole.length; bytes++) {
    await writeFile(file, whole);
    await truncate(file, bytes);
    assert.equal(stateFile.read().kind, 'damaged', `${bytes} of ${whole.length} bytes`);
  }
});

test('a temporary file left by a crash changes nothing', async () => {
  const file = await freshFile();
  const stateFile = new PublishedStateFile(file, number);
  await stateFile.write(1);
  await writeFile(`${file}.tmp`, 'half a st');
  assert.deepEqual(stateFile.read(), { kind: 'whole', value: 1 });
  await stateFile.write(2);
  assert.deepEqual(stateFile.read(), { kind: 'whole', value: 2 });
});

test('a whole file whose content has another shape is left where it is', async () => {
  const file = await freshFile();
  await new PublishedStateFile(file, (value) => value).write('words');
  const content = new PublishedStateFile(file, number).read();
  assert.ok(content.kind === 'foreign');
  assert.match(content.reason, /another version/);
  assert.ok((await readFile(file, 'utf8')).includes('words'));
});

test('writes asked for at once are done in order, and the last one stays', async () => {
  const file = await freshFile();
  const stateFile = new PublishedStateFile(file, number);
  await Promise.all([1, 2, 3, 4, 5].map((value) => stateFile.write(value)));
  assert.deepEqual(stateFile.read(), { kind: 'whole', value: 5 });
});

test('a write that fails says so and does not stop the next one', async () => {
  const file = await freshFile();
  const stateFile = new PublishedStateFile<unknown>(file, (value) => value);
  await assert.rejects(stateFile.write(1n));
  await stateFile.write(2);
  assert.deepEqual(stateFile.read(), { kind: 'whole', value: 2 });
  assert.deepEqual(await readdir(join(file, '..')), ['published-state.json']);
});

test('after close nothing is written any more', async () => {
  const file = await freshFile();
  const stateFile = new PublishedStateFile(file, number);
  await stateFile.write(1);
  const second = stateFile.write(2);
  await stateFile.close();
  await second;
  assert.deepEqual(stateFile.read(), { kind: 'whole', value: 1 });
});
