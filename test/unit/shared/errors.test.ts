import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  ERROR_KINDS,
  type ErrorCode,
  errorAnchor,
  errorCodeOfWire,
  PlatformError,
  toPlatformError,
} from '../../../shared/errors.ts';

const CODES = Object.keys(ERROR_KINDS) as ErrorCode[];
const UNSIGNED_16 = 65_535;
/** A close code of a WebSocket is 4000 + the wire number, and 4999 is the last there is. */
const WIRE_MAX = 999;

test('E1: every wire number is taken once, and fits a frame and a close code', () => {
  const wires = CODES.map((code) => ERROR_KINDS[code].wire);
  assert.equal(new Set(wires).size, CODES.length);
  for (const wire of wires) assert.ok(Number.isInteger(wire) && wire >= 1 && wire <= Math.min(WIRE_MAX, UNSIGNED_16));
});

test('E1: a wire number reads back as its code, and an unknown one as INTERNAL', () => {
  for (const code of CODES) assert.equal(errorCodeOfWire(ERROR_KINDS[code].wire), code);
  for (const wire of [0, 999, UNSIGNED_16]) assert.equal(errorCodeOfWire(wire), 'INTERNAL');
});

test('every status is an error’s, and every 503 and 504 may be asked again', () => {
  for (const code of CODES) {
    const { status, retryable, title } = ERROR_KINDS[code];
    assert.ok(status >= 400 && status <= 599 && title.length > 0, code);
    if (status === 503 || status === 504) assert.ok(retryable, code);
  }
});

test('every code has an anchor of its own', () => {
  const anchors = CODES.map(errorAnchor);
  assert.equal(new Set(anchors).size, CODES.length);
  for (const anchor of anchors) assert.match(anchor, /^[a-z][a-z0-9-]*$/);
});

test('E2: docs/errors.md has a section for every code, and none for a code that is not', () => {
  const text = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');
  const headings = [...text.matchAll(/^## ([A-Z][A-Z0-9_]*)\s*$/gm)].map(([, heading]) => heading);
  assert.deepEqual(
    headings.filter((heading, index) => headings.indexOf(heading) !== index),
    [],
    'twice',
  );
  assert.deepEqual([...headings].sort(), [...CODES].sort());
});

test('only a service’s problem says another status and title than the table', () => {
  const error = new PlatformError('QUEUE_FULL', 'why');
  assert.deepEqual([error.status, error.title, error.retryable, error.problem], [503, 'Too busy', true, undefined]);
  assert.equal(error.message, 'QUEUE_FULL: why');
  const own = new PlatformError('SERVICE_PROBLEM', 'why', { status: 402, title: 'Pay first', problem: 'pay-first' });
  assert.deepEqual([own.status, own.title, own.retryable, own.problem], [402, 'Pay first', false, 'pay-first']);
});

test('whatever is thrown becomes a PlatformError that keeps its cause', () => {
  const own = new PlatformError('QUEUE_FULL', 'why');
  assert.equal(toPlatformError(own), own);
  const cause = new TypeError('broken');
  const wrapped = toPlatformError(cause, 'HANDLER_FAILED');
  assert.deepEqual([wrapped.code, wrapped.detail, wrapped.cause], ['HANDLER_FAILED', 'broken', cause]);
  for (const thrown of [undefined, null, 'text', 7]) assert.equal(toPlatformError(thrown).detail, String(thrown));
});
