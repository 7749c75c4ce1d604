import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { checkLinearizable } from '../../../support/history/linearizability.ts';
import { type NodeInput, type NodeOperation, type NodeOutput, nodeModel } from '../../../support/history/node-model.ts';
import { fewerRuns } from '../../../support/property-runs.ts';

type Line = readonly [calledAtMs: number, answeredAtMs: number | undefined, input: NodeInput, output?: NodeOutput];

function history(lines: readonly Line[]): NodeOperation[] {
  return lines.map(([calledAtMs, atMs, input, output], index) => ({
    client: `client ${index}`,
    input,
    calledAtMs,
    answer: atMs === undefined || output === undefined ? undefined : { output, atMs },
  }));
}

const put = (value: string): NodeInput => ({ op: 'put', value });
const GET: NodeInput = { op: 'get' };
const ABSENT: NodeOutput = { kind: 'absent' };
const written = (version: number): NodeOutput => ({ kind: 'written', version, revision: version });
const read = (value: string, version: number): NodeOutput => ({ kind: 'read', value, version, revision: version });

const GOOD: Record<string, readonly Line[]> = {
  'one after the other': [
    [0, 1, GET, ABSENT],
    [2, 3, put('a'), written(1)],
    [4, 5, GET, read('a', 1)],
    [6, 7, { op: 'delete' }, { kind: 'deleted' }],
    [8, 9, GET, ABSENT],
    [10, 11, { op: 'create', value: 'b' }, written(1)],
  ],
  'a read during a write may see it or not, but not both ways': [
    [0, 10, put('a'), written(1)],
    [1, 2, GET, ABSENT],
    [3, 4, GET, read('a', 1)],
  ],
  'two writes at once in either order': [
    [0, 10, put('a'), written(2)],
    [0, 10, put('b'), written(1)],
    [11, 12, GET, read('a', 2)],
  ],
  'a write without an answer that never happened': [
    [0, undefined, put('a')],
    [5, 6, GET, ABSENT],
    [7, 8, put('b'), written(1)],
  ],
  'a write without an answer that happened late': [
    [0, undefined, put('a')],
    [5, 6, GET, ABSENT],
    [7, 8, put('b'), written(1)],
    [9, 10, GET, read('a', 2)],
  ],
  'a write without an answer that only a version shows': [
    [0, undefined, put('a')],
    [5, 6, put('b'), written(2)],
  ],
  'a delete without an answer': [
    [0, 1, put('a'), written(1)],
    [2, undefined, { op: 'delete' }],
    [3, 4, GET, read('a', 1)],
    [5, 6, GET, ABSENT],
  ],
  'compare and set: one wins, one hears of a conflict': [
    [0, 1, put('a'), written(1)],
    [2, 9, { op: 'update', value: 'b', ifVersion: 1 }, { kind: 'conflict' }],
    [2, 9, { op: 'update', value: 'c', ifVersion: 1 }, written(2)],
    [10, 11, { op: 'create', value: 'd' }, { kind: 'exists' }],
  ],
};

const BAD: Record<string, readonly Line[]> = {
  'a read that is stale': [
    [0, 1, put('a'), written(1)],
    [2, 3, put('b'), written(2)],
    [4, 5, GET, read('a', 1)],
  ],
  'a lost write': [
    [0, 1, put('a'), written(1)],
    [2, 3, GET, ABSENT],
  ],
  'reads that go back during a write': [
    [0, 10, put('a'), written(1)],
    [1, 2, GET, read('a', 1)],
    [3, 4, GET, ABSENT],
  ],
  'a write that happened twice': [
    [0, 1, put('a'), written(1)],
    [2, 3, put('b'), written(2)],
    [4, 5, GET, read('a', 3)],
  ],
  'two that won the same compare and set': [
    [0, 1, put('a'), written(1)],
    [2, 9, { op: 'update', value: 'b', ifVersion: 1 }, written(2)],
    [2, 9, { op: 'update', value: 'c', ifVersion: 1 }, written(2)],
  ],
  'a refused create that happened': [
    [0, 1, { op: 'create', value: 'a' }, { kind: 'exists' }],
    [2, 3, GET, ABSENT],
  ],
  'a value that nobody wrote': [[0, 1, GET, read('x', 1)]],
  'a value that was read before anybody wrote it': [
    [0, 1, GET, read('a', 1)],
    [2, undefined, put('a')],
  ],
  'a write without an answer that happened and was taken back': [
    [0, undefined, put('a')],
    [1, 2, GET, read('a', 1)],
    [3, 4, GET, ABSENT],
  ],
};

