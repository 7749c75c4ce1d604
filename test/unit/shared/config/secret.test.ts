import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { after, beforeEach, describe, test } from 'node:test';
import { ensureSecretFile, readSecret } from '../../../../shared/config/secret.ts';
import { PlatformError } from '../../../../shared/errors.ts';
import { seededRandom } from '../../../../shared/random.ts';

const folders: string[] = [];
let root = '';
beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'trunkline-secret-'));
  folders.push(root);
});
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

function refusal(source: Parameters<typeof readSecret>[0]): string {
  try {
    readSecret(source, root);
  } catch (error) {
    assert.ok(error instanceof PlatformError && error.code === 'CONFIG_INVALID');
    return error.detail;
  }
  assert.fail('a secret came');
}

describe('readSecret', () => {
  test('reads a file, relative to the root folder, without the white space around it', () => {
    writeFileSync(path.join(root, 'token'), ' s3cret \r\n');
    assert.equal(readSecret({ file: 'token' }, root), 's3cret');
    assert.equal(readSecret({ file: path.join(root, 'token') }, '/'), 's3cret');
  });

  test('reads an environment variable', (context) => {
    process.env['TRUNKLINE_TEST_SECRET'] = 'from-env';
    context.after(() => delete process.env['TRUNKLINE_TEST_SECRET']);
    assert.equal(readSecret({ env: 'TRUNKLINE_TEST_SECRET' }, root), 'from-env');
  });

  test('says of a secret that is not there how to make it', () => {
    assert.match(
      refusal({ file: 'keys/token' }),
      /expected a secret in the file keys\/token: it is not set\. Make one with: .*openssl rand -hex 32 > 'keys\/token'/,
    );
    assert.match(
      refusal({ env: 'TRUNKLINE_TEST_NONE' }),
      /environment variable TRUNKLINE_TEST_NONE: it is not set\. Make one with: export TRUNKLINE_TEST_NONE=/,
    );
  });

  test('refuses what is empty, too long, binary, several lines or a folder, and never shows it', () => {
    for (const [text, why] of [
      ['\n', /it is empty/],
      ['x'.repeat(5000), /longer than 4096/],
      ['hunter2\nhunter3', /not one line/],
      ['hunter2\0', /not one line/],
    ] as const) {
      writeFileSync(path.join(root, 'token'), text);
      assert.match(refusal({ file: 'token' }), why);
      assert.doesNotMatch(refusal({ file: 'token' }), /hunter/);
    }
    mkdirSync(path.join(root, 'folder'));
    assert.match(refusal({ file: 'folder' }), /cannot be read \(EISDIR\)/);
  });
});

describe('ensureSecretFile', () => {
  test('makes a file of 32 random bytes in hex that only its owner may read', () => {
    ensureSecretFile({ file: 'data/cluster-token' }, root);
    const file = path.join(root, 'data/cluster-token');
    assert.match(readFileSync(file, 'utf8'), /^[0-9a-f]{64}\n$/);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(readSecret({ file: 'data/cluster-token' }, root).length, 64);
    assert.deepEqual(readdirSync(path.join(root, 'data')), ['cluster-token']);
  });

  test('makes another one each time, from the randomness it is given', () => {
    ensureSecretFile({ file: 'a' }, root, seededRandom(1));
    ensureSecretFile({ file: 'b' }, root, seededRandom(2));
    assert.notEqual(readSecret({ file: 'a' }, root), readSecret({ file: 'b' }, root));
  });

  test('never touches a file that is there, nor anything for an environment variable', () => {
    writeFileSync(path.join(root, 'token'), 'mine');
    ensureSecretFile({ file: 'token' }, root);
    assert.equal(readSecret({ file: 'token' }, root), 'mine');
    ensureSecretFile({ env: 'TRUNKLINE_TEST_NONE' }, root);
    assert.deepEqual(readdirSync(root), ['token']);
  });

  test('says which file it could not make', () => {
    writeFileSync(path.join(root, 'plain'), '');
    assert.throws(
      () => ensureSecretFile({ file: 'plain/token' }, root),
      /CONFIG_INVALID: expected to create the secret file plain\/token/,
    );
    assert.equal(existsSync(path.join(root, 'plain/token')), false);
  });
});
