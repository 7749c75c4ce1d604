import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { after, describe, test } from 'node:test';
import { KeyRouter } from '../../../../deploy/cli/route.ts';
import { changed, configOf, SMALL_CLUSTER } from '../../../support/cluster-text.ts';
import recorded from '../../../support/jdk-hash/vectors.json' with { type: 'json' };

const CHECKOUT = path.resolve(import.meta.dirname, '../../../..');
const folder = mkdtempSync(path.join(os.tmpdir(), 'trunkline-cli-route-'));
after(() => rmSync(folder, { recursive: true }));
const CLUSTER = path.join(folder, 'cluster.yaml');
writeFileSync(CLUSTER, SMALL_CLUSTER);

async function route(words: readonly string[], input = ''): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, ['deploy/cli.ts', 'route', '--config', CLUSTER, ...words], { cwd: CHECKOUT });
  child.stdin.on('error', () => {}); // a command that refuses its options reads nothing
  child.stdin.end(input);
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, out, err };
}

test('the router gives hash, bucket and group of the cluster in hand', () => {
  const utf8 = configOf(changed('version: 1', 'version: 1\nhash: { kind: jdk-utf8 }'));
  for (const { key, string, utf8: signed } of recorded.vectors) {
    const group = (bucket = -1): string => (bucket < 50 ? 'g1' : 'g2');
    const [bucket, signedBucket] = [string.buckets[0], signed.buckets[0]];
    assert.deepEqual(new KeyRouter(configOf(SMALL_CLUSTER)).route(key), {
      key,
      hash: string.hash,
      bucket,
      group: group(bucket),
    });
    assert.deepEqual(new KeyRouter(utf8).route(key), {
      key,
      hash: signed.hash,
      bucket: signedBucket,
      group: group(signedBucket),
    });
  }
});

describe('trunkline route', () => {
  test('prints where a key goes, in words and in JSON', async () => {
    const [words, json] = await Promise.all([route(['alice']), route(['polygenelubricants', '--json'])]);
    assert.equal(words.code, 0);
    assert.match(
      words.out,
      /^key +"alice"\nhash +92903040 \(jdk-string\)\nbucket +40 of 0-99\ngroup +g1\napp servers +g1a \(127\.0\.0\.1:7301\)\n$/,
    );
    assert.deepEqual(JSON.parse(json.out), {
      key: 'polygenelubricants',
      hash: -2147483648,
      bucket: 48,
      group: 'g1',
      appServers: ['g1a'],
    });
  });

  test('with --stdin answers the recorded keys of a JVM, lone surrogates too, and fails only for the bad line', async () => {
    const input = recorded.vectors.map(({ key }) => `${JSON.stringify(key)}\n`);
    input.splice(2, 0, 'bad\n');
    const { code, out, err } = await route(['--stdin', '--json'], input.join(''));
    assert.deepEqual([code, err], [1, 'line 3: expected a JSON string, came bad\n']);
    const answers = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      answers,
      recorded.vectors.map(({ key, string: { hash, buckets } }) => ({
        key,
        hash,
        bucket: buckets[0],
        group: (buckets[0] ?? -1) < 50 ? 'g1' : 'g2',
      })),
    );
  });

  test('says of a key that no request can carry that it is one', async () => {
    const { code, out, err } = await route(['--json', 'x'.repeat(257)]);
    assert.deepEqual([code, JSON.parse(out).group], [0, 'g2']);
    assert.match(err, /^note: no request can carry this key: an account key has at most 256 characters/);
  });

  test('refuses options that contradict each other, and a config that is wrong', async () => {
    const [none, both, plain, absent] = await Promise.all([
      route([]),
      route(['--stdin', '--json', 'a']),
      route(['--stdin']),
      route(['a', '--config', path.join(folder, 'absent.yaml')]),
    ]);
    for (const { code } of [none, both, plain, absent]) assert.ok(code !== 0);
    assert.match(none.err, /expected an account key, came none/);
    assert.match(both.err, /expected either a key or --stdin, came both/);
    assert.match(plain.err, /expected --json beside --stdin/);
    assert.match(absent.err, /absent\.yaml:1:1: expected a file, there is none/);
  });
});
