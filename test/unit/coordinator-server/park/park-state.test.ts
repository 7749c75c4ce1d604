/** The park in memory against a model of maps, its undo, its sessions and times. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decide } from '../../../../coordinator-server/park/park-rules.ts';
import { GRACE_MS, ParkState, type Undo } from '../../../../coordinator-server/park/park-state.ts';
import { PlatformError } from '../../../../shared/errors.ts';
import type { ParkWrite } from '../../../../shared/park/park-model.ts';
import { fewerRuns } from '../../../support/property-runs.ts';

const SESSIONS = ['a', 'b'].map((letter) => letter.repeat(32));
const DOMAINS = ['d', 'e'];
const NODES = ['x', 'y', 'z'];

const name = fc.record({ domain: fc.constantFrom(...DOMAINS), node: fc.constantFrom(...NODES) });
const value = fc.constantFrom('1', '2', '"long"');
const aWrite: fc.Arbitrary<ParkWrite> = fc.oneof(
  fc
    .record({ name, value, ephemeral: fc.boolean() })
    .map(({ name, value, ephemeral }) => ({ op: 'create', ...name, value, ephemeral }) as const),
  fc.record({ name, value }).map(({ name, value }) => ({ op: 'put', ...name, value }) as const),
  fc
    .record({ name, value, ifVersion: fc.integer({ min: 1, max: 3 }) })
    .map(({ name, value, ifVersion }) => ({ op: 'update', ...name, value, ifVersion }) as const),
  name.map((at) => ({ op: 'delete', ...at }) as const),
  fc.constantFrom(...DOMAINS).map((domain) => ({ op: 'delete-domain', domain }) as const),
);
const aStep = fc.record({
  session: fc.constantFrom(...SESSIONS),
  writes: fc.array(aWrite, { minLength: 1, maxLength: 4 }),
  endsSession: fc.integer({ min: 0, max: 15 }).map((die) => die === 0),
});

/** All there is, in a form that can be compared. */
function contentOf(state: ParkState): unknown {
  const nodes: unknown[] = [];
  for (let domain = state.nextDomain(''); domain !== undefined; domain = state.nextDomain(domain.record.domain)) {
    nodes.push([domain.record, domain.nodes, state.domainRevision(domain.record.domain)]);
    for (
      let node = state.nextNode(domain.record.domain, '');
      node !== undefined;
      node = state.nextNode(node.domain, node.node)
    )
      nodes.push(node);
  }
  const sessions = [...state.sessionIds()]
    .toSorted()
    .map((id) => [id, [...(state.session(id)?.nodes ?? [])].toSorted()]);
  return { nodes, sessions, count: state.nodes, bytes: state.bytes };
}

function born(): ParkState {
  const state = new ParkState();
  for (const id of SESSIONS) state.apply([{ kind: 'session', id, name: id.slice(0, 1), ttlMs: 1_000 }], 0);
  return state;
}

/** @returns how to undo it; undefined: refused */
function take(
  state: ParkState,
  { session, writes, endsSession }: { session: string; writes: ParkWrite[]; endsSession: boolean },
): Undo[] | undefined {
  if (endsSession && state.session(session) !== undefined) {
    const removes = [...(state.session(session)?.nodes ?? [])].map((key) => {
      const [domain = '', node = ''] = key.split('/');
      return { kind: 'remove', domain, node } as const;
    });
    return state.apply([...removes, { kind: 'session-ended', id: session }], 0);
  }
  const id = state.session(session) === undefined ? '' : session;
  try {
    return state.apply(decide(state, { session: id, force: true, platform: false }, { writes }).changes, 0);
  } catch (thrown) {
    assert.ok(thrown instanceof PlatformError, String(thrown));
    return undefined;
  }
}

test('values and versions are those of a model of plain maps', () => {
  fc.assert(
    fc.property(fc.array(aStep, { maxLength: 30 }), (steps) => {
      const state = born();
      const model = new Map<string, { value: string; version: number; owner: string }>();
      for (const step of steps) {
        const session = state.session(step.session);
        if (take(state, step) === undefined) continue;
        if (step.endsSession && session !== undefined) {
          for (const [key, { owner }] of model) if (owner === step.session) model.delete(key);
          continue;
        }
        for (const write of step.writes) apply(model, write, step.session);
      }
      const found = valuesOf(state);
      assert.deepEqual(
        found,
        new Map([...model].map(([key, { value, version }]) => [key, { value, version }] as const).toSorted()),
      );
      assert.equal(state.nodes, model.size);
    }),
    fewerRuns(4),
  );
});

function valuesOf(state: ParkState): Map<string, unknown> {
  const found = new Map<string, unknown>();
  for (const domain of DOMAINS) {
    for (const node of NODES) {
      const record = state.node(domain, node);
      if (record !== undefined) found.set(`${domain}/${node}`, { value: record.value, version: record.version });
    }
  }
  return found;
}

function apply(
  model: Map<string, { value: string; version: number; owner: string }>,
  write: ParkWrite,
  session: string,
): void {
  if (write.op === 'delete-domain') {
    for (const key of [...model.keys()]) if (key.startsWith(`${write.domain}/`)) model.delete(key);
    return;
  }
  if (write.op === 'set-deletable') return;
  const key = `${write.domain}/${write.node}`;
  if (write.op === 'delete') model.delete(key);
  else {
    const known = model.get(key);
    const owner = known?.owner ?? (write.op === 'create' && write.ephemeral === true ? session : '');
    model.set(key, { value: write.value, version: (known?.version ?? 0) + 1, owner });
  }
}

