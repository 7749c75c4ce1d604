import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearMiss } from '../../../../shared/config/near-miss.ts';

const NAMES = ['frames', 'groups', 'listen', 'admin', 'id', 'appServers', 'requestTimeoutMs', 'requestTimeoutMsMax'];

test('a letter wrong, missing, extra or swapped, other case, - or _ are near misses', () => {
  const pairs = {
    frame: 'frames',
    grouops: 'groups',
    lisetn: 'listen',
    adnin: 'admin',
    app_servers: 'appServers',
    'APP-SERVERS': 'appServers',
    requesttimeoutms: 'requestTimeoutMs',
  };
  for (const [word, meant] of Object.entries(pairs)) assert.equal(nearMiss(word, NAMES), meant, word);
});

test('another word, a short one or a very long one is no near miss', () => {
  for (const word of ['port', 'x', 'ix', '', 'l'.repeat(100_000)])
    assert.equal(nearMiss(word, NAMES), undefined, word.slice(0, 9));
});

test('the nearest of several wins', () => {
  assert.equal(nearMiss('requestTimeoutMsMa', NAMES), 'requestTimeoutMsMax');
});
