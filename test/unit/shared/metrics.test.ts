import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Histogram, Metrics } from '../../../shared/metrics.ts';

const IDENTITY = { serverId: 'i1', tier: 'interface' } as const;

function bare(): Metrics {
  return new Metrics(IDENTITY, { processMetrics: false });
}

interface Line {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Reads Prometheus text strictly. @throws AssertionError at the first line that is not of the format */
function parse(text: string): Line[] {
  const lines: Line[] = [];
  const typed = new Set<string>();
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const type = /^# TYPE ([a-z_0-9]+) (counter|gauge|histogram|summary)$/.exec(line);
    if (type !== null) typed.add(type[1] as string);
    if (line.startsWith('#')) {
      assert.match(line, /^# (HELP|TYPE) [a-z_0-9]+ .+$/);
      continue;
    }
    const sample = /^([a-z_0-9]+)(?:\{(.*)\})? (-?[0-9.e+-]+|Nan|[+-]Inf)$/.exec(line);
    assert.ok(sample !== null, `not a sample: ${line}`);
    const [, name = '', block = '', value = ''] = sample;
    const labels: Record<string, string> = {};
    const rest = block.replaceAll(
      /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)",?/g,
      (_all, key: string, text: string) => {
        labels[key] = text;
        return '';
      },
    );
    assert.equal(rest, '', `labels of: ${line}`);
    assert.ok(
      [...typed].some((family) => name.startsWith(family)),
      `no TYPE before: ${line}`,
    );
    lines.push({ name, labels, value: Number(value) });
  }
  return lines;
}

test('counters, gauges and latencies are told in Prometheus text, each with its server and tier', async () => {
  const metrics = bare();
  metrics.counter('t_total', 'things', { kind: 'a' }).value += 3;
  metrics.gauge('t_now', 'now', () => 1.5);
  metrics.gauge('t_each', 'each', () => [{ labels: { peer: 'p1' }, value: 1 }]);
  metrics.latency('t_seconds', 'time').observe(7);
  const lines = parse(await metrics.text());
  for (const { labels } of lines) assert.deepEqual([labels['server'], labels['tier']], ['i1', 'interface']);
  const told = (name: string): number | undefined => lines.find((line) => line.name === name)?.value;
  assert.deepEqual([told('t_total'), told('t_now'), told('t_each')], [3, 1.5, 1]);
  assert.deepEqual([told('t_seconds_sum'), told('t_seconds_count')], [0.007, 1]);
});

test('a latency falls into every bucket at or above it, and the last bucket has all', async () => {
  const metrics = bare();
  const latency = metrics.latency('t_seconds', 'time');
  for (const elapsedMs of [0, 0.1, 7, 1_000, 99_999]) latency.observe(elapsedMs);
  const buckets = parse(await metrics.text()).filter(({ name }) => name === 't_seconds_bucket');
  const at = (le: string): number | undefined => buckets.find(({ labels }) => labels['le'] === le)?.value;
  assert.deepEqual([at('0.0001'), at('0.005'), at('0.01'), at('1'), at('10'), at('+Inf')], [2, 2, 3, 4, 4, 5]);
  for (const [index, { value }] of buckets.entries())
    assert.ok(index === 0 || value >= (buckets[index - 1]?.value ?? 0));
});

test('the process’s own metrics are there unless they are not wanted', async () => {
  const lines = parse(await new Metrics(IDENTITY).text());
  assert.ok(lines.some(({ name }) => name === 'process_cpu_seconds_total'));
  assert.equal(await bare().text(), '\n');
});

test('odd label values do not break the text', async () => {
  const metrics = bare();
  metrics.counter('t_total', 'things', { kind: 'a"b\\c\nd' }).value++;
  assert.equal(parse(await metrics.text())[0]?.value, 1);
});

test('M1: the same name and labels give the same counter, and others another', () => {
  const metrics = bare();
  const counter = metrics.counter('t_total', 'things', { kind: 'a' });
  assert.equal(metrics.counter('t_total', 'things', { kind: 'a' }), counter);
  assert.notEqual(metrics.counter('t_total', 'things', { kind: 'b' }), counter);
  assert.ok(metrics.latency('t_seconds', 'time') instanceof Histogram);
});

test('M2: label sets past the bound are counted together as `other`, and those before it go on', async () => {
  const metrics = bare();
  for (let index = 0; index < 700; index++) metrics.counter('t_total', 'things', { path: `/${index}` }).value++;
  metrics.counter('t_total', 'things', { path: '/0' }).value++;
  const lines = parse(await metrics.text());
  assert.equal(lines.length, 501);
  assert.equal(lines.find(({ labels }) => labels['path'] === 'other')?.value, 200);
  assert.equal(lines.find(({ labels }) => labels['path'] === '/0')?.value, 2);
});

test('M2: a gauge of many values is cut', async () => {
  const metrics = bare();
  metrics.gauge('t_each', 'each', () =>
    Array.from({ length: 900 }, (_, index) => ({ labels: { n: String(index) }, value: 1 })),
  );
  assert.equal(parse(await metrics.text()).length, 500);
});
