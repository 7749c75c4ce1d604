import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tableText, thingsToTry } from '../../../../deploy/local-cluster/cluster-text.ts';

test('the table has a line a server, in columns', () => {
  const rows = [
    { serverId: 'c1', tier: 'coordinator', group: '', listen: '127.0.0.1:7100', admin: '127.0.0.1:9100', state: 'up' },
    { serverId: 'g1a', tier: 'app', group: 'g1', listen: '127.0.0.1:7301', admin: '127.0.0.1:9301', state: 'starting' },
  ];
  assert.equal(
    tableText(rows),
    [
      '  server  tier         group  listens on      admin           state',
      '  c1      coordinator         127.0.0.1:7100  127.0.0.1:9100  up',
      '  g1a     app          g1     127.0.0.1:7301  127.0.0.1:9301  starting',
    ].join('\n'),
  );
});

test('three things to try, at the address clients use', () => {
  assert.deepEqual(thingsToTry('127.0.0.1:8080').split('\n'), [
    "  curl -X PUT --json '{}' localhost:8080/accounts/alice",
    '  curl --json \'{"amount":5}\' localhost:8080/accounts/alice/deposits',
    '  curl -i localhost:8080/-/ready',
  ]);
  assert.match(thingsToTry('[::1]:80'), /localhost:80\//);
  assert.match(thingsToTry('10.0.0.7:80'), /10\.0\.0\.7:80\//);
});
