/** docs/errors.md says of every error code what the code's table says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERROR_KINDS, type ErrorCode } from '../../../shared/errors.ts';
import { readDocument, sectionOf } from '../../support/markdown.ts';

const text = readDocument('docs/errors.md');
const codes = Object.keys(ERROR_KINDS) as ErrorCode[];

test('every error code has one section, and there is no other', () => {
  const headings = [...text.matchAll(/^## (.+)$/gm)].map((match) => match[1]);
  assert.deepEqual(headings.toSorted(), codes.toSorted());
});

test('each section begins with the status, the retryability and the number of its code', () => {
  for (const code of codes) {
    const { status, retryable, wire } = ERROR_KINDS[code];
    const varies = code === 'SERVICE_PROBLEM' ? ', or what the service says' : '';
    const expected = `HTTP ${status}${varies} · ${retryable ? 'retryable' : 'not retryable'} · number ${wire}`;
    assert.equal(sectionOf(text, `## ${code}`).split('\n')[0], expected, code);
  }
});

test('each section says what to do, and clients are told of every code they can see', () => {
  for (const code of codes) {
    const section = sectionOf(text, `## ${code}`);
    assert.match(section, /\*\*Operator:\*\* \S/, code);
    if (ERROR_KINDS[code].wire < 60) assert.match(section, /\*\*Client:\*\* \S/, code);
  }
});
