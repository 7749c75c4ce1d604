/**
 * Clients that are slow, silent or greedy on purpose: their connections end in time, what they may take of the server's
 * memory is bounded, and nobody else waits for them. And what is too large or malformed gets a clear 4xx.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Bystanders } from '../../support/bystanders.ts';
import { type EdgeCluster, startEdgeCluster } from '../../support/edge-cluster.ts';
import { eventually } from '../../support/eventually.ts';
import type { HostileData, HostileReport } from '../../support/hostile-clients.ts';
import { inParallel } from '../../support/in-parallel.ts';
import { rawExchange, statusesIn } from '../../support/raw-exchange.ts';
import { lengthOf } from '../../support/soak.ts';

let edge: EdgeCluster;
let address = '';

before(async () => {
  edge = await startEdgeCluster();
  address = edge.addresses[0] as string;
});

after(async () => {
  await edge.close();
});

/** How many of each kind. Those that take memory and not only a connection are few. */
const SLOWLORIS = lengthOf(500, 5_000);
const COUNTS: Readonly<Record<string, number>> = {
  'head in drops': SLOWLORIS,
  'headers in drops': SLOWLORIS / 10,
  'second head in drops': SLOWLORIS / 10,
  'body in drops': SLOWLORIS / 10,
  'chunks in drops': SLOWLORIS / 10,
  'a chunk size in drops': SLOWLORIS / 10,
  'nothing at all': SLOWLORIS / 10,
  'half a head': SLOWLORIS / 10,
  'half a body': SLOWLORIS / 10,
  'half a chunk': SLOWLORIS / 10,
  'one request, then nothing': SLOWLORIS / 10,
  'the end of the connection in the middle of a head': SLOWLORIS / 10,
  'large replies, never read': lengthOf(8, 80),
  'ever more large replies, never read': lengthOf(4, 40),
  'ever more small replies, never read': lengthOf(4, 40),
  'ever more pages, never read': lengthOf(4, 40),
  waits: lengthOf(10, 100),
};

const CLOSED_WITHIN_MS = 15_000;
/** When those that do not read look whether they have been closed: the server's timers need 12 s at most. */
const LOOK_AFTER_MS = 12_500;
/** What all replies that are not read may take up (UNREAD_BYTES_MAX), and as much again for what is being handled. */
const MEMORY_GROWTH_BYTES_MAX = 192 * 1024 * 1024;
/** A busy machine's own doing, whoever waits. */
const NOISE_MS = 5;
const WINDOW_MS = 500;

function interfaceServerPid(): number {
  return edge.running.cluster.pid('i1') ?? assert.fail('i1 runs');
}

