import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exitCodeOf, messageOf } from '../../../../deploy/cli/exit.ts';
import { PlatformError } from '../../../../shared/errors.ts';

test('what a person wrote wrong ends with 2, a taken port with 3, anything else with 1', () => {
  for (const code of ['USAGE', 'CONFIG_INVALID', 'CONFIG_MOVES_DATA', 'SERVICE_INVALID'] as const) {
    assert.equal(exitCodeOf(new PlatformError(code, 'x')), 2);
  }
  assert.equal(exitCodeOf(new PlatformError('PORT_TAKEN', 'x')), 3);
  assert.equal(exitCodeOf(new PlatformError('INTERNAL', 'x')), 1);
  assert.equal(exitCodeOf(new TypeError('x')), 1);
});

test('a platform error speaks for itself, a defect shows its stack', () => {
  assert.equal(messageOf(new PlatformError('USAGE', 'expected a, got b')), 'expected a, got b');
  assert.match(messageOf(new TypeError('boom')), /TypeError: boom\n\s+at /);
  assert.equal(messageOf('just text'), 'just text');
});
