import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import {
  type BenchResult,
  headlinesMarkdown,
  newestResults,
  resultMarkdown,
  writeResult,
} from '../../bench/support/result.ts';
import { tempFolder } from '../../support/test-cluster.ts';

const RESULT: BenchResult = {
  part: 'route',
  measuredAt: '2026-11-20T12:53:44.792Z',
  machine: { cpus: 2, model: 'EPYC', node: 'v22.1.0' },
  peers: { nginx: '1.22.1' },
  rounds: 5,
  seconds: 4,
  rows: [
    { case: 'c = 1', contestant: 'ours', figures: { requestsPerSecond: 10, cpuMicrosPerRequest: 2.5 } },
    { case: 'c = 1', contestant: 'theirs', figures: { requestsPerSecond: 20 } },
  ],
  verdicts: [
    {
      case: 'c = 1',
      figure: 'requestsPerSecond',
      of: 'ours',
      against: 'theirs',
      bound: { atLeast: 1 },
      headline: true,
      measured: 0.5,
      lowest: 0.4,
      highest: 0.5,
      verdict: 'not met',
    },
    {
      case: 'c = 1',
      figure: 'cpuMicrosPerRequest',
      of: 'ours',
      against: 'nobody',
      bound: { atMost: 1 },
      measured: null,
      lowest: null,
      highest: null,
      verdict: 'not measured',
    },
  ],
  notes: ['skipped: HAProxy'],
};

test('a result is a table of figures, a table of goals that hides none, its notes and its place', () => {
  assert.equal(
    resultMarkdown(RESULT),
    `| case | | requests/s | CPU µs/request |
| --- | --- | --- | --- |
| c = 1 | ours | 10 | 2.5 |
| c = 1 | theirs | 20 | |

| case | compared | measured (lowest … highest round) | goal | |
| --- | --- | --- | --- | --- |
| c = 1 | requests/s, ours ÷ theirs | 0.50 (0.40 … 0.50) | ≥ 1 | **not met** |
| c = 1 | CPU µs/request, ours ÷ nobody | | ≤ 1 | **not measured** |

- skipped: HAProxy

2026-11-20, EPYC, 2 cores, Node 22.1.0, nginx 1.22.1; medians of 5 rounds of 4 s.
`,
  );
});

test('the headlines are the goals that are marked so, with the part they are of', () => {
  assert.match(headlinesMarkdown([RESULT]), /^.*\n.*\n\| route \| c = 1 \| requests\/s, .* \| \*\*not met\*\* \|\n$/);
});

test('a result is kept under its part and date, and the newest of each part counts', () => {
  const folder = tempFolder();
  try {
    writeResult(RESULT, folder);
    writeResult({ ...RESULT, measuredAt: '2026-12-01T00:00:00.000Z', seconds: 7 }, folder);
    writeResult({ ...RESULT, part: 'read' }, folder);
    assert.deepEqual(fs.readdirSync(folder).sort(), [
      'read-2026-11-20.json',
      'route-2026-11-20.json',
      'route-2026-12-01.json',
    ]);
    const newest = newestResults(folder).map(({ part, seconds }) => [part, seconds]);
    assert.deepEqual(newest, [
      ['read', 4],
      ['route', 7],
    ]);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});
