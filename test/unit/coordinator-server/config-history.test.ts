import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CONFIGS_DOMAIN,
  CONFIGS_KEPT_MAX,
  ConfigHistory,
  type ConfigRecord,
  configRecordSchema,
} from '../../../coordinator-server/config-history.ts';
import type { ClusterConfig } from '../../../shared/config/cluster-schema.ts';
import { parseClusterConfig } from '../../../shared/config/load-cluster-config.ts';
import { PlatformError } from '../../../shared/errors.ts';
import { silentLogger } from '../../../shared/log.ts';
import type { PublishedState } from '../../../shared/published-state.ts';
import { MemoryParkStore } from '../../support/memory-park-store.ts';
import { smallClusterYaml, smallState } from '../../support/small-cluster.ts';

function historyOn(store: MemoryParkStore): ConfigHistory {
  return new ConfigHistory({ store, log: silentLogger, wallMs: () => Date.UTC(2026, 0, 2) });
}

interface Edit {
  readonly text: string;
  readonly config: ClusterConfig;
}

function edit(requestTimeoutMs: number): Edit {
  const text = smallClusterYaml({ requestTimeoutMs });
  const parsed = parseClusterConfig(text, 'cluster.yaml');
  assert.ok(parsed.ok);
  return { text, config: parsed.config };
}

function stateOf({ config }: Edit, epoch: number): PublishedState {
  return { ...smallState(epoch), config };
}

async function records(store: MemoryParkStore): Promise<ConfigRecord[]> {
  const { nodes } = await store.list(CONFIGS_DOMAIN, '', 1_000);
  return nodes.map(({ value }) => configRecordSchema.parse(JSON.parse(value)));
}

async function publish(history: ConfigHistory, edited: Edit, epoch: number): Promise<void> {
  history.offered(edited.config, edited.text);
  history.published(stateOf(edited, epoch));
  await history.settled();
}

test('every published config is kept as its file was, with what it changed', async () => {
  const store = new MemoryParkStore();
  const history = historyOn(store);
  await publish(history, edit(1_000), 1);
  await publish(history, edit(2_000), 3);
  const kept = await records(store);
  const facts = kept.map(({ epoch, changes, text, at }) => [epoch, changes, text, at]);
  assert.deepEqual(facts, [
    [1, ['birth'], edit(1_000).text, '2026-01-02T00:00:00.000Z'],
    [3, ['limits'], edit(2_000).text, '2026-01-02T00:00:00.000Z'],
  ]);
});

test('a state with the same config adds nothing', async () => {
  const store = new MemoryParkStore();
  const history = historyOn(store);
  await publish(history, edit(1_000), 1);
  const { revision } = store;
  await publish(history, edit(1_000), 2);
  assert.deepEqual([store.revision, (await records(store)).length], [revision, 1]);
});

test('a file that is read only after its config was published is added to the record', async () => {
  const store = new MemoryParkStore();
  const history = historyOn(store);
  const born = edit(1_000);
  history.offered(born.config, undefined);
  history.published(stateOf(born, 1));
  await history.settled();
  assert.equal((await records(store))[0]?.text, null);
  await publish(history, born, 1);
  const kept = await records(store);
  assert.deepEqual(
    kept.map(({ epoch, text }) => [epoch, text]),
    [[1, born.text]],
  );
});

test('a config is kept with its own text, though the file was edited again before it was recorded', async () => {
  const store = new MemoryParkStore();
  const history = historyOn(store);
  const [first, second] = [edit(1_000), edit(2_000)];
  history.offered(first.config, first.text);
  history.published(stateOf(first, 1));
  history.offered(second.config, second.text);
  await history.settled();
  assert.equal((await records(store))[0]?.text, first.text);
});

test('a coordinator that is elected goes on after the records of the one before, and knows what changed', async () => {
  const store = new MemoryParkStore();
  await publish(historyOn(store), edit(1_000), 1);
  const next = historyOn(store);
  next.begin();
  await publish(next, edit(2_000), 2);
  assert.deepEqual(
    (await records(store)).map(({ epoch, changes }) => [epoch, changes]),
    [
      [1, ['birth']],
      [2, ['limits']],
    ],
  );
});

test('only the newest are kept', async () => {
  const store = new MemoryParkStore();
  const history = historyOn(store);
  for (let epoch = 1; epoch <= CONFIGS_KEPT_MAX + 3; epoch++) await publish(history, edit(1_000 + epoch), epoch);
  const kept = (await records(store)).map(({ epoch }) => epoch);
  assert.deepEqual([kept.length, kept[0], kept.at(-1)], [CONFIGS_KEPT_MAX, 4, CONFIGS_KEPT_MAX + 3]);
});

test('what the park refused is recorded with the next publication', async () => {
  const store = new MemoryParkStore();
  const history = historyOn(store);
  store.refusal = new PlatformError('STORE_UNAVAILABLE', 'no');
  await publish(history, edit(1_000), 1);
  store.refusal = undefined;
  history.published(stateOf(edit(1_000), 2));
  await history.settled();
  assert.deepEqual(
    (await records(store)).map(({ epoch, text }) => [epoch, text]),
    [[2, edit(1_000).text]],
  );
});
