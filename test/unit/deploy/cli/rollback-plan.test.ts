import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConfigRecord, configChecksum } from '../../../../coordinator-server/config-history.ts';
import { historyText } from '../../../../deploy/cli/config-history.ts';
import { planRollback, planText } from '../../../../deploy/cli/rollback-plan.ts';
import { parseClusterConfig } from '../../../../shared/config/load-cluster-config.ts';
import type { PublishedState } from '../../../../shared/published-state.ts';
import {
  type SmallClusterOptions,
  smallBucketMap,
  smallClusterYaml,
  smallState,
} from '../../../support/small-cluster.ts';
import { rejectsWith } from '../../../support/store-conformance.ts';

function record(epoch: number, options: SmallClusterOptions): ConfigRecord {
  const text = smallClusterYaml(options);
  const parsed = parseClusterConfig(text, 'cluster.yaml');
  assert.ok(parsed.ok);
  return { epoch, at: '2026-01-02T00:00:00.000Z', changes: ['limits'], checksum: configChecksum(parsed.config), text };
}

function publishedAs(epoch: number, options: SmallClusterOptions): PublishedState {
  const parsed = parseClusterConfig(smallClusterYaml(options), 'cluster.yaml');
  assert.ok(parsed.ok);
  return { ...smallState(epoch), config: parsed.config, bucketMap: smallBucketMap(1) };
}

const RECORDS = [1_000, 2_000, 3_000].map((requestTimeoutMs, index) => record(index + 1, { requestTimeoutMs }));
const NOW = { requestTimeoutMs: 3_000 };

test('without an epoch the last config that is another comes back, with what that changes', () => {
  const plan = planRollback(RECORDS, undefined, publishedAs(9, NOW), smallClusterYaml(NOW));
  assert.deepEqual([plan.epoch, plan.publishedEpoch, plan.changes], [2, 9, ['limits']]);
  const text = planText(plan, 'cluster.yaml');
  assert.match(text, /^The config of epoch 2 would replace cluster\.yaml:\n/);
  assert.match(text, /^- limits: { requestTimeoutMs: 3000 }$/m);
  assert.match(text, /^\+ limits: { requestTimeoutMs: 2000 }$/m);
  assert.match(text, /published above epoch 9, and change: limits\.\n$/);
});

test('after a rollback the next one goes back to what was rolled back', () => {
  const again = [...RECORDS, record(4, { requestTimeoutMs: 2_000 })];
  const plan = planRollback(again, undefined, publishedAs(10, { requestTimeoutMs: 2_000 }), '');
  assert.equal(plan.epoch, 3);
});

test('a file with mistakes is replaced by the config that is published', () => {
  const plan = planRollback(RECORDS, '3', publishedAs(9, NOW), 'version: [');
  assert.deepEqual([plan.changes, plan.diff.length > 0], [[], true]);
  assert.match(planText(plan, 'f'), /this one already; only the file differs/);
});

test('an older config that would move data is refused with the reasons', () => {
  const moved = record(1, { frames: ['0-59', '60-99'] });
  assert.throws(
    () => planRollback([moved], '1', publishedAs(9, NOW), ''),
    rejectsWith('CONFIG_MOVES_DATA', /buckets 50-59 belong to g2, the file gives them to g1/),
  );
});

test('an older config that is not valid any more is refused with its mistakes', () => {
  const [first] = RECORDS as [ConfigRecord];
  const old = { ...first, text: (first.text ?? '').replace('services:', 'servants:') };
  assert.throws(
    () => planRollback([old], '1', publishedAs(9, NOW), ''),
    rejectsWith('CONFIG_INVALID', /epoch 1:\d+:1/),
  );
});

test('an epoch that was none, and one whose file was not kept, are refused', () => {
  const published = publishedAs(9, NOW);
  assert.throws(() => planRollback(RECORDS, '7', published, ''), rejectsWith('USAGE', /\(1, 2, 3\), got "7"/));
  const lost = RECORDS.map((one) => ({ ...one, text: null }));
  assert.throws(() => planRollback(lost, '1', published, ''), rejectsWith('USAGE', /whose file was kept/));
  assert.throws(() => planRollback(RECORDS.slice(2), undefined, published, ''), rejectsWith('USAGE', /older config/));
});

test('the history is a line for each config, and says which files were kept', () => {
  const [first, second] = RECORDS as [ConfigRecord, ConfigRecord];
  const lines = historyText([first, { ...second, text: null }], false)
    .trimEnd()
    .split('\n');
  assert.equal(lines.length, 3);
  assert.match(lines[1] ?? '', /^1 +2026-01-02T00:00:00\.000Z +[0-9a-f]{12} +yes +limits$/);
  assert.match(lines[2] ?? '', /^2 +.* no +limits$/);
  const json = JSON.parse(historyText([first], true)) as object[];
  assert.deepEqual(json, [{ epoch: 1, at: first.at, changes: ['limits'], checksum: first.checksum, kept: true }]);
});
