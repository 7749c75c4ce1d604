/** The house rules that no linter knows, and proof that every rule, the linter's own included, can fail. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { lockComplaints, pinComplaints } from './support/tidy/package-rules.ts';
import { listFiles, readSources, sourceFile } from './support/tidy/source-tree.ts';
import {
  type Complaint,
  clockComplaints,
  doorComplaints,
  invariantComplaints,
  LINES_MAX,
  lengthComplaints,
  machinePathComplaints,
  nameComplaints,
  silencedTestComplaints,
  unreachedComplaints,
  untestedComplaints,
} from './support/tidy/tidy-rules.ts';

const ROOT = path.resolve(import.meta.dirname, '..');

/** Each npm package and the one file that may import it; '*' for those that do no I/O. */
const DOORS = {
  commander: 'deploy/cli.ts',
  etcd3: 'coordinator-server/store/etcd-connection.ts',
  'find-my-way': '*',
  'generic-pool': 'db/mysql-pool.ts',
  mysql2: 'db/mysql-connection.ts',
  pino: 'shared/log.ts',
  'prom-client': 'shared/metrics.ts',
  'sorted-btree': '*',
  'uWebSockets.js': 'shared/web-server.ts',
  undici: 'shared/web-client.ts',
  yaml: 'shared/config/yaml-source.ts',
  zod: '*',
};

/** What only runs as a process of its own, and the test that runs it. */
const PROCESSES: Readonly<Record<string, string>> = {
  'app-server/start-app-server.ts': 'test/integration/cluster/requests.test.ts',
  'coordinator-server/start-coordinator-server.ts': 'test/integration/cluster/requests.test.ts',
  'deploy/cli.ts': 'test/integration/deploy/up.test.ts',
  'dispatcher-server/start-dispatcher-server.ts': 'test/integration/cluster/requests.test.ts',
  'interface-server/start-interface-server.ts': 'test/integration/cluster/requests.test.ts',
  'shared/cluster-member.ts': 'test/integration/cluster/requests.test.ts',
};

/** What is started from outside the source: programs, tests, benchmarks, services (found by folder). */
function isRoot(file: string): boolean {
  return (
    /^[\w-]+\/main\.ts$/.test(file) ||
    file === 'deploy/cli.ts' ||
    file.endsWith('.test.ts') ||
    /^test\/bench\/[\w-]+\.ts$/.test(file) ||
    /(^|\/)(services|examples)\/([\w-]+)\/(service|\3)\.ts$/.test(file)
  );
}

const files = readSources(ROOT);
const json = (file: string): never => JSON.parse(fs.readFileSync(path.join(ROOT, file), 'utf8')) as never;

describe('the project is tidy', () => {
  const tidy = (name: string, complaints: () => Complaint[]): void => {
    test(name, () => assert.deepEqual(complaints(), []));
  };
  tidy('each npm package is imported by its door only', () => doorComplaints(files, DOORS));
  tidy('time and chance come from shared/clock.ts and shared/random.ts', () => clockComplaints(files));
  tidy('every invariant of a file head is cited', () => invariantComplaints(files));
  tidy(`no file is longer than ${LINES_MAX} lines`, () => lengthComplaints(files));
  tidy('every file is reached by a program or a test', () => unreachedComplaints(files, isRoot));
  tidy('files and folders are kebab-case and named after what they define', () =>
    nameComplaints(files.map((f) => f.path)),
  );
  tidy('every file with logic has a test', () => untestedComplaints(files, PROCESSES));
  tidy('no test is silenced without a reason', () => silencedTestComplaints(files));
  tidy('no file names a folder of one machine', () => machinePathComplaints(textFiles()));
  tidy('versions are exact', () => pinComplaints(json('package.json')));
  tidy('the lock names the binaries of every platform, and no registry', () =>
    lockComplaints(json('package-lock.json')),
  );
});

function textFiles(): { path: string; text: string }[] {
  return listFiles(ROOT)
    .filter((file) => /\.(ts|md|ya?ml|json|sh|java)$|^(trunkline|\.ci\/run)$/.test(file))
    .filter((file) => file !== 'test/tidy.test.ts')
    .map((file) => ({ path: file, text: fs.readFileSync(path.join(ROOT, file), 'utf8') }));
}

