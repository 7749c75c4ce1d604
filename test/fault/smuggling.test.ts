/**
 * Request smuggling: whatever bytes come on one connection, no request is found inside or behind another that a proxy in
 * front would not have seen there. Every shape of smuggling-shapes.ts, whole and cut in two at every byte.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type EdgeCluster, startEdgeCluster } from '../support/edge-cluster.ts';
import { inParallel } from '../support/in-parallel.ts';
import { type RawAnswer, rawExchange, statusesIn } from '../support/raw-exchange.ts';
import { type Fate, SHAPES, type Shape, TARGET_BYTES_MAX } from '../support/smuggling-shapes.ts';

/** Sockets open at once: enough to hide the waiting, few enough for any limit on open files. */
const SOCKETS_MAX = 400;

const DIRECT = SHAPES.filter(({ behindProxiesOnly }) => behindProxiesOnly !== true);

let edge: EdgeCluster;

before(async () => {
  edge = await startEdgeCluster({
    change: (config) => {
      config.limits.targetBytesMax = TARGET_BYTES_MAX;
    },
  });
});

after(async () => {
  await edge.close();
});

interface Attempt {
  readonly shape: Shape;
  readonly outer: string;
  readonly smuggled: string;
  readonly parts: readonly string[];
}

/** @param cutAt 0: not at all */
function attemptOf(shape: Shape, number: number, cutAt: number): Attempt {
  const [outer, smuggled] = [`outer-${number}`, `smuggled-${number}`];
  const bytes = shape.bytes(outer, smuggled);
  return { shape, outer, smuggled, parts: cutAt === 0 ? [bytes] : [bytes.slice(0, cutAt), bytes.slice(cutAt)] };
}

/** @returns what is wrong with the answer; '' when nothing is */
function wrongWith({ received, ended }: RawAnswer, fate: Fate): string {
  const [first, ...more] = statusesIn(received);
  const silent = received === '' && !ended;
  if (silent && (fate === 'waits' || fate === 'either')) return '';
  if (!ended && fate !== 'one') return `was not ended, got ${first ?? 'nothing'}`;
  if ((fate === 'refused' || fate === 'waits') && first !== undefined && !isClearRefusal(first)) return `got ${first}`;
  if (fate === 'one' && first !== 200) return `expected 200, got ${first ?? 'nothing'}`;
  if (fate === 'followed' && more.length === 1 && isClearRefusal(more[0] as number)) return '';
  return more.length === 0 ? '' : `got more than one answer (${[first, ...more].join()})`;
}

/** 505 is what the parser says of a request line it cannot read. */
function isClearRefusal(status: number): boolean {
  return (status >= 400 && status < 500) || status === 505;
}

const UNTIL = {
  refused: 'end',
  ended: 'end',
  followed: 'end',
  one: 'answer',
  waits: 'nothing',
  either: 'nothing',
} as const;
const RUNS_MAX = { refused: 0, ended: 1, followed: 1, one: 1, waits: 0, either: 1 } as const;

/** Sends all, then asks the app server what it has run. @returns what is wrong, one line for each shape */
async function complaintsAbout(attempts: readonly Attempt[]): Promise<string[]> {
  const wrong: string[] = [];
  const tell = ({ shape, parts }: Attempt, what: string): void => {
    const cut = parts.length === 1 ? 'whole' : `cut at ${parts[0]?.length}`;
    wrong.push(`${shape.name}, ${cut}: ${what}`);
  };
  await inParallel(attempts, SOCKETS_MAX, async (attempt) => {
    const { shape, parts } = attempt;
    const answer = await rawExchange({ address: edge.addresses[0] as string, parts, until: UNTIL[shape.fate] });
    const what = wrongWith(answer, shape.fate);
    if (what !== '') tell(attempt, what);
  });
  const marks = await edge.marks();
  const sent = Map.groupBy(attempts, ({ outer }) => outer);
  for (const same of sent.values()) {
    const [{ shape, outer, smuggled }] = same as [Attempt];
    const runs = marks[outer]?.runs ?? 0;
    if (runs > RUNS_MAX[shape.fate] * same.length) wrong.push(`${shape.name}: ran ${runs} times`);
    if (marks[smuggled] !== undefined) wrong.push(`${shape.name}: THE SMUGGLED REQUEST RAN`);
  }
  return wrong;
}

test('there are 60 shapes and more', () => assert.ok(DIRECT.length >= 60, String(DIRECT.length)));

test('no shape becomes two requests, and each gets what the table says', async () => {
  assert.deepEqual(await complaintsAbout(DIRECT.map((shape, index) => attemptOf(shape, index, 0))), []);
});

test('no shape becomes two requests when it comes in two parts', async (context) => {
  const attempts = DIRECT.flatMap((shape, index) => {
    const bytes = shape.bytes('outer-10000', 'smuggled-10000').length;
    const cuts: Attempt[] = [];
    for (let at = 1; at < bytes; at++) cuts.push(attemptOf(shape, 10_000 + index, at));
    return cuts;
  });
  const startedAt = performance.now();
  assert.deepEqual(await complaintsAbout(attempts), []);
  context.diagnostic(`${attempts.length} connections in ${Math.round(performance.now() - startedAt)} ms`);
});

test('two plain requests do both run, so the checks above can fail', async () => {
  const parts = ['one', 'two'].map((name) => `GET /mark?account=plain-${name} HTTP/1.1\r\nhost: x\r\n\r\n`);
  await rawExchange({ address: edge.addresses[0] as string, parts, until: 'answer' });
  const marks = await edge.marks();
  assert.deepEqual([marks['plain-one']?.runs, marks['plain-two']?.runs], [1, 1]);
});