test('undone in reverse order, the park is what it was; done again, what it became', () => {
  fc.assert(
    fc.property(fc.array(aStep, { maxLength: 12 }), fc.array(aStep, { maxLength: 12 }), (before, after) => {
      const state = born();
      for (const step of before) take(state, step);
      const was = structuredClone(contentOf(state));
      const undone: Undo[][] = [];
      for (const step of after) undone.push(take(state, step) ?? []);
      for (const undo of undone.reverse()) state.undo(undo);
      assert.deepEqual(contentOf(state), was);
    }),
    fewerRuns(4),
  );
});

test('recorded changes, put in force again on top of themselves, change nothing', () => {
  fc.assert(
    fc.property(fc.array(aStep, { maxLength: 20 }), fc.integer({ min: 0, max: 20 }), (steps, from) => {
      const state = born();
      const records: Parameters<ParkState['load']>[] = SESSIONS.map((id, index) => [
        [{ kind: 'session', id, name: id.slice(0, 1), ttlMs: 1_000 }],
        index + 1,
        0,
      ]);
      for (const { session, writes } of steps) {
        try {
          const { changes, outcome } = decide(state, { session, force: true, platform: false }, { writes });
          state.apply(changes, 0);
          records.push([changes, outcome.revision, 0]);
        } catch {
          // refused: nothing is recorded
        }
      }
      const loaded = new ParkState();
      for (const record of records) loaded.load(...record);
      for (const record of records.slice(from)) loaded.load(...record);
      const values = (park: ParkState) => contentOf(park) as { nodes: unknown[]; count: number };
      assert.deepEqual(values(loaded).nodes, values(state).nodes);
      assert.equal(loaded.bytes, state.bytes);
      assert.equal(loaded.revision, state.revision);
    }),
    fewerRuns(4),
  );
});

test('a session ends its time and the grace after its last renewal, and says so each time it is asked', () => {
  const state = born();
  const [id = ''] = SESSIONS;
  state.renew(id, 500);
  assert.deepEqual(state.due(1_000 + GRACE_MS, 10).sessions, [SESSIONS[1]]);
  assert.deepEqual(state.due(1_499 + GRACE_MS, 10).sessions.includes(id), false);
  assert.ok(state.due(1_500 + GRACE_MS, 10).sessions.includes(id));
  assert.ok(state.due(1_500 + GRACE_MS, 10).sessions.includes(id));
  assert.equal(state.renew('c'.repeat(32), 0), false);
});

test('a node with a TTL is due so long after its last write, once', () => {
  const state = new ParkState();
  const write = (writes: ParkWrite[], nowMs: number): unknown =>
    state.apply(decide(state, { session: '', force: false, platform: false }, { writes }).changes, nowMs);
  write([{ op: 'create', domain: 'd', node: 'x', value: '1', ttlMs: 1_000 }], 0);
  for (let nowMs = 100; nowMs <= 900; nowMs += 100) write([{ op: 'put', domain: 'd', node: 'x', value: '2' }], nowMs);
  assert.deepEqual(state.due(1_899, 10).nodes, []);
  assert.deepEqual(state.due(1_900, 10).nodes, [{ domain: 'd', node: 'x' }]);
  assert.deepEqual(state.due(9_999, 10).nodes, []);
  state.dueAgain('d', 'x', 10_000);
  assert.deepEqual(state.due(10_000, 10).nodes, [{ domain: 'd', node: 'x' }]);
});

test('a TTL that is shortened counts from then on, and one that is taken away no more', () => {
  const state = new ParkState();
  const write = (write: ParkWrite, nowMs: number): Undo[] =>
    state.apply(decide(state, { session: '', force: false, platform: false }, { writes: [write] }).changes, nowMs);
  const put = { op: 'put', domain: 'd', value: '1' } as const;
  for (const node of ['short', 'none']) write({ ...put, node, ttlMs: 1_000_000 }, 0);
  write({ ...put, node: 'short', ttlMs: 100 }, 1_000);
  write({ ...put, node: 'none', ttlMs: 0 }, 1_000);
  assert.deepEqual(state.due(1_099, 10).nodes, []);
  assert.deepEqual(state.due(1_100, 10).nodes, [{ domain: 'd', node: 'short' }]);
  assert.deepEqual(state.due(9_000_000, 10).nodes, []);
});

test('a write or deletion that is taken back leaves a node its time', () => {
  const put = { op: 'put', domain: 'd', value: '2' } as const;
  const undone: readonly ParkWrite[] = [
    { ...put, node: 'x', ttlMs: 100 },
    { ...put, node: 'x', ttlMs: 0 },
    { ...put, node: 'x', ttlMs: 1_000_000 },
    { op: 'delete', domain: 'd', node: 'x' },
    { op: 'delete-domain', domain: 'd' },
  ];
  for (const write of undone) {
    const state = new ParkState();
    const writer = { session: '', force: true, platform: false };
    const take = (one: ParkWrite, nowMs: number): Undo[] =>
      state.apply(decide(state, writer, { writes: [one] }).changes, nowMs);
    take({ op: 'create', domain: 'd', node: 'x', value: '1', ttlMs: 2_000 }, 0);
    state.undo(take(write, 500));
    assert.deepEqual(state.due(1_999, 10).nodes, [], write.op);
    assert.deepEqual(state.due(2_000, 10).nodes, [{ domain: 'd', node: 'x' }], write.op);
  }
});
