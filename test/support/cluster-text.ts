/** Cluster configs for tests: a small one that is right, to be changed one place at a time. */
import assert from 'node:assert/strict';
import type { ClusterConfig } from '../../shared/config/cluster-schema.ts';
import {
  type ConfigProblem,
  formatConfigProblems,
  parseClusterConfig,
} from '../../shared/config/load-cluster-config.ts';

export const SMALL_CLUSTER = `version: 1
cluster: small
token: { env: SMALL_TOKEN }
coordinator:
  servers:
    - { id: c1, listen: 127.0.0.1:7100, admin: 127.0.0.1:9100 }
interface:
  servers:
    - id: i1
      listen: 127.0.0.1:8080
      admin: 127.0.0.1:9080
dispatcher:
  servers:
    - { id: d1, listen: 127.0.0.1:7201, admin: 127.0.0.1:9201 }
groups:
  - id: g1
    frames: [0-49]
    appServers:
      - { id: g1a, listen: 127.0.0.1:7301, admin: 127.0.0.1:9301 }
    replicas:
      - { id: g1r1, kind: sqlite, file: g1/r1.sqlite }
      - { id: g1r2, kind: sqlite, file: g1/r2.sqlite }
  - id: g2
    frames: [50-99]
    appServers:
      - { id: g2a, listen: 127.0.0.1:7302, admin: 127.0.0.1:9302 }
    replicas:
      - { id: g2r1, kind: sqlite, file: g2/r1.sqlite }
services: [services/echo]
`;

/** @param from must stand in the text, once or more; the first is replaced */
export function changed(from: string, to: string, text: string = SMALL_CLUSTER): string {
  assert.ok(text.includes(from), `${from} is not in the text`);
  return text.replace(from, () => to);
}

export function configOf(text: string): ClusterConfig {
  const result = parseClusterConfig(text, 'test.yaml');
  if (!result.ok) assert.fail(formatConfigProblems(result.problems));
  return result.config;
}

export function problemsOf(text: string): readonly ConfigProblem[] {
  const result = parseClusterConfig(text, 'test.yaml');
  return result.ok ? [] : result.problems;
}

/** `line:column: path: message` of each problem. */
export function linesOf(text: string): string[] {
  return formatConfigProblems(problemsOf(text))
    .split('\n')
    .map((line) => line.replace('test.yaml:', ''));
}
