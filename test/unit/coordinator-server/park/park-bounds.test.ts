/** What a name and a value may be, at and past each bound. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { requireName, requireShape, requireValue } from '../../../../coordinator-server/park/park-bounds.ts';
import { PARK_LIMITS, type ParkWrite } from '../../../../shared/park/park-model.ts';
import '../../../support/property-runs.ts';

const INVALID = { code: 'PARK_REQUEST_INVALID' };

test('a name is 1 to 128 letters, digits and . _ - :, and begins with a letter or digit', () => {
  const sound = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/);
  fc.assert(fc.property(sound, (name) => requireName('node', name)));
  const letters = 'x'.repeat(PARK_LIMITS.nameCharsMax);
  requireName('domain', letters);
  for (const name of ['', `${letters}x`, '.x', '-x', 'a b', 'a/b', 'é', 'a\n'])
    assert.throws(() => requireName('domain', name), INVALID, name);
});

test('a value is 1 MiB of UTF-8 at most, however it is counted', () => {
  requireValue('x'.repeat(PARK_LIMITS.valueBytesMax));
  requireValue('é'.repeat(PARK_LIMITS.valueBytesMax / 2));
  for (const value of ['x'.repeat(PARK_LIMITS.valueBytesMax + 1), 'é'.repeat(PARK_LIMITS.valueBytesMax / 2 + 1)])
    assert.throws(() => requireValue(value), { code: 'PARK_VALUE_TOO_LARGE', detail: /keep what is large elsewhere/ });
});

test('a transaction has 64 checks at most, and 2 MiB of values together', () => {
  const writes = [1, 2, 3].map(
    (number): ParkWrite => ({ op: 'put', domain: 'd', node: `n${number}`, value: 'x'.repeat(1024 * 1024) }),
  );
  requireShape({ writes: writes.slice(0, 2) });
  assert.throws(() => requireShape({ writes }), { code: 'PARK_VALUE_TOO_LARGE', detail: /split it/ });
  const checks = Array.from({ length: 65 }, (_, index) => ({ domain: 'd', node: `n${index}`, version: 0 }));
  assert.throws(() => requireShape({ writes: writes.slice(0, 1), checks }), INVALID);
});
