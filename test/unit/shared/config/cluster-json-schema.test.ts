import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import {
  clusterJsonSchema,
  clusterJsonSchemaText,
  type SchemaNode,
} from '../../../../shared/config/cluster-json-schema.ts';

const CLUSTERS = path.resolve(import.meta.dirname, '../../../../deploy/clusters');

test('the committed JSON Schema is the one the schema makes (else: ./trunkline config schema > deploy/clusters/cluster.schema.json)', () => {
  assert.equal(readFileSync(path.join(CLUSTERS, 'cluster.schema.json'), 'utf8'), clusterJsonSchemaText());
});

test('the local cluster tells editors where the schema is', () => {
  const [firstLine] = readFileSync(path.join(CLUSTERS, 'local.yaml'), 'utf8').split('\n');
  assert.equal(firstLine, '# yaml-language-server: $schema=./cluster.schema.json');
});

test('what has a default may be left out', () => {
  const schema = clusterJsonSchema() as SchemaNode & { required: string[] };
  assert.deepEqual(schema.required, [
    'version',
    'cluster',
    'token',
    'coordinator',
    'interface',
    'dispatcher',
    'groups',
    'services',
  ]);
});

test('every key of the first two levels is described or holds keys that are', () => {
  const undescribed = Object.entries(clusterJsonSchema().properties ?? {}).filter(
    ([, node]) => node.description === undefined && node.properties === undefined && node.items === undefined,
  );
  assert.deepEqual(undescribed, []);
});
