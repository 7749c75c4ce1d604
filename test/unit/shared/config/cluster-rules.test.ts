import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { changed, configOf, linesOf, SMALL_CLUSTER } from '../../../support/cluster-text.ts';

const TOP = 'version: 1\n';
const top = (more: string): string => changed(TOP, `${TOP}${more}\n`);
const mysql = (id: string, database: string): string =>
  `{ id: ${id}, kind: mysql, address: "127.0.0.1:3306", database: ${database}, writer: { user: w, password: { env: W } } }`;
const G1R2 = '{ id: g1r2, kind: sqlite, file: g1/r2.sqlite }';

describe('rules between fields', () => {
  const cases: [name: string, text: string, expected: RegExp][] = [
    [
      'an id names one server',
      changed('id: g2a', 'id: d1'),
      /^26:15: groups\[1\]\.appServers\[0\]\.id: expected an id of its own, came d1, which is dispatcher\.servers\[0\]\.id already$/,
    ],
    [
      'an id names a server or a group, not both',
      changed('id: i1', 'id: g2'),
      /^23:9: groups\[1\]\.id: expected an id of its own, came g2, which is interface\.servers\[0\]\.id already$/,
    ],
    [
      'an id names one replica of the whole cluster',
      changed('id: g2r1', 'id: g1r1'),
      /groups\[1\]\.replicas\[0\]\.id: expected an id of its own/,
    ],
    [
      'no two servers listen on one address',
      changed('127.0.0.1:7302', '127.0.0.1:8080'),
      /listen: expected an address of its own, came 127\.0\.0\.1:8080, which is interface\.servers\[0\]\.listen already$/,
    ],
    [
      'an admin listener has an address of its own',
      changed('127.0.0.1:9302', '127.0.0.1:7302'),
      /admin: expected an address of its own/,
    ],
    [
      'an address is the same however it is written',
      changed('127.0.0.1:9302', 'LOCALHOST:08080'),
      /admin: expected an address of its own, came LOCALHOST:08080/,
    ],
    [
      'peers need a host they can dial',
      changed('127.0.0.1:7201', '0.0.0.0:7201'),
      /^14:25: dispatcher\.servers\[0\]\.listen: expected a host that its peers can reach, came 0\.0\.0\.0:7201/,
    ],
    [
      'every bucket has a group',
      changed('[50-99]', '[51-99]'),
      /^16:3: groups: expected a group for every bucket 0-99, none has 50$/,
    ],
    [
      'no bucket has two groups',
      changed('[50-99]', '[50-60, 49-99]'),
      /^24:21: groups\[1\]\.frames\[1\]: expected buckets of no other frame, came 49-99: bucket 49 is in a frame of group g1 already$/,
    ],
    [
      '`frames: N` counts the groups',
      top('frames: 3'),
      /^2:9: frames: expected the number of groups, which is 2, came 3/,
    ],
    [
      '`frames: N` excludes frames of a group',
      top('frames: 2'),
      /^18:13: groups\[0\]\.frames: expected no frames here/,
    ],
    [
      'without `frames: N` each group has frames',
      changed('    frames: [50-99]\n', ''),
      /^23:5: groups\[1\]\.frames: expected the buckets of group g2, came none/,
    ],
    [
      'replicas of a group are of one kind',
      changed(G1R2, mysql('g1r2', 'd')),
      /replicas\[1\]\.kind: expected all replicas of a group to be of one kind, sqlite as the first, came mysql$/,
    ],
    [
      'a database file is one replica',
      changed('g2/r1.sqlite', 'g2/../g1/r1.sqlite'),
      /file: expected a database of its own, came g2\/\.\.\/g1\/r1\.sqlite, which is groups\[0\]\.replicas\[0\]\.file already$/,
    ],
    [
      'a MySQL database is one replica',
      changed(G1R2, mysql('g1r2', 'd'), changed('{ id: g1r1, kind: sqlite, file: g1/r1.sqlite }', mysql('g1r1', 'd'))),
      /database: expected a database of its own, came 127\.0\.0\.1:3306\/d/,
    ],
    ['a replica keeps its data', changed('g2/r1.sqlite', '":memory:"'), /expected the path of a file, came :memory:/],
    [
      'the class interactive is there',
      top('queues: { background: { weight: 1, capacity: 1, concurrency: 1 } }'),
      /^2:9: queues: expected the class interactive.*came background$/,
    ],
    [
      'a queue holds a request of the largest size',
      top('limits: { bodyBytesMax: 67108864 }'),
      /^1:1: queues\.interactive\.capacityBytes: expected room for one request of the largest size/,
    ],
    [
      'there are at most 16 request classes',
      top(
        `queues:\n${Array.from({ length: 17 }, (_, i) => `  c${i}: { weight: 1, capacity: 1, concurrency: 1 }`).join('\n')}`,
      ),
      /queues: expected at most 16 request classes, came 17$/,
    ],
    [
      'the usual timeout is at most the longest',
      top('limits: { requestTimeoutMs: 60001 }'),
      /^2:29: limits\.requestTimeoutMs: expected at most limits\.requestTimeoutMsMax, which is 60000, came 60001$/,
    ],
    [
      'a suspect has missed two pings',
      top('health: { pingEveryMs: 500 }'),
      /health\.pongSuspectMs: expected at least two pings of health\.pingEveryMs, which is 1000, came 700$/,
    ],
    [
      'a peer is suspect before it is dead',
      top('health: { pongDeadMs: 700 }'),
      /^2:23: health\.pongDeadMs: expected more than health\.pongSuspectMs, which is 700, came 700$/,
    ],
    [
      'key sources are distinct',
      top('accountKey: { sources: [{ header: X-A }, { header: x-a }] }'),
      /sources\[1\]: expected each source once/,
    ],
    [
      'body sources come last',
      top('accountKey: { sources: [{ body: /a }, { query: a }] }'),
      /sources\[1\]: expected body sources last/,
    ],
    [
      'services are distinct',
      changed('[services/echo]', '[services/echo, ./services/echo/]'),
      /services\[1\]: expected each folder once/,
    ],
    [
      'the data folder is not the whole checkout',
      top('dataFolder: ./data/..'),
      /^2:13: dataFolder: expected a folder for nothing but data/,
    ],
    [
      'the data folder is not the whole disk',
      top('dataFolder: /'),
      /dataFolder: expected a folder for nothing but data/,
    ],
    [
      'the data folder is not above the checkout',
      top('dataFolder: ../other'),
      /dataFolder: expected a folder for nothing but data/,
    ],
  ];
  for (const [name, text, expected] of cases) {
    test(`${name}`, () => assert.match(linesOf(text)[0] ?? 'accepted', expected));
  }

  test('what is allowed: port 0 twice, an interface server on every address, a data folder elsewhere, one kind a group', () => {
    configOf(changed('127.0.0.1:9302', '127.0.0.1:0', changed('127.0.0.1:9301', '127.0.0.1:0')));
    configOf(changed('127.0.0.1:8080', '0.0.0.0:8080'));
    configOf(top('dataFolder: /var/lib/trunkline'));
    configOf(changed('{ id: g2r1, kind: sqlite, file: g2/r1.sqlite }', mysql('g2r1', 'd')));
    configOf(changed('[50-99]', '[0-49]', changed('[0-49]', '[50-99]')));
  });

  test('every broken rule is told at once', () => {
    const text = changed(
      'id: g2a',
      'id: d1',
      changed('[50-99]', '[51-99]', top('limits: { requestTimeoutMs: 60001 }')),
    );
    assert.deepEqual(
      linesOf(text).map((line) => line.split(':')[2]?.trim()),
      ['limits.requestTimeoutMs', 'groups', 'groups[1].appServers[0].id'],
    );
    assert.equal(linesOf(SMALL_CLUSTER)[0], '');
  });
});