describe('each house rule can fail', () => {
  const one = (file: string, text: string): ReturnType<typeof sourceFile>[] => [sourceFile(file, text)];

  test('doors: a package outside its door, and one without a door', () => {
    assert.equal(doorComplaints(one('db/x.ts', "import { pino } from 'pino';"), DOORS).length, 1);
    assert.equal(doorComplaints(one('db/x.ts', "const x = await import('left-pad');"), DOORS).length, 1);
    assert.equal(doorComplaints(one('db/x.ts', "export { a } from 'mysql2/promise';"), DOORS).length, 1);
    assert.equal(doorComplaints(one('db/x.ts', "const x = requirePackage('undici/lib/a.js');"), DOORS).length, 1);
    assert.deepEqual(
      doorComplaints(one('db/x.ts', "import type { Logger } from 'pino';\nimport 'node:fs';"), DOORS),
      [],
    );
    assert.deepEqual(doorComplaints(one('shared/log.ts', "import { type Logger, pino } from 'pino';"), DOORS), []);
  });

  test('clock: timers, dates and randomness in code, not in comments and strings', () => {
    const asks = (code: string): number => clockComplaints(one('db/x.ts', code)).length;
    assert.equal(asks('const t = Date.now();'), 1);
    assert.equal(asks('const t = new Date();'), 1);
    assert.equal(asks('setTimeout(() => {}, 1);'), 1);
    assert.equal(asks('const t = `${performance.now()} ms`;'), 1);
    assert.equal(asks('const r = Math.random();'), 1);
    assert.equal(asks("import { setTimeout as sleep } from 'node:timers/promises';"), 1);
    assert.equal(asks("// Date.now()\nconst s = 'Math.random()'; /* setTimeout( */"), 0);
    assert.equal(asks('const re = /[\'"`]/; const u = `Date.now() ${1}`;'), 0);
    assert.equal(asks('const text = new Date(clock.wallMs()).toISOString(); client.setTimeout(5);'), 0);
    assert.deepEqual(clockComplaints(one('shared/clock.ts', 'Date.now();')), []);
  });

  test('invariants: one that is listed and never cited', () => {
    const head = '/**\n * Owns x.\n *\n * V1: never two.\n * V2: always one.\n */\n';
    const complaints = invariantComplaints(one('db/x.ts', `${head}export const x = 1; // V1`));
    assert.deepEqual(complaints, ['db/x.ts lists V2 in its head, and no line cites it']);
    const keeper = sourceFile('db/y.ts', "import { x } from './x.ts';\nuse(x); // V2 of x.ts");
    assert.deepEqual(invariantComplaints([sourceFile('db/x.ts', `${head}use(); // V1`), keeper]), []);
  });

  test('length', () => {
    assert.equal(lengthComplaints(one('db/x.ts', 'a;\n'.repeat(LINES_MAX + 1))).length, 1);
    assert.equal(lengthComplaints(one('db/x.ts', 'a;\n'.repeat(LINES_MAX))).length, 0);
  });

  test('reach: a file nothing imports, and one that only a worker path mentions', () => {
    const main = sourceFile('db/main.ts', "import './a.ts';\nnew Worker(new URL('./worker.ts', import.meta.url));");
    const rest = ['db/a.ts', 'db/worker.ts', 'db/lost.ts'].map((file) => sourceFile(file, ''));
    assert.deepEqual(unreachedComplaints([main, ...rest], isRoot), ['db/lost.ts is reached by no program and no test']);
  });

  test('names', () => {
    assert.equal(nameComplaints(['db/replicaPicker.ts']).length, 1);
    assert.equal(nameComplaints(['db/string-utils.ts', 'shared/helpers/x.ts']).length, 2);
    assert.deepEqual(nameComplaints(['db/replica-picker.ts', 'test/unit/db/replica-picker.test.ts']), []);
  });

  test('untested: logic without a test; types and constants need none', () => {
    assert.equal(untestedComplaints(one('db/x.ts', 'export function f(): void {}'), {}).length, 1);
    assert.deepEqual(
      untestedComplaints(one('db/x.ts', 'export interface X { f: () => void;\n}\nexport const A = 1;'), {}),
      [],
    );
    assert.equal(untestedComplaints([], { 'db/gone.ts': 'test/unit/gone.test.ts' }).length, 1);
    const [server, itsTest] = [
      sourceFile('db/s.ts', 'export function f(): void {}'),
      sourceFile('test/fault/s.test.ts', ''),
    ];
    assert.deepEqual(untestedComplaints([server, itsTest], { 'db/s.ts': 'test/fault/s.test.ts' }), []);
    const whole = sourceFile('db/x.ts', "import './x-part.ts';\nexport type T = string;\nexport function f(): void {}");
    const part = sourceFile('db/x-part.ts', 'export const g = () => 1;');
    assert.equal(untestedComplaints([whole, part], {}).length, 2);
    assert.deepEqual(untestedComplaints([whole, part, sourceFile('test/unit/db/x.test.ts', '')], {}), []);
  });

  test('silenced tests', () => {
    assert.equal(silencedTestComplaints(one('test/unit/x.test.ts', "test.only('a', () => {});")).length, 1);
    assert.equal(silencedTestComplaints(one('test/unit/x.test.ts', "test('a', { skip: true }, () => {});")).length, 1);
    assert.deepEqual(silencedTestComplaints(one('test/unit/x.test.ts', "test('a', { skip: 'no MariaDB' }, f);")), []);
  });

  test('machine paths', () => {
    assert.equal(machinePathComplaints([{ path: 'a.md', text: 'see /home/ann/trunkline' }]).length, 1);
    assert.deepEqual(machinePathComplaints([{ path: 'a.md', text: 'GET /accounts/home/x and /usr/bin' }]), []);
  });

  test('pins and lock', () => {
    assert.equal(pinComplaints({ dependencies: { a: '^1.0.0', b: '1.0.0', c: 'npm:@x/c@2.0.1' } }).length, 1);
    const lock = { packages: { 'node_modules/a': { resolved: 'x', optionalDependencies: { 'a-linux': '1.0.0' } } } };
    assert.equal(lockComplaints(lock).length, 2);
  });
});

