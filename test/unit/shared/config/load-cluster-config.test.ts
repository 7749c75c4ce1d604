import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import {
  CONFIG_BYTES_MAX,
  formatConfigProblems,
  PROBLEMS_MAX,
  parseClusterConfig,
  readClusterConfigFile,
} from '../../../../shared/config/load-cluster-config.ts';
import { changed, configOf, linesOf, problemsOf, SMALL_CLUSTER } from '../../../support/cluster-text.ts';

describe('a config that is right', () => {
  test('comes out with every default filled in', () => {
    const config = configOf(SMALL_CLUSTER);
    assert.equal(config.dataFolder, 'data');
    assert.deepEqual(config.hash, { kind: 'jdk-string', buckets: 100 });
    assert.deepEqual(config.accountKey.sources, [
      { path: 'account' },
      { header: 'x-account-key' },
      { query: 'account' },
    ]);
    assert.deepEqual(Object.keys(config.queues), ['interactive', 'background', 'control']);
    assert.equal(config.limits.requestTimeoutMs, 10_000);
    assert.equal(config.groups[0]?.policy, 'round-robin');
  });

  test('comes out unchanged when it is checked again, as whoever receives it does', () => {
    const config = configOf(SMALL_CLUSTER);
    assert.deepEqual(configOf(JSON.stringify(config)), config);
  });

  test('may have a byte order mark, CRLF line ends, anchors and aliases', () => {
    const text = changed('- { id: g2a,', '- &a { id: g2a,', changed('[0-49]', '&frames [0-49]'));
    assert.equal(configOf(`\uFEFF${text}`.replaceAll('\n', '\r\n')).groups.length, 2);
    const aliased = changed(
      'limits-here',
      '',
      changed(
        'services: [',
        'limits: { headerCountMax: &n 100, drainMs: *n }\nservices: [',
        `# limits-here\n${SMALL_CLUSTER}`,
      ),
    );
    assert.equal(configOf(aliased).limits.drainMs, 100);
  });

  test('reads every scalar as YAML 1.2 has it, whatever a directive says', () => {
    assert.equal(configOf(`%YAML 1.1\n---\n${changed('cluster: small', 'cluster: no')}`).cluster, 'no');
  });
});

