/**
 * Rules between the fields of a config that passed its schema: each a function from the config to what breaks it.
 */
import path from 'node:path';
import { assignFrames } from '../routing/frames.ts';
import type { ClusterConfig, ServerConfig } from './cluster-schema.ts';
import { type PlacedProblem, pathText } from './schema-problems.ts';

type Path = readonly (string | number)[];
type Rule = (config: ClusterConfig) => PlacedProblem[];

/** Each class has queues and metrics of its own on every server. */
const QUEUE_CLASSES_MAX = 16;
/** Served when a route names no class. */
const DEFAULT_QUEUE_CLASS = 'interactive';

const RULES: readonly Rule[] = [
  idsAreUnique,
  addressesAreUnique,
  peersCanBeDialled,
  framesCoverEveryBucket,
  replicasAreAlike,
  databasesAreUnique,
  queuesFitRequests,
  keySourcesAreDistinct,
  limitsAgree,
  healthAgrees,
  dataFolderIsItsOwn,
  servicesAreDistinct,
  coordinatorsFitTheirStore,
];

/** @returns everything that breaks a rule; empty for a config that can be run */
export function clusterRuleProblems(config: ClusterConfig): PlacedProblem[] {
  return RULES.flatMap((rule) => rule(config));
}

function problem(at: Path, message: string): PlacedProblem {
  return { path: at, anchor: 'value', message };
}

interface PlacedServer {
  readonly at: Path;
  readonly server: ServerConfig;
}

function tierServers(config: ClusterConfig): PlacedServer[] {
  const { checkpointer } = config.coordinator;
  const standby = checkpointer === undefined ? [] : [{ at: ['coordinator', 'checkpointer'], server: checkpointer }];
  const inTiers = (['coordinator', 'interface', 'dispatcher'] as const).flatMap((tier) =>
    config[tier].servers.map((server, index) => ({ at: [tier, 'servers', index], server })),
  );
  return [...inTiers, ...standby];
}

function appServers(config: ClusterConfig): PlacedServer[] {
  return config.groups.flatMap((group, groupIndex) =>
    group.appServers.map((server, index) => ({ at: ['groups', groupIndex, 'appServers', index], server })),
  );
}

/** One problem for every place whose value was somewhere before. */
function repeated(
  places: readonly { readonly at: Path; readonly value: string; readonly came: string }[],
  expected: string,
): PlacedProblem[] {
  const firstOf = new Map<string, Path>();
  return places.flatMap(({ at, value, came }) => {
    const first = firstOf.get(value);
    if (first === undefined) firstOf.set(value, at);
    return first === undefined
      ? []
      : [problem(at, `expected ${expected}, came ${came}, which is ${pathText(first)} already`)];
  });
}

/** One name space for servers, groups and replicas: a name in a log line or a metric means one thing. */
function idsAreUnique(config: ClusterConfig): PlacedProblem[] {
  const groups = config.groups.flatMap((group, index): { at: Path; id: string }[] => [
    { at: ['groups', index, 'id'], id: group.id },
    ...group.appServers.map(({ id }, server) => ({ at: ['groups', index, 'appServers', server, 'id'], id })),
    ...group.replicas.map(({ id }, replica) => ({ at: ['groups', index, 'replicas', replica, 'id'], id })),
  ]);
  const tiers = tierServers(config).map(({ at, server }) => ({ at: [...at, 'id'], id: server.id }));
  return repeated(
    [...tiers, ...groups].map(({ at, id }) => ({ at, value: id, came: id })),
    'an id of its own',
  );
}

function addressesAreUnique(config: ClusterConfig): PlacedProblem[] {
  const places = [...tierServers(config), ...appServers(config)].flatMap(({ at, server }) =>
    (['listen', 'admin'] as const).map((field) => ({ at: [...at, field], address: server[field] })),
  );
  return repeated(
    places
      .filter(({ address }) => portOf(address) !== 0) // port 0 is a different one every time
      .map(({ at, address }) => ({ at, value: `${hostOf(address)}:${portOf(address)}`, came: address })),
    'an address of its own',
  );
}

/** What a server listens on is also what its peers dial; of interface servers nobody here is a client. */
function peersCanBeDialled(config: ClusterConfig): PlacedProblem[] {
  const dialled = [...tierServers(config).filter(({ at }) => at[0] !== 'interface'), ...appServers(config)];
  return dialled
    .filter(({ server }) => ['0.0.0.0', '[::]'].includes(hostOf(server.listen)))
    .map(({ at, server }) =>
      problem(
        [...at, 'listen'],
        `expected a host that its peers can reach, came ${server.listen}; name the host or its address`,
      ),
    );
}

function hostOf(address: string): string {
  const host = address.slice(0, address.lastIndexOf(':')).toLowerCase();
  return host === 'localhost' ? '127.0.0.1' : host;
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}

function framesCoverEveryBucket(config: ClusterConfig): PlacedProblem[] {
  return assignFrames(config).problems.map(({ path: at, message }) => problem(at, message));
}

function replicasAreAlike(config: ClusterConfig): PlacedProblem[] {
  return config.groups.flatMap((group, groupIndex) =>
    group.replicas.flatMap(({ kind }, index) =>
      kind === group.replicas[0]?.kind
        ? []
        : [
            problem(
              ['groups', groupIndex, 'replicas', index, 'kind'],
              `expected all replicas of a group to be of one kind, ${group.replicas[0]?.kind} as the first, came ${kind}`,
            ),
          ],
    ),
  );
}