/** Planted files → the Biome rule each must break ('' for none). */
const PLANTED: Readonly<Record<string, readonly [rule: string, text: string]>> = {
  'shared/a.ts': ['noRestrictedImports', "export { w } from '../db/w.ts';\n"],
  'shared/link/b.ts': ['noRestrictedImports', "export const t = await import('../../test/support/t.ts');\n"],
  'interface-server/a.ts': [
    'noRestrictedImports',
    "import { r } from '../dispatcher-server/r.ts';\nexport const s = r;\n",
  ],
  'dispatcher-server/a.ts': [
    'noRestrictedImports',
    "import type { r } from '../app-server/r.ts';\nexport const s: r = 1;\n",
  ],
  'app-server/a.ts': ['noRestrictedImports', "import { r } from '../db/replica.ts';\nexport const s = r;\n"],
  'app-server/b.ts': [
    '',
    "import { ReplicatedStore } from '../db/replicated-store.ts';\nexport const s = ReplicatedStore;\n",
  ],
  'app-server/services/x/a.ts': ['noRestrictedImports', "import { f } from 'node:fs';\nexport const s = f;\n"],
  'app-server/services/x/b.ts': ['noRestrictedImports', "import { f } from '../../sdk/sdk.ts';\nexport const s = f;\n"],
  'app-server/services/x/c.ts': [
    '',
    "import { z } from '#sdk';\nimport { f } from './f.ts';\nexport const s = z(f);\n",
  ],
  'db/a.ts': ['noRestrictedImports', "import { r } from '../coordinator-server/r.ts';\nexport const s = r;\n"],
  'coordinator-server/a.ts': ['noRestrictedImports', "import { r } from '../deploy/r.ts';\nexport const s = r;\n"],
  'coordinator-server/b.ts': ['', "import { r } from '../shared/config/r.ts';\nexport const s = r;\n"],
  'db/cycle-a.ts': ['noImportCycles', "import { b } from './cycle-b.ts';\nexport const a = () => b;\n"],
  'db/cycle-b.ts': ['noImportCycles', "import { a } from './cycle-a.ts';\nexport const b = () => a;\n"],
  'db/default.ts': ['noDefaultExport', 'const x = 1;\nexport default x;\n'],
  'db/enum.ts': ['noEnum', 'export enum Color {\n  Red = 1,\n}\n'],
  'db/space.ts': ['noNamespace', 'export namespace space {\n  export const x = 1;\n}\n'],
  'db/barrel.ts': ['noBarrelFile', "export * from './x.ts';\n"],
  'db/print.ts': ['noConsole', 'console.log(1);\n'],
  'db/floating.ts': [
    'noFloatingPromises',
    'async function f(): Promise<void> {}\nexport const g = (): void => {\n  f();\n};\n',
  ],
  'db/package.ts': ['noUndeclaredDependencies', "import { pad } from 'left-pad';\nexport const p = pad;\n"],
  'db/BadName.ts': ['useFilenamingConvention', 'export const x = 1;\n'],
  'db/any.ts': ['noExplicitAny', 'export const x = (y: any): void => y;\n'],
};

test('Biome refuses every planted violation of walls and rules, and nothing else', async (context) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trunkline-walls-'));
  context.after(() => fs.rmSync(folder, { recursive: true }));
  for (const file of ['biome.json', 'package.json', '.gitignore'])
    fs.copyFileSync(path.join(ROOT, file), path.join(folder, file));
  for (const [file, [, text]] of Object.entries(PLANTED)) {
    fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    fs.writeFileSync(path.join(folder, file), text);
  }
  const found = await lintedRules(folder);
  for (const [file, [rule]] of Object.entries(PLANTED)) {
    const rules = found.get(file) ?? [];
    if (rule === '') assert.deepEqual(rules, [], file);
    else assert.ok(rules.includes(rule), `${file}: expected ${rule}, got ${rules.join(', ') || 'nothing'}`);
  }
});

/** @returns for each file the names of the rules that Biome found broken */
function lintedRules(folder: string): Promise<Map<string, string[]>> {
  const biome = path.join(ROOT, 'node_modules/@biomejs/biome/bin/biome');
  const args = [biome, 'lint', '--reporter=github', '--max-diagnostics=none'];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: folder }, (_failed, stdout) => {
      const found = new Map<string, string[]>();
      for (const [, rule = '', file = ''] of stdout.matchAll(/^::error title=lint\/\w+\/(\w+),file=([^,]+),/gm)) {
        const relative = path.relative(fs.realpathSync(folder), fs.realpathSync(path.resolve(folder, file)));
        found.set(relative, [...(found.get(relative) ?? []), rule]);
      }
      resolve(found);
    });
  });
}
