/** The root script, with stand-ins for the system's Node and npm that write down what they are asked for. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { tempFolder } from '../../support/test-cluster.ts';

const CHECKOUT = path.resolve(import.meta.dirname, '../../..');
const PLATFORM = `${process.platform}-${process.arch}`;
/** What the script needs of the system, besides Node and npm. */
const SYSTEM_PROGRAMS = [
  'sh',
  'cat',
  'cmp',
  'cp',
  'env',
  'grep',
  'mkdir',
  'mv',
  'readlink',
  'rm',
  'rmdir',
  'sleep',
  'uname',
];

/** Prints its version, or the arguments it would run. */
const fakeNode = (version: string): string => `#!/bin/sh
case $1 in --version) echo ${version} ;; -e) exit 0 ;; *) echo "ran ${version} $*" ;; esac
`;

/** Installs by making the files that matter; a moment passes meanwhile, so that two at once would meet. */
const FAKE_NPM = `#!/bin/sh
echo "npm $* [cache $npm_config_cache] [omit \${npm_config_omit-none}] [node $(node --version)]" >>"$NPM_LOG"
sleep 0.3
case $1 in
  install)
    mkdir -p "$3/node_modules/node-${PLATFORM}/bin"
    cp "$FAKE_NODE_22" "$3/node_modules/node-${PLATFORM}/bin/node" ;;
  ci) [ ! -e node_modules ] || rm -rf node_modules; mkdir -p node_modules/@uwsjs/${PLATFORM}-22 ;;
esac
`;

let folder = '';
let checkout = '';
beforeEach(() => {
  folder = tempFolder();
  checkout = path.join(folder, 'a checkout');
  fs.mkdirSync(checkout);
  for (const file of ['trunkline', 'package-lock.json'])
    fs.copyFileSync(path.join(CHECKOUT, file), path.join(checkout, file));
  fs.mkdirSync(path.join(folder, 'bin'));
  for (const program of SYSTEM_PROGRAMS) fs.symlinkSync(whereIs(program), path.join(folder, 'bin', program));
  putProgram('node-22', fakeNode('v22.23.3'));
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

function whereIs(program: string): string {
  return spawnSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).stdout.trim();
}

function putProgram(name: string, text: string): void {
  fs.writeFileSync(path.join(folder, 'bin', name), text, { mode: 0o755 });
}

function environment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const bin = path.join(folder, 'bin');
  return {
    PATH: bin,
    HOME: folder,
    NPM_LOG: path.join(folder, 'npm.log'),
    FAKE_NODE_22: path.join(bin, 'node-22'),
    ...extra,
  };
}

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: readonly string[] = ['up'], extra: Readonly<Record<string, string>> = {}): Ran {
  const options = { cwd: folder, env: environment(extra), encoding: 'utf8' } as const;
  return spawnSync(path.join(checkout, 'trunkline'), [...args], options);
}

function npmCalls(): string[] {
  const file = path.join(folder, 'npm.log');
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim().split('\n') : [];
}

const ranBy = (version: string, args: string): string =>
  `ran ${version} --disable-warning=ExperimentalWarning --import ${checkout}/deploy/typescript-cache.mjs ${checkout}/deploy/cli.ts ${args}\n`;

