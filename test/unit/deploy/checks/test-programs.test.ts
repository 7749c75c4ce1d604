import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ensureTestPrograms,
  requireProgram,
  skipReason,
  TEST_PROGRAMS,
  type TestProgram,
} from '../../../../deploy/checks/test-programs.ts';

const NOWHERE: TestProgram = {
  program: 'trunkline-no-such-program',
  debianPackage: 'trunkline-no-such-package',
  service: '',
  testsOf: 'nothing',
};

test('a program that is missing is named with its package, and in CI it is no reason to skip', () => {
  const before = process.env['CI'];
  delete process.env['CI'];
  assert.match(
    String(skipReason(NOWHERE)),
    /trunkline-no-such-program is not installed; run: .*trunkline-no-such-package/,
  );
  process.env['CI'] = '1';
  assert.equal(skipReason(NOWHERE), false);
  if (before === undefined) delete process.env['CI'];
  else process.env['CI'] = before;
  assert.throws(() => requireProgram(NOWHERE), /apt-get install --no-install-recommends trunkline-no-such-package/);
});

test('nothing is said or done when nothing is missing', async () => {
  const said: string[] = [];
  await ensureTestPrograms((line) => said.push(line), [{ ...NOWHERE, program: 'sh' }]);
  assert.deepEqual(said, []);
});

test('every program has a package', () => {
  for (const { debianPackage, testsOf } of Object.values(TEST_PROGRAMS)) assert.ok(debianPackage && testsOf);
});
