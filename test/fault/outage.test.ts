/** What clients are told when a tier is missing or full: a clear 503 with Retry-After, never a hang. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { startTestCluster, type TestCluster } from '../support/test-cluster.ts';
import { untilWhole } from '../support/whole-cluster.ts';

let running: TestCluster;
let url = '';

before(async () => {
  running = await startTestCluster({
    change: (config) => {
      config.queues = {
        interactive: { weight: 1, capacity: 4, capacityBytes: 2 ** 21, waitMsMax: 1_000, concurrency: 2 },
      };
      config.limits.requestTimeoutMs = 2_000;
    },
  });
  url = running.urls[0] as string;
  await untilWhole(running.config);
});

after(async () => {
  await running.close();
});

async function ask(): Promise<{ status: number; code: string; retryAfter: string | null }> {
  const response = await fetch(`${url}/echo?account=alice`);
  const { code } = (await response.json()) as { code?: string };
  return { status: response.status, code: code ?? '', retryAfter: response.headers.get('retry-after') };
}

function assertUnavailable(answer: { status: number; retryAfter: string | null }): void {
  assert.equal(answer.status, 503);
  assert.match(answer.retryAfter ?? '', /^\d+$/);
}

test('a full request queue sheds at the first tier', async () => {
  const answers = await Promise.all(Array.from({ length: 200 }, ask));
  const refused = answers.filter(({ code }) => code === 'QUEUE_FULL');
  assert.ok(refused.length > 0, 'some were refused');
  for (const answer of refused) assertUnavailable(answer);
  assert.equal(answers.filter(({ status }) => status === 200).length, 200 - refused.length);
});

test('with every coordinator down requests keep flowing', async () => {
  running.cluster.kill('c1', 'SIGSTOP');
  try {
    for (let count = 0; count < 50; count++) assert.equal((await ask()).status, 200);
  } finally {
    running.cluster.kill('c1', 'SIGCONT');
  }
});

test('with no app server of the group the answer is NO_APP_SERVER', async () => {
  await whileStopped(['g1a', 'g1b', 'g2a', 'g2b'], 'NO_APP_SERVER');
});

test('with no dispatcher the answer is NO_DISPATCHER', async () => {
  await whileStopped(['d1', 'd2'], 'NO_DISPATCHER');
});

/** Stops servers for good, expects that answer, and starts them again. */
async function whileStopped(serverIds: readonly string[], code: string): Promise<void> {
  // Killed again and again, they are not back before the supervisor's pause is over.
  const killing = setInterval(() => {
    for (const serverId of serverIds) running.cluster.kill(serverId);
  }, 20);
  try {
    const answer = await eventually(
      `the answer ${code}`,
      async () => {
        const got = await ask();
        return got.code === code ? got : undefined;
      },
      10_000,
    );
    assertUnavailable(answer);
  } finally {
    clearInterval(killing);
  }
  await untilWhole(running.config);
  assert.equal((await ask()).status, 200);
}
