/**
 * Shape of `cluster.yaml`, in zod. What one field alone can get wrong is said here; what two fields together can
 * (two servers on one port, frames with a gap) is in cluster-rules.ts.
 *
 * Every message of ours reads 'expected …', because schema-problems.ts goes on with ', came …'. No check changes what
 * was written, except by filling in a default or lower-casing a header's name: a config passes again unchanged.
 *
 * After a change: `./trunkline config schema > deploy/clusters/cluster.schema.json`.
 */
import { z } from 'zod';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Ids appear in URLs, metrics labels and file names. */
const id = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,31}$/, 'expected an id: a lower-case letter, then up to 31 of a-z 0-9 -')
  .describe('Name of this part, unique in the cluster, e.g. g1a');

const address = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]{1,253}):\d{1,5}$/, {
    abort: true,
    error: 'expected host:port, e.g. 127.0.0.1:7001',
  })
  .refine((text) => Number(text.slice(text.lastIndexOf(':') + 1)) <= 65_535, 'expected a port of at most 65535')
  .describe('host:port');

const path = z
  .string()
  .min(1)
  .max(1024)
  .regex(/^[^\0]*$/, 'expected a path without a NUL character');

const secret = z
  .union(
    [
      z.strictObject({
        env: z
          .string()
          .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'expected the name of an environment variable, e.g. CLUSTER_TOKEN')
          .describe('Name of an environment variable'),
      }),
      z.strictObject({
        file: path.describe('A file that holds nothing else; relative to the folder the command runs in'),
      }),
    ],
    'expected { env: NAME } or { file: path }',
  )
  .describe('Where a secret is read from: { env: NAME } or { file: path }. Never written in this file itself');

const server = z.strictObject({
  id,
  listen: address.describe('host:port where this server listens and its peers find it'),
  admin: address.describe(
    'host:port of its admin listener: /metrics, /-/health, /-/ready, /-/status. Keep it on loopback',
  ),
});

const policy = z.enum(['round-robin', 'random', 'least-loaded']).describe('How a working peer is chosen');

const FRAME_EXPECTED = 'expected a bucket or a range of buckets, e.g. 77 or 0-32';

const frameRange = z
  .union([z.int().min(0).max(65_535), z.string().regex(/^\d{1,5}(-\d{1,5})?$/, FRAME_EXPECTED)], FRAME_EXPECTED)
  .describe('A bucket, or a range first-last');

const sqliteReplica = z.strictObject({
  id,
  kind: z.literal('sqlite'),
  file: path.describe('Path of the database file; relative to dataFolder'),
});

const mysqlUser = z.strictObject({ user: z.string().min(1).max(80), password: secret });

const mysqlReplica = z.strictObject({
  id,
  kind: z.literal('mysql'),
  address: address.describe('host:port of a MySQL or MariaDB server'),
  database: z.string().regex(/^[A-Za-z0-9_]{1,64}$/, 'expected up to 64 letters, digits or _'),
  writer: mysqlUser.describe('Account used by writes and recovery only'),
  reader: mysqlUser.describe('Account used by reads only').optional(),
  writerConnections: z.int().min(1).max(64).default(4),
  readerConnections: z.int().min(1).max(256).default(8),
});

const accountKeySource = z.union(
  [
    z.strictObject({
      path: z
        .string()
        .regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, 'expected the name of a path parameter, e.g. account')
        .describe('Name of a path parameter'),
    }),
    z.strictObject({
      header: z
        .string()
        .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/, 'expected the name of a request header, e.g. x-account-key')
        .toLowerCase()
        .describe('Name of a request header'),
    }),
    z.strictObject({ query: z.string().min(1).max(128).describe('Name of a query parameter') }),
    z.strictObject({
      body: z
        .string()
        .max(256)
        .regex(/^(\/([^/~]|~[01])*)+$/, 'expected a JSON pointer, e.g. /account/id')
        .describe('JSON pointer into the body; the only source for which a body is parsed before the app server'),
    }),
  ],
  'expected { path: name }, { header: name }, { query: name } or { body: pointer }',
);

const queueClass = z.strictObject({
  weight: z.int().min(1).max(100).describe('Share of a busy scanner, against the other classes'),
  capacity: z.int().min(1).max(1_000_000).describe('Most requests waiting; one more is refused with QUEUE_FULL'),
  capacityBytes: z
    .int()
    .min(KIB)
    .max(4096 * MIB)
    .default(64 * MIB)
    .describe('Most bytes of requests waiting'),
  waitMsMax: z
    .int()
    .min(10)
    .max(600_000)
    .default(1_000)
    .describe('Longest wait in the queue of an interface server; what would wait longer is refused with QUEUE_FULL'),
  concurrency: z.int().min(1).max(60_000).describe('Most requests handed on and not yet answered, per server'),
});