describe('trunkline, the script', () => {
  test("with a Node of the system's that suits: installs the packages once, then just runs", () => {
    putProgram('node', fakeNode('v22.19.0'));
    putProgram('npm', FAKE_NPM);
    const first = run(['route', 'a b']);
    assert.equal(first.stdout, ranBy('v22.19.0', 'route a b'));
    assert.equal(first.stderr, 'trunkline: installing packages into node_modules/\n');
    assert.match(npmCalls()[0] ?? '', /^npm ci .*--include=optional/);
    assert.equal(run().stderr, '');
    assert.equal(npmCalls().length, 1);
  });

  for (const version of ['v20.20.2', 'v22.18.0', 'v23.1.0', 'v24.0.0']) {
    test(`with the system's Node ${version}: fetches one that suits, and runs npm with it`, () => {
      putProgram('node', fakeNode(version));
      putProgram('npm', FAKE_NPM);
      const ran = run();
      assert.equal(ran.stdout, ranBy('v22.23.3', 'up'));
      assert.match(ran.stderr, new RegExp(`fetching Node 22\\S+ into \\.runtime/ \\(the system's is ${version}\\)`));
      assert.deepEqual(
        npmCalls().map((call) => /npm (\w+) .*\[node (.*)\]/.exec(call)?.slice(1)),
        [
          ['install', version],
          ['ci', 'v22.23.3'],
        ],
      );
      assert.equal(run().stdout, ranBy('v22.23.3', 'up'));
      assert.equal(npmCalls().length, 2);
    });
  }

  test('installs again when the lock file changed, and when the binary is missing', () => {
    putProgram('node', fakeNode('v22.20.0'));
    putProgram('npm', FAKE_NPM);
    run();
    fs.appendFileSync(path.join(checkout, 'package-lock.json'), '\n');
    run();
    assert.equal(npmCalls().length, 2);
    fs.rmdirSync(path.join(checkout, `node_modules/@uwsjs/${PLATFORM}-22`));
    run();
    assert.equal(npmCalls().length, 3);
  });

  test('keeps the cache in the checkout, and what an outer npm says about itself away from npm', () => {
    putProgram('node', fakeNode('v22.20.0'));
    putProgram('npm', FAKE_NPM);
    run(['up'], { npm_config_omit: 'optional', npm_config_cache: '/elsewhere' });
    assert.ok(npmCalls()[0]?.includes(`[cache ${checkout}/.runtime/npm-cache] [omit none]`), npmCalls()[0]);
    assert.deepEqual(fs.readdirSync(folder).sort(), ['a checkout', 'bin', 'npm.log']);
  });

  test('four at once install once', async () => {
    putProgram('node', fakeNode('v20.20.2'));
    putProgram('npm', FAKE_NPM);
    const children = Array.from({ length: 4 }, () =>
      spawn(path.join(checkout, 'trunkline'), ['up'], { env: environment() }),
    );
    const codes = await Promise.all(
      children.map(async (child: ChildProcess) => (await once(child, 'exit'))[0] as number),
    );
    assert.deepEqual(codes, [0, 0, 0, 0]);
    assert.equal(npmCalls().length, 2);
    assert.deepEqual(fs.readdirSync(path.join(checkout, '.runtime')), ['node_modules']);
  });

  test('a lock whose owner is dead does not hold anybody up', () => {
    putProgram('node', fakeNode('v22.20.0'));
    putProgram('npm', FAKE_NPM);
    const { pid } = spawnSync('true');
    fs.mkdirSync(path.join(checkout, '.runtime/install.lock'), { recursive: true });
    fs.writeFileSync(path.join(checkout, '.runtime/install.lock/pid'), String(pid));
    assert.equal(run().status, 0);
    assert.equal(fs.existsSync(path.join(checkout, '.runtime/install.lock')), false);
  });

  test('runs through a symbolic link', () => {
    putProgram('node', fakeNode('v22.20.0'));
    putProgram('npm', FAKE_NPM);
    fs.symlinkSync('../a checkout/trunkline', path.join(folder, 'bin/tl'));
    const ran = spawnSync(path.join(folder, 'bin/tl'), ['up'], { env: environment(), encoding: 'utf8' });
    assert.equal(ran.stdout, ranBy('v22.20.0', 'up'));
  });

  test('without Node and npm, and with Node but without npm, it says what is missing', () => {
    const neither = run();
    assert.equal(neither.status, 1);
    assert.match(neither.stderr, /expected Node >= 22\.19 and < 23, or npm to fetch it with; found neither\. Install/);
    putProgram('node', fakeNode('v22.20.0'));
    const noNpm = run();
    assert.equal(noNpm.status, 1);
    assert.match(noNpm.stderr, /npm is not found; install it/);
    assert.equal(fs.existsSync(path.join(checkout, '.runtime/install.lock')), false);
  });

  test('when npm fails its words are shown, and the next start tries again', () => {
    putProgram('node', fakeNode('v22.20.0'));
    putProgram('npm', '#!/bin/sh\necho "no network" >&2\nexit 1\n');
    const failed = run();
    assert.equal(failed.status, 1);
    assert.match(failed.stderr, /no network\ntrunkline: npm ci failed; npm's words are above/);
    putProgram('npm', FAKE_NPM);
    assert.equal(run().status, 0);
  });
});