describe('each problem says where it is, what was expected and what came', () => {
  const cases: [name: string, text: string, expected: RegExp[]][] = [
    [
      'an unknown key, with the one that was meant',
      changed('cluster:', 'clusterr: x\ncluster:'),
      [/^2:1: clusterr: unknown key: expected one of version, cluster, .*; did you mean `cluster`\?$/],
    ],
    [
      'a key in other letters',
      changed('appServers', 'app_servers'),
      [
        /^16:5: groups\[0\]\.appServers: missing: expected a list of 1 to 64 entries/,
        /^18:5: groups\[0\]\.app_servers: unknown key: .*did you mean `appServers`\?$/,
      ],
    ],
    [
      'an unknown key unlike any',
      changed('services:', 'zebra: 1\nservices:'),
      [/^29:1: zebra: unknown key: expected one of .*retries$/],
    ],
    [
      'a missing key, at what it is missing from',
      changed('      admin: 127.0.0.1:9080\n', ''),
      [/^9:7: interface\.servers\[0\]\.admin: missing: expected text \(host:port of its admin listener.*came nothing$/],
    ],
    [
      'a missing section, at the top',
      changed('services: [services/echo]\n', ''),
      [/^1:1: services: missing: expected a list of 1 to 100 entries/],
    ],
    [
      'a section without a value',
      changed('services: [services/echo]', 'services:'),
      [/^29:10: services: expected a list of 1 to 100 entries, came no value$/],
    ],
    [
      'text for a number',
      changed('version: 1', 'version: 1\nhash: { buckets: "100" }'),
      [/^2:18: hash\.buckets: expected a whole number from 1 to 65536, came text "100"; write it without quotes$/],
    ],
    [
      'a fraction for a whole number',
      changed('version: 1', 'version: 1\nhash: { buckets: 1.5 }'),
      [/expected a whole number from 1 to 65536, came 1\.5$/],
    ],
    [
      'a number out of its range',
      changed('version: 1', 'version: 1\nretries: { budgetRatio: 2 }'),
      [/^2:25: retries\.budgetRatio: expected a number from 0 to 1, came 2$/],
    ],
    [
      'a list for a mapping',
      changed('- { id: g1a, listen: 127.0.0.1:7301, admin: 127.0.0.1:9301 }', '- [g1a]'),
      [/^19:9: groups\[0\]\.appServers\[0\]: expected a mapping, came a list of 1$/],
    ],
    [
      'too short a list',
      changed('[services/echo]', '[]'),
      [/expected a list of 1 to 100 entries, came an empty list$/],
    ],
    [
      'a choice misspelt',
      changed('interface:\n', 'interface:\n  dispatcherPolicy: round_robin\n'),
      [/expected "round-robin", "random" or "least-loaded", came text "round_robin"; did you mean `round-robin`\?$/],
    ],
    ['a bad id', changed('id: g1a', 'id: G1A'), [/^19:15: .*: expected an id: .*, came text "G1A"$/]],
    [
      'a bad address, once',
      changed('127.0.0.1:7301', 'localhost'),
      [/^19:28: .*expected host:port, e\.g\. 127\.0\.0\.1:7001, came text "localhost"$/],
    ],
    [
      'a port out of range',
      changed('127.0.0.1:7301', '127.0.0.1:70000'),
      [/expected a port of at most 65535, came text "127\.0\.0\.1:70000"$/],
    ],
    [
      'another replica kind',
      changed('kind: sqlite, file: g1/r1', 'kind: oracle, file: g1/r1'),
      [/^21:27: .*kind: expected "sqlite" or "mysql", came text "oracle"$/],
    ],
    [
      'no replica kind',
      changed('kind: sqlite, file: g1/r1', 'file: g1/r1'),
      [/^21:9: .*kind: missing: expected "sqlite" or "mysql", came nothing$/],
    ],
    [
      'a misspelt key of one replica kind',
      changed('kind: sqlite, file: g1/r1', 'kind: sqlite, fil: g1/r1'),
      [/file: missing: expected text/, /fil: unknown key: expected one of id, kind, file; did you mean `file`\?$/],
    ],
    [
      'a key source of two kinds',
      changed('version: 1', 'version: 1\naccountKey: { sources: [{ path: a, header: b }] }'),
      [/sources\[0\]: expected \{ path: name \}, .* or \{ body: pointer \}, came a mapping of "path, header"$/],
    ],
    [
      'a key source without a kind',
      changed('version: 1', 'version: 1\naccountKey: { sources: [{}] }'),
      [/came an empty mapping$/],
    ],
    [
      'a key source misspelt',
      changed('version: 1', 'version: 1\naccountKey: { sources: [{ heder: b }] }'),
      [
        /^2:27: accountKey\.sources\[0\]\.heder: unknown key: expected one of path, header, query, body; did you mean `header`\?$/,
      ],
    ],
    [
      'a key source of the wrong form',
      changed('version: 1', 'version: 1\naccountKey: { sources: [{ body: x }] }'),
      [/body: expected a JSON pointer, e\.g\. \/account\/id, came text "x"$/],
    ],
    [
      'frames that are none',
      changed('[0-49]', '[a-b, 1.5]'),
      [/^17:14: .*expected a bucket or a range .*came text "a-b"$/, /^17:19: .*came 1\.5$/],
    ],
    [
      'a bad name of a queue class',
      changed('version: 1', 'version: 1\nqueues: { Big: { weight: 1, capacity: 1, concurrency: 1 } }'),
      [/^2:11: queues\.Big: expected an id: .*, came "Big"$/],
    ],
    ['an empty file', '', [/^1:1: expected a mapping, came an empty file$/]],
    ['a file of comments', '# nothing\n', [/^1:1: expected a mapping, came an empty file$/]],
    ['a file that is no mapping', 'hello', [/^1:1: expected a mapping, came text "hello"$/]],
  ];
  for (const [name, text, expected] of cases) {
    test(name, () => {
      const lines = linesOf(text);
      assert.equal(lines.length, expected.length, lines.join('\n'));
      for (const [index, pattern] of expected.entries()) assert.match(lines[index] ?? '', pattern);
    });
  }

  test('a problem inside an alias stands where its text stands', () => {
    const text = changed('[50-99]', '*f', changed('[0-49]', '&f [0-49, x]'));
    assert.deepEqual(
      linesOf(text).map((line) => line.split(' ')[0]),
      ['17:23:', '17:23:'],
    );
  });

  test('problems come in the order of the file, the file named on each line', () => {
    const text = changed('[services/echo]', '[5]', changed('version: 1', 'version: 2'));
    const problems = problemsOf(text);
    assert.deepEqual(
      problems.map(({ line, column, path: at }) => [line, column, at]),
      [
        [1, 10, 'version'],
        [29, 12, 'services[0]'],
      ],
    );
    assert.equal(formatConfigProblems(problems).split('\n')[0], 'test.yaml:1:10: version: expected 1, came 2');
  });

  test('only the first problems are told, and how many there are besides', () => {
    const extra = Array.from({ length: 70 }, (_, index) => `zz${index}zz: 1\n`).join('');
    const problems = problemsOf(SMALL_CLUSTER + extra);
    assert.equal(problems.length, PROBLEMS_MAX + 1);
    assert.equal(problems.at(-1)?.message, 'and 20 more problems from here on');
  });

  test('a secret written where its source belongs is never shown', () => {
    const texts = [
      changed('{ env: SMALL_TOKEN }', 'hunter2'),
      changed('{ env: SMALL_TOKEN }', '{ env: hunter2-! }'),
      changed('{ env: SMALL_TOKEN }', '{ file: [hunter2] }'),
      changed('{ env: SMALL_TOKEN }', '"hunter2'),
      changed('{ env: SMALL_TOKEN }', 'hunter2: x: y'),
    ];
    for (const text of texts) {
      assert.notEqual(linesOf(text).length, 0);
      assert.doesNotMatch(linesOf(text).join(), /hunter2/);
    }
  });

  test('what is shown of the file is short and on one line', () => {
    const [line = ''] = linesOf(changed('cluster: small', `cluster: "${'x'.repeat(500)}\\n\\e[31m"`));
    assert.ok(line.length < 250 && !line.includes('\u001b'), line);
  });
});

describe('text that is no YAML, or hostile', () => {
  const laughs = [
    'a0: &a0 [x, x]',
    ...Array.from({ length: 6 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i}, `.repeat(9)}]`),
  ].join('\n');
  const cases: [name: string, text: string, expected: RegExp][] = [
    [
      'a tab as indentation',
      changed('  servers:', '\tservers:'),
      /^5:1: not YAML: Tabs are not allowed as indentation$/,
    ],
    ['a list that does not end', changed('[services/echo]', '[services/echo'), /^\d+:\d+: not YAML: .*must/],
    [
      'a key that stands twice',
      changed('cluster: small', 'cluster: small\nversion: 1'),
      /^3:1: expected each key once, came `version` again \(first in line 1\)$/,
    ],
    [
      'a key twice in a flow mapping',
      changed('{ id: g1a,', '{ id: g1a, id: g1b,'),
      /^19:20: expected each key once, came `id` again/,
    ],
    [
      'an alias of nothing',
      changed('[0-49]', '*nothing'),
      /^17:13: expected an alias of an earlier anchor, there is no `&nothing`$/,
    ],
    ['an alias bomb', laughs, /expected at most 200000 values, aliases written out, came more$/],
    [
      'an alias that contains itself',
      'a: &a [*a]',
      /^1:8: expected at most 32 levels of nesting, came more, or an alias that contains itself$/,
    ],
    ['deep nesting', '['.repeat(200_000), /expected at most 32 levels of nesting, came far more$/],
    ['deep nesting that ends well', `${'['.repeat(100)}${']'.repeat(100)}`, /^1:33: expected at most 32 levels/],
    ['a key that is a list', '? [a]\n: 1', /expected a plain name as key/],
    ['a tag', changed('version: 1', 'version: !!binary MQ=='), /^1:10: expected a value without a tag/],
    ['two documents', `${SMALL_CLUSTER}---\nversion: 1\n`, /^30:1: expected one document, came a second one/],
    [
      'more than 1 MiB',
      `${SMALL_CLUSTER}#${'é'.repeat(CONFIG_BYTES_MAX / 2)}`,
      /^1:1: expected at most 1048576 bytes, came more$/,
    ],
  ];
  for (const [name, text, expected] of cases) {
    test(`${name} is refused with its place`, () => assert.match(linesOf(text)[0] ?? 'accepted', expected));
  }

  test('a file of nothing but keys is answered in seconds', () => {
    const startedAtMs = performance.now();
    assert.equal(problemsOf(Array.from({ length: 60_000 }, (_, i) => `k${i}:`).join('\n')).length, PROBLEMS_MAX + 1);
    assert.ok(performance.now() - startedAtMs < 20_000);
  });

  test('a prototype cannot be written into', () => {
    assert.match(linesOf(`${SMALL_CLUSTER}__proto__: { polluted: 1 }\n`)[0] ?? '', /__proto__: unknown key/);
    assert.equal(Reflect.get({}, 'polluted'), undefined);
  });

  test('whatever is cut out of or put into a config, an answer comes, with a place inside the file', () => {
    const edit = fc.tuple(
      fc.nat(SMALL_CLUSTER.length),
      fc.nat(20),
      fc.string({ unit: fc.constantFrom(...'{}[]&*:-,?|>"\' \n\tab1'), maxLength: 6 }),
    );
    fc.assert(
      fc.property(edit, ([at, cut, put]) => {
        const text = SMALL_CLUSTER.slice(0, at) + put + SMALL_CLUSTER.slice(at + cut);
        const lineCount = text.split('\n').length;
        for (const { line, column, message } of problemsOf(text)) {
          assert.ok(line >= 1 && line <= lineCount && column >= 1 && message.length > 0 && !message.includes('\n'));
        }
      }),
      { numRuns: 150 },
    );
  });
});

describe('a file', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'trunkline-config-'));
  });
  after(() => rm(folder, { recursive: true }));

  const problemOf = async (file: string): Promise<string> => {
    const result = await readClusterConfigFile(file);
    return result.ok ? 'right' : formatConfigProblems(result.problems);
  };

  test('is read and checked', async () => {
    const file = path.join(folder, 'right.yaml');
    await writeFile(file, SMALL_CLUSTER);
    assert.equal(await problemOf(file), 'right');
    assert.deepEqual(await readClusterConfigFile(file), parseClusterConfig(SMALL_CLUSTER, file));
  });

  test('that is not there, a folder, too large or not UTF-8 is a problem that names it', async () => {
    const absent = path.join(folder, 'absent.yaml');
    assert.equal(
      await problemOf(absent),
      `${absent}:1:1: expected a file, there is none; copy deploy/clusters/local.yaml to begin with`,
    );
    assert.match(await problemOf(folder), /expected a file, came a folder$/);
    const large = path.join(folder, 'large.yaml');
    await writeFile(large, `${SMALL_CLUSTER}#${'x'.repeat(CONFIG_BYTES_MAX)}`);
    assert.match(await problemOf(large), /expected at most 1048576 bytes, came more$/);
    const latin1 = path.join(folder, 'latin1.yaml');
    await writeFile(latin1, Buffer.from(`${SMALL_CLUSTER}# M\xfcller\n`, 'latin1'));
    assert.match(await problemOf(latin1), /expected UTF-8 text, came other bytes/);
  });
});