export const DEFAULT_QUEUES = {
  interactive: { weight: 16, capacity: 4096, capacityBytes: 64 * MIB, waitMsMax: 1_000, concurrency: 1024 },
  background: { weight: 4, capacity: 4096, capacityBytes: 64 * MIB, waitMsMax: 5_000, concurrency: 128 },
  control: { weight: 1, capacity: 256, capacityBytes: 4 * MIB, waitMsMax: 1_000, concurrency: 64 },
};

const limits = z.strictObject({
  bodyBytesMax: z
    .int()
    .min(1)
    .max(64 * MIB)
    .default(MIB)
    .describe('Largest request body'),
  replyBytesMax: z
    .int()
    .min(KIB)
    .max(64 * MIB)
    .default(4 * MIB)
    .describe('Largest reply body'),
  headerBytesMax: z
    .int()
    .min(KIB)
    .max(64 * KIB)
    .default(8 * KIB)
    .describe('Request headers, names and values together'),
  headerCountMax: z.int().min(8).max(500).default(64).describe('Most request headers'),
  targetBytesMax: z
    .int()
    .min(64)
    .max(16 * KIB)
    .default(4 * KIB)
    .describe('Path and query together'),
  requestTimeoutMs: z.int().min(10).max(600_000).default(10_000).describe('Deadline when the client names none'),
  requestTimeoutMsMax: z.int().min(10).max(600_000).default(60_000).describe('Longest x-request-timeout-ms'),
  slowClientMs: z
    .int()
    .min(1_000)
    .max(15_000)
    .default(10_000)
    .describe('Longest pause of a client in the middle of a request or reply'),
  allowChunkedBodies: z
    .boolean()
    .default(true)
    .describe('Accept `Transfer-Encoding: chunked`, exactly; false refuses every Transfer-Encoding'),
  drainMs: z
    .int()
    .min(100)
    .max(600_000)
    .default(2_000)
    .describe('Longest time a stopping server finishes what is in flight'),
});

const health = z.strictObject({
  pingEveryMs: z.int().min(20).max(10_000).default(250).describe('How often a peer is asked'),
  pongSuspectMs: z
    .int()
    .min(50)
    .max(60_000)
    .default(700)
    .describe(
      'A peer silent for longer gets no new requests, and what was out to it goes elsewhere, unless it is the last',
    ),
  pongDeadMs: z
    .int()
    .min(100)
    .max(120_000)
    .default(5_000)
    .describe('A peer silent for longer is dead: its link is closed'),
  consecutiveFailuresMax: z.int().min(1).max(1_000).default(5).describe('Failed replies in a row that eject a peer'),
  errorRateMax: z.number().gt(0).max(1).default(0.4).describe('Share of failed replies that ejects a peer'),
  slowRatioMax: z
    .number()
    .min(1.5)
    .max(1_000)
    .default(5)
    .describe('Latency against the median of its peers that ejects a peer'),
  slowMsMin: z
    .number()
    .min(1)
    .max(60_000)
    .default(100)
    .describe('A peer faster than this is never ejected for slowness'),
  ejectMs: z
    .int()
    .min(100)
    .max(600_000)
    .default(10_000)
    .describe('How long an ejected peer rests before it is tried again'),
});

const retries = z.strictObject({
  budgetRatio: z.number().min(0).max(1).default(0.2).describe('Retries allowed, as a share of requests'),
  attemptsMax: z
    .int()
    .min(1)
    .max(10)
    .default(4)
    .describe('Times one request is sent, the first time included, per tier'),
});

const group = z.strictObject({
  id,
  frames: z
    .array(frameRange)
    .min(1)
    .optional()
    .describe('Buckets of this group; left out when the cluster says `frames: N`'),
  policy: policy.default('round-robin'),
  appServers: z.array(server).min(1).max(64),
  replicas: z
    .array(z.discriminatedUnion('kind', [sqliteReplica, mysqlReplica]))
    .min(1)
    .max(8)
    .describe('Independent databases, each holding all data of the group; all of one kind; the first is the leader'),
});

const etcdEndpoint = z.string().regex(/^https?:\/\/[^\s/]+$/, 'expected http://HOST:PORT or https://HOST:PORT');