function residentBytes(pid: number): number {
  const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

/** @throws Error that says what to do, when this machine lets a process open too few files for the test */
function requireOpenFiles(pid: number | 'self', count: number): void {
  const [, limit] = /Max open files\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/limits`, 'utf8')) ?? [];
  if (Number(limit) < count)
    throw new Error(`expected to be allowed ${count} open files, it is ${limit}: run \`ulimit -n ${count}\` before`);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

test('hostile clients are closed in time, take bounded memory, and keep nobody else waiting', async (context) => {
  const sockets = Object.values(COUNTS).reduce((sum, count) => sum + count, 0) + 1_000;
  for (const pid of ['self', interfaceServerPid()] as const) requireOpenFiles(pid, sockets);
  const bystanders = new Bystanders(address, 4);
  await bystanders.windows(1, WINDOW_MS); // warm-up
  const alone = median(await bystanders.windows(5, WINDOW_MS));
  const residentBefore = residentBytes(interfaceServerPid());
  let residentMax = 0;
  const watching = setInterval(() => {
    residentMax = Math.max(residentMax, residentBytes(interfaceServerPid()));
  }, 100);

  const startedAt = performance.now();
  const workerData: HostileData = { address, counts: COUNTS };
  const hostile = new Worker(new URL('../../support/hostile-clients.ts', import.meta.url), { workerData });
  let report: HostileReport = {};
  hostile.on('message', (message: HostileReport | 'opened') => {
    if (message !== 'opened') report = message;
  });
  try {
    const windows = await bystanders.windows(Math.floor(LOOK_AFTER_MS / WINDOW_MS), WINDOW_MS);
    hostile.postMessage('look');
    await eventually(
      'every hostile connection to be closed',
      () => {
        hostile.postMessage('report');
        const kinds = Object.values(report);
        return kinds.length > 0 && kinds.every(({ open }) => open === 0);
      },
      startedAt + CLOSED_WITHIN_MS - performance.now(),
      100,
    ).catch((error: unknown) => assert.fail(`${String(error)}; ${JSON.stringify(report)}`));
    const beside = median(windows);
    const growth = residentMax - residentBefore;
    context.diagnostic(
      `${sockets - 1_000} hostile clients; p99 of others ${alone.toFixed(1)} → ${beside.toFixed(1)} ms`,
    );
    context.diagnostic(`memory of the interface server grew by ${Math.round(growth / 2 ** 20)} MiB at most`);
    context.diagnostic(JSON.stringify(report));
    assert.equal(bystanders.failures, 0);
    assert.ok(growth <= MEMORY_GROWTH_BYTES_MAX, `grew by ${growth} bytes`);
    assert.ok(beside <= Math.max(2 * alone, NOISE_MS), `p99 ${alone} ms alone, ${beside} ms beside hostile clients`);
  } finally {
    clearInterval(watching);
    await hostile.terminate();
    await bystanders.close();
  }
});

const lines = (count: number, line: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => `${line(index)}\r\n`).join('');
const get = (target: string, headers = ''): string => `GET ${target} HTTP/1.1\r\nhost: x\r\n${headers}\r\n`;
const post = (headers: string, body: string): string =>
  `POST /echo?account=a HTTP/1.1\r\nhost: x\r\n${headers}\r\n\r\n${body}`;
const LARGE = 'x'.repeat(2 * 1024 * 1024);

/** Request → status, and whether more of the same follows for ever. */
const TOO_MUCH: Readonly<Record<string, readonly [status: number, bytes: string, endless?: string]>> = {
  'a body over the limit': [413, post(`content-length: ${LARGE.length}`, LARGE)],
  'a body over the limit that never comes': [413, post('content-length: 10000000', '')],
  'a body over the limit that is waited for': [413, post('content-length: 10000000\r\nexpect: 100-continue', '')],
  'a body of a gigabyte': [413, post('content-length: 1000000000', ''), LARGE.slice(0, 65_536)],
  'a body over the limit in chunks': [413, post('transfer-encoding: chunked', `200000\r\n${LARGE}\r\n0\r\n\r\n`)],
  'chunks without an end': [413, post('transfer-encoding: chunked', ''), `10000\r\n${LARGE.slice(0, 65_536)}\r\n`],
  '70 headers': [
    431,
    get(
      '/echo?account=a',
      lines(70, (index) => `x-${index}: y`),
    ),
  ],
  '200 headers': [
    431,
    get(
      '/echo?account=a',
      lines(200, (index) => `x-${index}: y`),
    ),
  ],
  'headers without an end': [431, 'GET /echo?account=a HTTP/1.1\r\nhost: x\r\n', lines(50, (index) => `x-${index}: y`)],
  '9 KiB of headers': [431, get('/echo?account=a', `x: ${'y'.repeat(9 * 1024)}\r\n`)],
  '64 KiB of headers': [
    431,
    get(
      '/echo?account=a',
      lines(8, (index) => `x-${index}: ${'y'.repeat(8 * 1024)}`),
    ),
  ],
  '200 KiB of headers': [431, get('/echo?account=a', `x: ${'y'.repeat(200 * 1024)}\r\n`)],
  'a header without an end': [431, 'GET /echo?account=a HTTP/1.1\r\nhost: x\r\nx: ', 'y'.repeat(4_096)],
  'a query of 5 KiB': [414, get(`/echo?account=a&x=${'y'.repeat(5 * 1024)}`)],
  'a query of 60 KiB': [414, get(`/echo?account=a&x=${'y'.repeat(60 * 1024)}`)],
  'a query without an end': [431, 'GET /echo?account=a&x=', 'y'.repeat(4_096)],
  'a path of 60 KiB': [414, get(`/${'y'.repeat(60 * 1024)}`)],
  'bytes of no UTF-8 in the path': [400, get('/accounts/\xff\xfe')],
  'bytes of UTF-8 in the path': [400, get('/accounts/\xc3\xa9')],
  'a path that decodes to no UTF-8': [400, get('/accounts/%ff%fe')],
  'a path that decodes to overlong UTF-8': [400, get('/accounts/%c0%af')],
  'half an escape in the path': [400, get('/accounts/%2')],
  'an escape that is none': [400, get('/accounts/%zz')],
  'a query key that decodes to no UTF-8': [400, get('/echo?account=%ff')],
  'bytes of no UTF-8 in the query': [400, get('/echo?account=\xff')],
  'bytes of no UTF-8 in the key header': [400, get('/echo', 'x-account-key: a\xffb\r\n')],
  'a path that goes up': [400, get('/accounts/../-/health')],
  'a path that goes up at its end': [400, get('/accounts/..')],
  'a path that goes up, encoded': [400, get('/accounts/%2e%2E')],
  'a path that stays': [400, get('/accounts/./a')],
  'NUL in the path': [400, get('/accounts/a%00b')],
  'NUL in the key': [400, get('/echo?account=a%00b')],
  'a line end in the key': [400, get('/echo?account=a%0d%0ab')],
};

for (const [what, [status, bytes, endless]] of Object.entries(TOO_MUCH)) {
  test(`${what} gets a clear ${status}`, async () => {
    const more = endless === undefined ? [] : Array.from({ length: 100 }, () => endless);
    // More than once at a time: an answer must not be lost to a connection that ends while the client still sends.
    await inParallel(
      Array.from({ length: 5 }, () => [bytes, ...more]),
      5,
      async (parts) => {
        const { received } = await rawExchange({ address, parts, until: 'answer' });
        assert.deepEqual(statusesIn(received), [status], received.slice(0, 200) || 'no answer');
      },
    );
  });
}

test('what is at the limit is taken', async () => {
  const body = 'x'.repeat(1024 * 1024);
  const bytes = [
    post(`content-length: ${body.length}`, body),
    post('transfer-encoding: chunked', `100000\r\n${body}\r\n0\r\n\r\n`),
    get(
      '/echo?account=a',
      lines(60, (index) => `x-${index}: y`),
    ),
    get(`/echo?account=a&x=${'y'.repeat(4_000)}`),
    get('/echo?account=%F0%9F%98%80'),
  ];
  for (const text of bytes) {
    const { received } = await rawExchange({ address, parts: [text], until: 'answer' });
    assert.deepEqual(statusesIn(received), [200], received.slice(0, 200));
  }
});