/** Two replicas on one database would be one, and would fail together. */
function databasesAreUnique(config: ClusterConfig): PlacedProblem[] {
  const places = config.groups.flatMap((group, groupIndex) =>
    group.replicas.map((replica, index) => {
      const at: Path = ['groups', groupIndex, 'replicas', index];
      if (replica.kind === 'sqlite') {
        return { at: [...at, 'file'], value: path.resolve('/', config.dataFolder, replica.file), came: replica.file };
      }
      const where = `${hostOf(replica.address)}:${portOf(replica.address)}/${replica.database}`;
      return { at: [...at, 'database'], value: `mysql ${where}`, came: where };
    }),
  );
  const inMemory = places
    .filter(({ came }) => /^(:memory:|file:)/.test(came))
    .map(({ at, came }) => problem(at, `expected the path of a file, came ${came}; a replica keeps its data`));
  return [...inMemory, ...repeated(places, 'a database of its own')];
}

function queuesFitRequests({ queues, limits }: ClusterConfig): PlacedProblem[] {
  const problems: PlacedProblem[] = [];
  const names = Object.keys(queues);
  if (names.length > QUEUE_CLASSES_MAX) {
    problems.push(problem(['queues'], `expected at most ${QUEUE_CLASSES_MAX} request classes, came ${names.length}`));
  }
  const usual = queues[DEFAULT_QUEUE_CLASS];
  if (usual === undefined) {
    const came = names.length === 0 ? 'none' : names.join(', ');
    problems.push(
      problem(['queues'], `expected the class ${DEFAULT_QUEUE_CLASS}, which routes have by default, came ${came}`),
    );
    return problems;
  }
  const largest = limits.bodyBytesMax + limits.headerBytesMax + limits.targetBytesMax;
  if (usual.capacityBytes < largest) {
    problems.push(
      problem(
        ['queues', DEFAULT_QUEUE_CLASS, 'capacityBytes'],
        `expected room for one request of the largest size (limits.bodyBytesMax + headerBytesMax + targetBytesMax = ${largest}), came ${usual.capacityBytes}`,
      ),
    );
  }
  return problems;
}

function keySourcesAreDistinct({ accountKey: { sources } }: ClusterConfig): PlacedProblem[] {
  const problems = repeated(
    sources.map((source, index) => ({
      at: ['accountKey', 'sources', index],
      value: JSON.stringify(source),
      came: JSON.stringify(source),
    })),
    'each source once',
  );
  const firstBody = sources.findIndex((source) => 'body' in source);
  for (const [index, source] of sources.entries()) {
    if (firstBody === -1 || index < firstBody || 'body' in source) continue;
    problems.push(
      problem(
        ['accountKey', 'sources', index],
        'expected body sources last, because they cost parsing the body, came this one after a body source',
      ),
    );
  }
  return problems;
}

function limitsAgree({ limits }: ClusterConfig): PlacedProblem[] {
  if (limits.requestTimeoutMs <= limits.requestTimeoutMsMax) return [];
  const message = `expected at most limits.requestTimeoutMsMax, which is ${limits.requestTimeoutMsMax}, came ${limits.requestTimeoutMs}`;
  return [problem(['limits', 'requestTimeoutMs'], message)];
}

function healthAgrees({ health }: ClusterConfig): PlacedProblem[] {
  const problems: PlacedProblem[] = [];
  if (health.pongSuspectMs < 2 * health.pingEveryMs) {
    const least = 2 * health.pingEveryMs;
    problems.push(
      problem(
        ['health', 'pongSuspectMs'],
        `expected at least two pings of health.pingEveryMs, which is ${least}, came ${health.pongSuspectMs}`,
      ),
    );
  }
  if (health.pongDeadMs <= health.pongSuspectMs) {
    problems.push(
      problem(
        ['health', 'pongDeadMs'],
        `expected more than health.pongSuspectMs, which is ${health.pongSuspectMs}, came ${health.pongDeadMs}`,
      ),
    );
  }
  return problems;
}

/** `trunkline reset` removes this folder. */
function dataFolderIsItsOwn({ dataFolder }: ClusterConfig): PlacedProblem[] {
  const folder = path.normalize(`${dataFolder}/`);
  const isOthersToo = folder === '/' || folder === './' || folder.startsWith('../');
  return isOthersToo
    ? [problem(['dataFolder'], `expected a folder for nothing but data, e.g. data, came ${dataFolder}`)]
    : [];
}

function servicesAreDistinct({ services }: ClusterConfig): PlacedProblem[] {
  return repeated(
    services.map((folder, index) => ({ at: ['services', index], value: path.normalize(`${folder}/`), came: folder })),
    'each folder once',
  );
}

/** A journal is one process's; coordinators that share an etcd keep nothing of their own. */
function coordinatorsFitTheirStore({ coordinator }: ClusterConfig): PlacedProblem[] {
  const { store, endpoints, servers, checkpointer } = coordinator;
  const problems: PlacedProblem[] = [];
  if (store === 'etcd') {
    if (endpoints.length === 0)
      problems.push(
        problem(['coordinator', 'endpoints'], 'expected the endpoints of etcd with `store: etcd`, came none'),
      );
    if (checkpointer !== undefined)
      problems.push(
        problem(['coordinator', 'checkpointer'], 'expected none with `store: etcd`, which keeps its own copies'),
      );
    return problems;
  }
  if (servers.length > 1)
    problems.push(
      problem(
        ['coordinator', 'servers'],
        `expected one coordinator with \`store: journal\`, came ${servers.length}; several share an etcd`,
      ),
    );
  if (endpoints.length > 0)
    problems.push(
      problem(['coordinator', 'endpoints'], 'expected none with `store: journal`; endpoints are of `store: etcd`'),
    );
  return problems;
}