const domainPattern = z
  .string()
  .regex(/^([A-Za-z0-9][A-Za-z0-9._:-]{0,127}\*?|\*)$/, 'expected a domain, the beginning of some and *, or *');

const parkClient = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'expected a name of letters, digits and . _ -'),
  key: secret.describe('What it shows instead of the cluster token'),
  domains: z.array(domainPattern).min(1).max(64).describe('What it may see: names, or beginnings of names with a *'),
  rights: z.enum(['read', 'read-write']).default('read-write'),
});

const journal = z.strictObject({
  flushEveryMs: z
    .int()
    .min(1)
    .max(1_000)
    .default(10)
    .describe('What a crash may take of the domains in `asyncDomains`'),
  asyncDomains: z
    .array(domainPattern)
    .max(64)
    .default([])
    .describe('Domains whose writes are answered before they are on disk: names, or beginnings of names with a *'),
});

export const clusterSchema = z
  .strictObject({
    version: z.literal(1).describe('Version of this file format'),
    cluster: id.describe('Name of the cluster; servers of another cluster are refused'),
    token: secret.describe('What servers show each other'),
    dataFolder: path
      .default('data')
      .describe('Where everything that lasts is kept; relative to the folder the command runs in'),
    coordinator: z.strictObject({
      servers: z.array(server).min(1).max(7).describe('One with a journal; several with etcd, of which one leads'),
      leaseTtlMs: z
        .int()
        .min(200)
        .max(60_000)
        .default(1_000)
        .describe('A server silent for longer is no member any more'),
      store: z
        .enum(['journal', 'etcd'])
        .default('journal')
        .describe('Where coordinators keep the park: on the disk of the one there is, or in etcd'),
      endpoints: z.array(etcdEndpoint).max(16).default([]).describe('Of etcd: e.g. http://10.0.0.1:2379'),
      journal: journal.prefault({}),
      parkClients: z
        .array(parkClient)
        .max(64)
        .default([])
        .describe('Who may use the park over HTTP, besides the cluster'),
      checkpointer: server
        .optional()
        .describe('Follows the journal, makes its snapshots, and can be promoted in the place of a lost coordinator'),
    }),
    interface: z.strictObject({
      dispatcherPolicy: policy.default('round-robin'),
      servers: z.array(server).min(1).max(64),
    }),
    dispatcher: z.strictObject({
      servers: z.array(server).min(1).max(64),
      linksPerPeer: z.int().min(1).max(8).default(1).describe('Connections to each app server'),
    }),
    hash: z
      .strictObject({
        kind: z.enum(['jdk-string', 'jdk-utf8']).default('jdk-string'),
        buckets: z.int().min(1).max(65_536).default(100).describe('Chosen at birth, never changed'),
      })
      .prefault({}),
    accountKey: z
      .strictObject({
        sources: z.array(accountKeySource).min(1).max(8).describe('Tried in this order'),
      })
      .default({ sources: [{ path: 'account' }, { header: 'x-account-key' }, { query: 'account' }] }),
    frames: z
      .int()
      .min(1)
      .max(100)
      .optional()
      .describe('Split the buckets evenly over the groups: their number. The last group takes the rest'),
    groups: z.array(group).min(1).max(100),
    services: z.array(path).min(1).max(100).describe('Folders of services; relative to the folder the command runs in'),
    queues: z
      .record(id, queueClass)
      .default(DEFAULT_QUEUES)
      .describe('Request classes; written out, they replace the default three; `interactive` must be there'),
    limits: limits.prefault({}),
    health: health.prefault({}),
    retries: retries.prefault({}),
  })
  .describe('A Trunkline cluster');

/** A validated `cluster.yaml` with every default filled in. */
export type ClusterConfig = z.infer<typeof clusterSchema>;
export type ServerConfig = z.infer<typeof server>;
export type GroupConfig = z.infer<typeof group>;
export type ReplicaConfig = GroupConfig['replicas'][number];
export type SqliteReplicaConfig = z.infer<typeof sqliteReplica>;
export type MysqlReplicaConfig = z.infer<typeof mysqlReplica>;
export type AccountKeySource = z.infer<typeof accountKeySource>;
export type QueueClassConfig = z.infer<typeof queueClass>;
export type LimitsConfig = z.infer<typeof limits>;
export type HealthConfig = z.infer<typeof health>;
export type ParkClientConfig = z.infer<typeof parkClient>;
export type ChoicePolicy = z.infer<typeof policy>;
export type SecretSource = z.infer<typeof secret>;
