/** docs/metrics.md lists every metric that the servers export, with its type and its tiers, and no other. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { readDocument, tableOf } from '../../support/markdown.ts';
import { readSources } from '../../support/tidy/source-tree.ts';

const TIER_OF_FOLDER: Readonly<Record<string, readonly string[]>> = {
  'interface-server': ['interface'],
  'dispatcher-server': ['dispatcher'],
  'app-server': ['app'],
  'coordinator-server': ['coordinator'],
  // What the three tiers of a request have in common: shared/cluster-member.ts.
  shared: ['interface', 'dispatcher', 'app'],
};
const TIER_ORDER = ['interface', 'dispatcher', 'app', 'coordinator'];
const TYPE_OF_CALL: Readonly<Record<string, string>> = { counter: 'counter', latency: 'histogram', gauge: 'gauge' };

/** name → `type: tiers`, from the calls of Metrics in the source. */
function exportedMetrics(): Map<string, string> {
  const found = new Map<string, { type: string; tiers: Set<string> }>();
  for (const { path: file, text } of readSources(path.resolve(import.meta.dirname, '../../..'))) {
    const tiers = TIER_OF_FOLDER[file.split('/')[0] ?? ''];
    if (tiers === undefined) continue;
    for (const [, call = '', name = ''] of text.matchAll(
      /metrics\s*\.(counter|latency|gauge)\(\s*'(trunkline_\w+)'/g,
    )) {
      const metric = found.get(name) ?? { type: TYPE_OF_CALL[call] ?? call, tiers: new Set() };
      for (const tier of tiers) metric.tiers.add(tier);
      found.set(name, metric);
    }
  }
  return new Map(
    [...found].map(([name, { type, tiers }]) => [
      name,
      `${type}: ${TIER_ORDER.filter((tier) => tiers.has(tier)).join(', ')}`,
    ]),
  );
}

test('the table of metrics is that of the source', () => {
  const documented = tableOf(readDocument('docs/metrics.md'), ['name', 'type', 'labels']).map(
    ([name, type, , tiers]) => [name, `${type}: ${tiers}`],
  );
  const exported = exportedMetrics();
  assert.ok(exported.size > 15, 'the source was found');
  assert.deepEqual(Object.fromEntries(documented), Object.fromEntries(exported));
  assert.equal(documented.length, exported.size, 'each is there once');
});

test('alarms name metrics that exist', () => {
  const exported = exportedMetrics();
  const expressions = tableOf(readDocument('docs/metrics.md'), ['expression', 'says']).map(([cell]) => cell ?? '');
  for (const expression of expressions) {
    const [name = ''] = /trunkline_\w+/.exec(expression) ?? [];
    assert.ok(exported.has(name), expression);
  }
});
