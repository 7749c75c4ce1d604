import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ACCOUNT_KEY_BYTES_MAX,
  ACCOUNT_KEY_CHARS_MAX,
  accountKeyComplaint,
} from '../../../../shared/routing/account-key-limits.ts';

test('keys of 1 to 256 characters and at most 512 bytes are fine', () => {
  for (const key of ['a', 'a'.repeat(ACCOUNT_KEY_CHARS_MAX), 'é'.repeat(256), '東'.repeat(170), '😀'.repeat(128)]) {
    assert.equal(accountKeyComplaint(key), '', key);
  }
});

test('a key that no request can carry is refused with its reason', () => {
  assert.match(accountKeyComplaint(''), /at least 1 character/);
  assert.match(accountKeyComplaint('a'.repeat(ACCOUNT_KEY_CHARS_MAX + 1)), /at most 256 characters.*came 257/);
  assert.match(
    accountKeyComplaint('東'.repeat(171)),
    new RegExp(`at most ${ACCOUNT_KEY_BYTES_MAX} bytes in UTF-8, came 513`),
  );
  assert.match(accountKeyComplaint('a\ud800'), /lone surrogate/);
  assert.match(accountKeyComplaint('a\nb'), /control characters/);
});