describe('histories that have an order', () => {
  for (const [name, lines] of Object.entries(GOOD))
    test(name, () => assert.equal(checkLinearizable(nodeModel, history(lines)).kind, 'linearizable'));
});

describe('histories that have none', () => {
  for (const [name, lines] of Object.entries(BAD))
    test(name, () => assert.equal(checkLinearizable(nodeModel, history(lines)).kind, 'not-linearizable'));
});

test('a refusal says how far an order went, and what could not follow', () => {
  const verdict = checkLinearizable(nodeModel, history(BAD['a read that is stale'] ?? []));
  assert.ok(verdict.kind === 'not-linearizable');
  assert.deepEqual([verdict.longest.length, verdict.stuck.client], [2, 'client 2']);
});

interface Planned {
  readonly input: NodeInput;
  readonly startsAfterMs: number;
  readonly beforeMs: number;
  readonly afterMs: number;
  readonly isUnanswered: boolean;
}

const input: fc.Arbitrary<NodeInput> = fc.oneof(
  fc.constant(GET),
  fc.constant({ op: 'delete' } as const),
  fc.constant({ op: 'put', value: '' } as const),
  fc.constant({ op: 'create', value: '' } as const),
  fc.record({ op: fc.constant('update' as const), value: fc.constant(''), ifVersion: fc.integer({ min: 1, max: 4 }) }),
);
const planned: fc.Arbitrary<Planned> = fc.record({
  input,
  startsAfterMs: fc.integer({ min: 0, max: 9 }),
  beforeMs: fc.integer({ min: 0, max: 20 }),
  afterMs: fc.integer({ min: 0, max: 20 }),
  isUnanswered: fc.integer({ min: 0, max: 5 }).map((number) => number === 0),
});

/** What a right park would have answered: each operation happens at one instant between its call and its answer. */
function performed(plan: readonly Planned[]): NodeOperation[] {
  let nowMs = 0;
  const timed = plan.map((step, index) => {
    nowMs += step.startsAfterMs;
    const unique = 'value' in step.input ? { ...step.input, value: `v${index}` } : step.input;
    return { ...step, input: unique, index, calledAtMs: nowMs, happensAtMs: nowMs + step.beforeMs + index / 1_000 };
  });
  let node: { value: string; version: number } | undefined;
  const operations: NodeOperation[] = [];
  for (const step of timed.toSorted((a, b) => a.happensAtMs - b.happensAtMs)) {
    const [output, next] = answered(node, step.input);
    node = next;
    const answer = step.isUnanswered ? undefined : { output, atMs: step.happensAtMs + step.afterMs };
    operations.push({ client: String(step.index), input: step.input, calledAtMs: step.calledAtMs, answer });
  }
  return operations;
}

type Held = { value: string; version: number } | undefined;

/** The park's rules, said once more and simpler. */
function answered(node: Held, asked: NodeInput): [NodeOutput, Held] {
  if (asked.op === 'get') return [node === undefined ? ABSENT : read(node.value, node.version), node];
  if (asked.op === 'create' && node !== undefined) return [{ kind: 'exists' }, node];
  if (node === undefined && (asked.op === 'update' || asked.op === 'delete')) return [ABSENT, node];
  if (asked.op === 'delete') return [{ kind: 'deleted' }, undefined];
  if (asked.op === 'update' && asked.ifVersion !== node?.version) return [{ kind: 'conflict' }, node];
  const version = (node?.version ?? 0) + 1;
  return [written(version), { value: asked.value, version }];
}

test('whatever a right park answers has an order', () => {
  fc.assert(
    fc.property(fc.array(planned, { minLength: 1, maxLength: 40 }), (plan) => {
      assert.equal(checkLinearizable(nodeModel, performed(plan)).kind, 'linearizable');
    }),
    fewerRuns(4),
  );
});

test('an answer changed to one of another version has none', () => {
  fc.assert(
    fc.property(fc.array(planned, { minLength: 5, maxLength: 40 }), fc.nat(), (plan, choice) => {
      const operations = performed(plan.map((step) => ({ ...step, isUnanswered: false })));
      const readers = operations.filter(({ answer }) => answer?.output.kind === 'read');
      const chosen = readers[choice % Math.max(1, readers.length)];
      if (chosen?.answer?.output.kind !== 'read') return;
      const { output, atMs } = chosen.answer;
      const wrong = { ...chosen, answer: { output: { ...output, version: output.version + 1 }, atMs } };
      const changed = operations.map((operation) => (operation === chosen ? wrong : operation));
      assert.equal(checkLinearizable(nodeModel, changed).kind, 'not-linearizable');
    }),
    fewerRuns(4),
  );
});
