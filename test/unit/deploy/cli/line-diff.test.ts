import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DIFF_LINES_MAX, lineDiff } from '../../../../deploy/cli/line-diff.ts';

test('equal texts have no difference', () => {
  assert.deepEqual(lineDiff('a\nb\n', 'a\nb\n'), []);
});

test('what goes and what comes stands among its neighbours, the rest is left out', () => {
  const before = 'a\nb\nc\nd\ne\nf\ng\nh';
  const after = 'a\nb\nc\nd\nE\nf\ng\nh';
  assert.deepEqual(lineDiff(before, after).toSorted(), ['…', '  c', '  d', '+ E', '- e', '  f', '  g'].toSorted());
});

test('applying a difference to the old text gives the new one', () => {
  const [before, after] = ['one\ntwo\nthree', 'zero\none\nthree\nfour'];
  const lines = lineDiff(before, after);
  const kept = (gone: string): string[] => lines.filter((line) => !line.startsWith(gone)).map((line) => line.slice(2));
  assert.deepEqual([kept('+').join('\n'), kept('-').join('\n')], [before, after]);
});

test('no more lines come out than a reader takes in', () => {
  const lines = lineDiff('', Array.from({ length: 1_000 }, (_, index) => `line ${index}`).join('\n'));
  assert.equal(lines.length, DIFF_LINES_MAX + 1);
  assert.match(lines.at(-1) ?? '', /^… and \d+ lines more$/);
});
