/** A config of two groups for tests of coordination, as text (what an operator edits) and as a value. */
import { type ClusterConfig, clusterSchema } from '../../shared/config/cluster-schema.ts';
import type { BucketMap, PublishedState, RouteEntry } from '../../shared/published-state.ts';

export interface SmallClusterOptions {
  /** host:port of the coordinator. */
  readonly listen?: string;
  readonly admin?: string;
  readonly frames?: readonly [string, string];
  readonly requestTimeoutMs?: number;
  readonly leaseTtlMs?: number;
  /** Id of a third dispatcher-tier server, to have something to add. */
  readonly extraDispatcher?: string;
}

export function smallClusterYaml(options: SmallClusterOptions = {}): string {
  const [first, second] = options.frames ?? ['0-49', '50-99'];
  const extra = options.extraDispatcher;
  return `version: 1
cluster: small
token: { file: token.txt }
coordinator:
  leaseTtlMs: ${options.leaseTtlMs ?? 1_000}
  servers:
    - { id: c1, listen: "${options.listen ?? '127.0.0.1:7001'}", admin: "${options.admin ?? '127.0.0.1:7101'}" }
interface:
  servers:
    - { id: i1, listen: "127.0.0.1:8080", admin: "127.0.0.1:7102" }
dispatcher:
  servers:
    - { id: d1, listen: "127.0.0.1:7201", admin: "127.0.0.1:7103" }
${extra === undefined ? '' : `    - { id: ${extra}, listen: "127.0.0.1:7202", admin: "127.0.0.1:7104" }\n`}groups:
  - id: g1
    frames: [${first}]
    appServers:
      - { id: g1a, listen: "127.0.0.1:7301", admin: "127.0.0.1:7105" }
      - { id: g1b, listen: "127.0.0.1:7302", admin: "127.0.0.1:7106" }
    replicas:
      - { id: g1r1, kind: sqlite, file: g1/r1.db }
      - { id: g1r2, kind: sqlite, file: g1/r2.db }
  - id: g2
    frames: [${second}]
    appServers:
      - { id: g2a, listen: "127.0.0.1:7303", admin: "127.0.0.1:7107" }
    replicas:
      - { id: g2r1, kind: sqlite, file: g2/r1.db }
      - { id: g2r2, kind: sqlite, file: g2/r2.db }
services: [services/echo]
limits: { requestTimeoutMs: ${options.requestTimeoutMs ?? 10_000} }
`;
}

/** The same cluster as `smallClusterYaml()`. A fresh value at each call: tests change it. */
export function smallClusterConfig(): ClusterConfig {
  const app = (id: string, port: number) => ({ id, listen: `127.0.0.1:${port}`, admin: `127.0.0.1:${port + 1_000}` });
  const replicas = (group: string) =>
    ['r1', 'r2'].map((id) => ({ id: `${group}${id}`, kind: 'sqlite', file: `${group}/${id}.db` }));
  return clusterSchema.parse({
    version: 1,
    cluster: 'small',
    token: { file: 'token.txt' },
    coordinator: { servers: [app('c1', 7001)] },
    interface: { servers: [app('i1', 8080)] },
    dispatcher: { servers: [app('d1', 7201)] },
    groups: [
      { id: 'g1', frames: ['0-49'], appServers: [app('g1a', 7301), app('g1b', 7302)], replicas: replicas('g1') },
      { id: 'g2', frames: ['50-99'], appServers: [app('g2a', 7303)], replicas: replicas('g2') },
    ],
    services: ['services/echo'],
  });
}

export function smallBucketMap(epoch: number): BucketMap {
  return { epoch, groupIds: ['g1', 'g2'], owners: Array.from({ length: 100 }, (_, bucket) => (bucket < 50 ? 0 : 1)) };
}

export function echoRoute(pattern = '/echo'): RouteEntry {
  return { service: 'echo', method: '*', pattern, accountParam: null, requestClass: 'interactive', contentTypes: [] };
}

export function smallState(epoch: number): PublishedState {
  return {
    epoch,
    term: 1,
    config: smallClusterConfig(),
    bucketMap: smallBucketMap(epoch),
    routes: [echoRoute()],
    takenOut: {},
  };
}
