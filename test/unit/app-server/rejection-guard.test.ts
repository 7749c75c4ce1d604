import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { RejectionGuard } from '../../../app-server/rejection-guard.ts';
import { silentLogger } from '../../../shared/log.ts';

const appServer = path.resolve(import.meta.dirname, '../../../app-server');
const urlOf = (file: string): string => pathToFileURL(path.resolve(appServer, file)).href;

it('a promise that a handler forgot is logged and counted, and does not end the process', async () => {
  // In a process of its own: node:test takes unhandled rejections for failed tests.
  const script = `
    import { RejectionGuard } from '${urlOf('rejection-guard.ts')}';
    import { createLogger } from '${urlOf('../shared/log.ts')}';
    const guard = new RejectionGuard(createLogger());
    void Promise.reject(new Error('forgotten'));
    setImmediate(() => { guard.close(); console.log(JSON.stringify({ count: guard.count })); });`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.match(String(lines[0]?.defect), /^Error: forgotten\n/);
  assert.deepEqual(lines.at(-1), { count: 1 });
});

it('a guard that is closed leaves no listener behind', () => {
  const before = process.listenerCount('unhandledRejection');
  const guard = new RejectionGuard(silentLogger);
  assert.equal(process.listenerCount('unhandledRejection'), before + 1);
  guard.close();
  assert.equal(process.listenerCount('unhandledRejection'), before);
});
