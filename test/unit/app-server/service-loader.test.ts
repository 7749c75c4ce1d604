import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { loadServices } from '../../../app-server/service-loader.ts';
import { PlatformError } from '../../../shared/errors.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const projectFolder = path.resolve(import.meta.dirname, '../../..');
const sdk = pathToFileURL(path.join(projectFolder, 'app-server/sdk/sdk.ts')).href;

const sound = (name: string, pathName = name): string =>
  `import { defineService, route } from '${sdk}';
   export const service = defineService({ name: '${name}', routes: [route({ method: 'GET', path: '/${pathName}', handler: () => 1 })] });`;

describe('service loader', () => {
  let root = '';
  before(async () => {
    root = await fs.mkdtemp(path.join(os.tmpdir(), 'trunkline-services-'));
  });
  after(() => fs.rm(root, { recursive: true }));

  async function write(file: string, text: string): Promise<void> {
    await fs.mkdir(path.dirname(path.join(root, file)), { recursive: true });
    await fs.writeFile(path.join(root, file), text);
  }

  async function refusal(...folders: string[]): Promise<string> {
    const thrown: unknown = await loadServices(folders, root).then(
      () => assert.fail('expected a refusal'),
      (reason) => reason,
    );
    assert.ok(thrown instanceof PlatformError);
    assert.equal(thrown.code, 'SERVICE_INVALID');
    assert.ok(thrown.detail.includes(path.join(root, folders.at(-1) ?? '')), thrown.detail);
    return thrown.detail;
  }

  it('loads the samples', async () => {
    const services = await loadServices(['app-server/services/echo', 'app-server/services/accounts/'], projectFolder);
    assert.deepEqual(
      services.map(({ name }) => name),
      ['echo', 'accounts'],
    );
  });

  it('takes service.ts, or a file named after the folder, or an absolute folder', async () => {
    await write('one/service.ts', sound('one'));
    await write('two/two.ts', sound('two'));
    await write('three/service.ts', sound('three'));
    const services = await loadServices(['one', './two', path.join(root, 'three')], root);
    assert.deepEqual(
      services.map(({ name }) => name),
      ['one', 'two', 'three'],
    );
  });

  const refused: [name: string, file: string, text: string, detail: RegExp][] = [
    ['without the file', 'empty/other.ts', '', /expected a file service\.ts or empty\.ts, got neither/],
    ['that throws while it loads', 'throws/service.ts', `throw new Error('at load')`, /failed: Error: at load/],
    ['that throws nothing much', 'throws2/service.ts', 'throw undefined', /failed: undefined/],
    ['that does not parse', 'syntax/service.ts', 'export const = 1', /loading service\.ts failed: SyntaxError/],
    ['with an import that is not there', 'missing/service.ts', `import 'no-such-package'`, /no-such-package/],
    [
      'outside the project',
      'far/service.ts',
      `import { route } from '#sdk'; void route`,
      /`#sdk` is found from folders inside/,
    ],
    ['that exports nothing', 'silent/service.ts', 'export {}', /to export 'service', got no export/],
    ['that exports something else', 'other/service.ts', 'export const services = 1', /got services; export one/],
    ['that exports a default', 'default/service.ts', 'export default {}', /got default; export one/],
    [
      'of the wrong shape',
      'shape/service.ts',
      `export const service = { name: 'x', routes: [] }`,
      /made by defineService, got object/,
    ],
    [
      'that defineService refuses',
      'bad/service.ts',
      sound('Bad Name', 'bad'),
      /expected a name of a lower-case letter/,
    ],
  ];
  for (const [name, file, text, detail] of refused) {
    it(`refuses a folder ${name}`, async () => {
      await write(file, text);
      assert.match(await refusal(path.dirname(file)), detail);
    });
  }

  it('refuses a folder that is not there, and one that is a file', async () => {
    await write('file', '');
    assert.match(await refusal('nowhere'), /expected a folder, got nothing there/);
    assert.match(await refusal('file'), /expected a folder, got a file/);
  });

  it('refuses a folder with both files', async () => {
    await write('both/service.ts', sound('both'));
    await write('both/both.ts', sound('both'));
    assert.match(await refusal('both'), /expected one of service\.ts and both\.ts, got both/);
  });

  it('refuses two services of one name, naming both folders', async () => {
    await write('first/service.ts', sound('same'));
    await write('second/service.ts', sound('same'));
    const detail = await refusal('first', 'second');
    assert.ok(detail.includes(path.join(root, 'first')), detail);
    assert.match(await refusal('first', './first'), /listed twice/);
  });

  it('does not wait for ever for a service that never loads', async () => {
    await write('never/service.ts', 'await new Promise(() => {});');
    const clock = new ManualClock();
    const loading = loadServices(['never'], root, clock);
    loading.catch(() => undefined);
    while (clock.pendingTimers === 0) await new Promise((resolve) => setImmediate(resolve));
    clock.advance(10_000);
    await assert.rejects(loading, /did not load within 10000 ms/);
  });
});
