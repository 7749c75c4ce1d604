import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { test } from 'node:test';
import { cpuMicros, processTree, rssMiB } from '../../bench/support/process-figures.ts';

const skip = fs.existsSync('/proc/self/stat') ? false : 'there is no /proc here: it takes Linux';

test('a process has its children and theirs, CPU time and memory', { skip }, async () => {
  const shell = spawn('/bin/sh', ['-c', '/bin/sh -c "sleep 60; :" & wait'], { stdio: 'ignore' });
  try {
    let tree: number[] = [];
    while (tree.length < 3) {
      tree = processTree(shell.pid as number);
      await new Promise(setImmediate);
    }
    assert.equal(tree[0], shell.pid);
    assert.ok(rssMiB(tree) > rssMiB(tree.slice(0, 1)));
    assert.ok(processTree(process.pid).includes(tree[2] as number));
    for (const pid of tree.slice(1)) process.kill(pid);
  } finally {
    shell.kill();
    await once(shell, 'exit');
  }
});

test('CPU time grows with work', { skip }, () => {
  const before = cpuMicros([process.pid]);
  const spent = process.cpuUsage();
  while (process.cpuUsage(spent).user + process.cpuUsage(spent).system < 60_000);
  assert.ok(cpuMicros([process.pid]) - before >= 40_000);
});
