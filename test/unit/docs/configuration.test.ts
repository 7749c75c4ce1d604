/** docs/configuration.md tells every field of cluster.yaml, with the bounds and the default that the schema has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterJsonSchema, type SchemaNode } from '../../../shared/config/cluster-json-schema.ts';
import { parseClusterConfig } from '../../../shared/config/load-cluster-config.ts';
import { fencesOf, readDocument, tableOf } from '../../support/markdown.ts';

interface Field {
  /** Its bounds or choices; undefined when the schema has only a pattern for it, which the document says in words. */
  readonly values: string | undefined;
  readonly default: string;
}

type SchemaNodeWithDefault = SchemaNode & { readonly default?: unknown; readonly required?: readonly string[] };

/** All servers are written alike: they stand in the document once. */
function fieldName(path: string): string {
  return path.replace(/^(coordinator|interface|dispatcher)\.servers\[\]|^groups\[\]\.appServers\[\]/, '<server>');
}

function collect(node: SchemaNodeWithDefault, path: string, isRequired: boolean, fields: Map<string, Field>): void {
  const add = (values: string | undefined, standing = defaultText(node.default, isRequired)): void =>
    void fields.set(fieldName(path), { values, default: standing });
  if (node.oneOf !== undefined) {
    for (const branch of node.oneOf) collect(branch, path, isRequired, fields);
  } else if (node.type === 'object') {
    for (const [key, child] of Object.entries(node.properties ?? {})) {
      collect(child, path === '' ? key : `${path}.${key}`, node.required?.includes(key) ?? false, fields);
    }
    if (typeof node.additionalProperties === 'object') {
      collect(node.additionalProperties, `${path}.<class>`, true, fields);
    }
  } else if (node.type === 'array') {
    // A section that is left out as a whole has the default; what is in it is required once it is written out.
    add(`${node.minItems ?? 0}${node.maxItems === undefined ? ' or more' : `..${node.maxItems}`}`);
    if (node.items?.type === 'object' || node.items?.oneOf !== undefined)
      collect(node.items, `${path}[]`, true, fields);
  } else {
    add(valuesText(node));
  }
}

function valuesText(node: SchemaNode): string | undefined {
  if (node.enum !== undefined) return node.enum.join(', ');
  if (node.type === 'boolean') return 'true, false';
  if (node.type !== 'integer' && node.type !== 'number') return undefined;
  if (node.const !== undefined) return String(node.const);
  const least = node.exclusiveMinimum === undefined ? numberText(node.minimum) : `over ${node.exclusiveMinimum}`;
  return `${least}..${numberText(node.maximum)}`;
}

function numberText(value: unknown): string {
  return typeof value === 'number' ? value.toLocaleString('en-US') : '?';
}

function defaultText(value: unknown, isRequired: boolean): string {
  if (value === undefined) return isRequired ? 'required' : 'none';
  return typeof value === 'number' ? numberText(value) : String(value);
}

const text = readDocument('docs/configuration.md');

test('every field of the schema stands in the table, with its bounds and default', () => {
  const fields = new Map<string, Field>();
  collect(clusterJsonSchema() as SchemaNodeWithDefault, '', true, fields);
  const rows = tableOf(text, ['field', 'values', 'default', 'a change']);
  assert.deepEqual(rows.map(([name]) => name).toSorted(), [...fields.keys()].toSorted());
  for (const [name = '', values, standing] of rows) {
    const field = fields.get(name);
    if (field?.values !== undefined) assert.equal(values, field.values, `values of ${name}`);
    assert.equal(standing, field?.default, `default of ${name}`);
  }
});

test('the default queue classes are those of the schema', () => {
  const queues: SchemaNodeWithDefault = clusterJsonSchema().properties?.['queues'] ?? {};
  const defaults = queues.default as Readonly<Record<string, Readonly<Record<string, number>>>>;
  const rows = tableOf(text, ['class', 'weight', 'capacity', 'capacityBytes', 'waitMsMax', 'concurrency']);
  const documented = rows.map(([name, ...numbers]) => [name, numbers]);
  const known = Object.entries(defaults).map(([name, { weight, capacity, capacityBytes, waitMsMax, concurrency }]) => [
    name,
    [weight, capacity, capacityBytes, waitMsMax, concurrency].map(numberText),
  ]);
  assert.deepEqual(documented, known);
});

test('the examples that are whole configs are valid', () => {
  const examples = fencesOf(text).filter(({ info, text: yaml }) => info === 'yaml' && yaml.startsWith('version:'));
  assert.ok(examples.length > 0);
  for (const example of examples) {
    const result = parseClusterConfig(example.text, `docs/configuration.md, line ${example.line}`);
    assert.deepEqual(result.ok ? [] : result.problems, []);
  }
});
