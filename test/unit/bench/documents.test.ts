import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listBenchmarks } from '../../../deploy/checks/run-benchmarks.ts';
import { documentBlocks, documentText, replaceBlock } from '../../bench/support/documents.ts';
import { newestResults } from '../../bench/support/result.ts';
import { readDocument } from '../../support/markdown.ts';

test('the figures in our documents are those of the newest results', () => {
  const blocks = documentBlocks(newestResults());
  for (const [file, ofFile] of blocks) assert.equal(readDocument(file), documentText(file, ofFile), file);
});

test('docs/performance.md has a place for every part', () => {
  for (const part of listBenchmarks()) replaceBlock(readDocument('docs/performance.md'), part, '');
});

test('a block is replaced between its markers, and nothing else is', () => {
  const text = 'a\n<!-- x -->\nold\n<!-- /x -->\nb\n<!-- y -->\n<!-- /y -->\n';
  assert.equal(replaceBlock(text, 'x', 'new\n'), text.replace('old', 'new'));
  assert.equal(replaceBlock(text, 'y', 'new\n'), text.replace('y -->\n', 'y -->\nnew\n'));
  assert.throws(() => replaceBlock(text, 'z', 'new\n'), /expected the markers <!-- z --> and <!-- \/z -->/);
});
