import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { replaceFile } from '../../../../deploy/cli/replace-file.ts';
import { rejectsWith } from '../../../support/store-conformance.ts';
import { tempFolder } from '../../../support/test-cluster.ts';

const folder = tempFolder();
after(() => fs.rmSync(folder, { recursive: true }));

function fileWith(name: string, text: string): string {
  const file = path.join(folder, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text);
  return file;
}

test('the text takes the place of the file, and what the file held stays beside it', () => {
  const file = fileWith('a/cluster.yaml', 'new');
  fs.chmodSync(file, 0o640);
  const copy = replaceFile(file, 'new', 'old');
  assert.deepEqual([fs.readFileSync(file, 'utf8'), fs.readFileSync(copy, 'utf8')], ['old', 'new']);
  for (const one of [file, copy]) assert.equal(fs.statSync(one).mode & 0o777, 0o640);
  assert.deepEqual(fs.readdirSync(path.dirname(file)).length, 2);
});

test('a file that was edited meanwhile is left alone', () => {
  const file = fileWith('b/cluster.yaml', 'edited');
  assert.throws(() => replaceFile(file, 'new', 'old'), rejectsWith('USAGE', /edited meanwhile/));
  assert.equal(fs.readFileSync(file, 'utf8'), 'edited');
  assert.ok(!fs.readdirSync(path.dirname(file)).includes('cluster.yaml.rollback'));
});

test('a link to the file stays a link', () => {
  const file = fileWith('c/real.yaml', 'new');
  const link = path.join(folder, 'c/cluster.yaml');
  fs.symlinkSync(file, link);
  replaceFile(link, 'new', 'old');
  assert.deepEqual([fs.lstatSync(link).isSymbolicLink(), fs.readFileSync(file, 'utf8')], [true, 'old']);
});
