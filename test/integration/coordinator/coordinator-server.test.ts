/** A real coordinator on real ports, edited, killed and restarted, with servers that are only their client. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { birthEpochOf } from '../../../coordinator-server/publication.ts';
import { startCoordinatorServer } from '../../../coordinator-server/start-coordinator-server.ts';
import { systemClock } from '../../../shared/clock.ts';
import type { ClusterConfig } from '../../../shared/config/cluster-schema.ts';
import { readClusterConfigFile } from '../../../shared/config/load-cluster-config.ts';
import { CoordinationClient } from '../../../shared/coordination-client.ts';
import type { JoinNotice } from '../../../shared/coordination-messages.ts';
import { makeIncarnation } from '../../../shared/ids.ts';
import type { LinkRole } from '../../../shared/link/greeting.ts';
import type { Link } from '../../../shared/link/link.ts';
import { LinkDialer } from '../../../shared/link/link-dialer.ts';
import { linkSettingsOf } from '../../../shared/link/link-settings.ts';
import { silentLogger } from '../../../shared/log.ts';
import type { PublishedState, RouteEntry } from '../../../shared/published-state.ts';
import { systemRandom } from '../../../shared/random.ts';
import type { RunningServer, Tier } from '../../../shared/server-process.ts';
import { eventually } from '../../support/eventually.ts';
import { freeAddress } from '../../support/free-ports.ts';
import {
  echoRoute,
  type SmallClusterOptions,
  smallClusterConfig,
  smallClusterYaml,
} from '../../support/small-cluster.ts';

const TOKEN = 'a'.repeat(64);
const settings = linkSettingsOf(smallClusterConfig());
const MAIN = new URL('../../../coordinator-server/main.ts', import.meta.url).pathname;

let folder: string;
let configFile: string;
let addresses: { readonly listen: string; readonly admin: string };
let closers: (() => unknown)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trunkline-coordinator-'));
  configFile = join(folder, 'cluster.yaml');
  addresses = { listen: await freeAddress(), admin: await freeAddress() };
  await writeFile(join(folder, 'token.txt'), TOKEN);
  await save();
});

afterEach(async () => {
  for (const close of closers.reverse()) await close();
  closers = [];
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
});

/** As an editor saves: a new file, renamed over the old one. */
async function save(options: SmallClusterOptions = {}): Promise<void> {
  await writeFile(`${configFile}.new`, smallClusterYaml({ ...addresses, leaseTtlMs: 300, ...options }));
  await rename(`${configFile}.new`, configFile);
}

async function startCoordinator(change = (_config: ClusterConfig): unknown => undefined): Promise<RunningServer> {
  const result = await readClusterConfigFile(configFile);
  assert.ok(result.ok, JSON.stringify(result));
  change(result.config);
  const options = {
    config: result.config,
    serverId: 'c1',
    token: TOKEN,
    rootFolder: folder,
    configFile,
    log: silentLogger,
  };
  const server = await startCoordinatorServer(options);
  closers.push(() => server.stop());
  return server;
}

interface CoordinatorProcess {
  readonly child: ChildProcess;
  kill(): Promise<void>;
}

async function startCoordinatorProcess(): Promise<CoordinatorProcess> {
  const args = [MAIN, '--config', configFile, '--id', 'c1', '--root', folder, '--log-level', 'warn'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  closers.push(kill);
  await eventually('the coordinator to answer', async () => (await fetchStatus().catch(() => undefined)) !== undefined);
  return { child, kill };
}

interface Status {
  readonly published: { readonly epoch: number; readonly bucketMapEpoch: number };
  readonly config: {
    readonly state: string;
    readonly lastRefusal: null | { code: string; reasons: string[]; stands: boolean };
  };
  readonly members: { serverId: string; state: string; named: boolean; incarnation?: string; load?: unknown }[];
  readonly routes: RouteEntry[];
}

async function fetchStatus(): Promise<Status> {
  const response = await fetch(`http://${addresses.admin}/-/status`, { signal: AbortSignal.timeout(1_000) });
  return (await response.json()) as Status;
}

async function memberState(serverId: string): Promise<string | undefined> {
  return (await fetchStatus()).members.find((member) => member.serverId === serverId)?.state;
}

interface FakeServer {
  readonly client: CoordinationClient;
  readonly states: PublishedState[];
}

function startServer(tier: Tier, serverId: string, routes?: RouteEntry[], version = '1'): FakeServer {
  const incarnation = makeIncarnation(systemRandom);
  const states: PublishedState[] = [];
  const client = new CoordinationClient({
    coordinators: [addresses.listen],
    identity: { cluster: 'small', token: TOKEN, role: tier, serverId, incarnation },
    membership: { tier, serverId, incarnation, listen: '127.0.0.1:1', admin: '127.0.0.1:2', version, routes },
    settings,
    stateFile: join(folder, 'data', serverId, 'published-state.json'),
    log: silentLogger,
    loadReport: () => ({ inFlight: 2 }),
    onState: (state) => void states.push(state),
  });
  closers.push(() => client.close());
  client.start();
  return { client, states };
}

interface BareLink {
  readonly link: Link;
  readonly incarnation: string;
  /** Code that the link was closed with. */
  readonly closed: Promise<string>;
  readonly topics: readonly string[];
}

function joinOf(serverId: string, incarnation: string): JoinNotice {
  const addresses = { listen: '127.0.0.1:1', admin: '127.0.0.1:2' };
  return { tier: 'app', serverId, incarnation, ...addresses, version: '1', stateEpoch: 0, mapEpoch: 0, term: 0 };
}

/** A link without the client on it, to say what the client never would. */
async function openBareLink(role: LinkRole, serverId: string): Promise<BareLink> {
  const incarnation = makeIncarnation(systemRandom);
  const topics: string[] = [];
  let onClosed = (_code: string): void => {};
  const closed = new Promise<string>((resolve) => {
    onClosed = resolve;
  });
  const dialer = new LinkDialer({
    address: addresses.listen,
    identity: { cluster: 'small', token: TOKEN, role, serverId, incarnation },
    expectRole: 'coordinator',
    settings,
    log: silentLogger,
    handlers: {
      onNotice: (_link, topic) => void topics.push(topic),
      onClosed: (_link, reason) => onClosed(reason.code),
    },
  });
  closers.push(() => dialer.close());
  dialer.start();
  return { link: await eventually('the link', () => dialer.link), incarnation, closed, topics };
}

test('servers join, appear as members with their load, and all get the state with the routes of the app servers', async () => {
  await startCoordinator();
  const interfaceServer = startServer('interface', 'i1');
  startServer('app', 'g1a', [echoRoute()]);
  const state = await eventually('the routes', () => interfaceServer.states.find((known) => known.routes.length === 1));
  assert.deepEqual(state.routes, [echoRoute()]);
  assert.deepEqual([state.bucketMap.owners[49], state.bucketMap.owners[50]], [0, 1]);
  await eventually('the load report', async () => {
    const member = (await fetchStatus()).members.find(({ serverId }) => serverId === 'g1a');
    return member?.state === 'alive' && JSON.stringify(member.load) === '{"inFlight":2}';
  });
  assert.equal(await memberState('g2a'), 'absent');
});

test('a server that leaves is gone at once, and one that falls silent after its lease', async () => {
  await startCoordinator();
  const leaving = startServer('app', 'g1a', []);
  const silent = await openBareLink('app', 'g1b');
  silent.link.notify('join', joinOf('g1b', silent.incarnation));
  for (const id of ['g1a', 'g1b']) await eventually(id, async () => (await memberState(id)) === 'alive');
  leaving.client.close();
  await eventually('the leave', async () => (await memberState('g1a')) === 'left');
  await eventually('the end of the lease', async () => (await memberState('g1b')) === 'expired');
  assert.equal(silent.link.open, true);
});

test('an edit that moves no data is with every server within a second', async () => {
  await startCoordinator();
  const server = startServer('dispatcher', 'd1');
  const before = await eventually('the first state', () => server.states.at(-1));
  const savedAtMs = systemClock.nowMs();
  await save({ requestTimeoutMs: 2_345, extraDispatcher: 'd2' });
  const after = await eventually('the edit', () =>
    server.states.find((state) => state.config.limits.requestTimeoutMs === 2_345),
  );
  assert.ok(systemClock.nowMs() - savedAtMs <= 1_000);
  assert.equal(after.epoch, before.epoch + 1);
  assert.deepEqual(after.bucketMap, before.bucketMap);
  assert.equal(await memberState('d2'), 'absent');
});

test('an invalid edit is refused with its place, the last good config stays, and a good one clears it', async () => {
  await startCoordinator();
  const { published } = await fetchStatus();
  await writeFile(configFile, (await readFile(configFile, 'utf8')).replace('version: 1', 'version: one'));
  const refused = await eventually('the refusal', async () => (await fetchStatus()).config.lastRefusal);
  assert.equal(refused.code, 'CONFIG_INVALID');
  assert.match(refused.reasons.join(), /cluster\.yaml:1:10: /);
  assert.deepEqual((await fetchStatus()).published.epoch, published.epoch);
  await save();
  await eventually('the good one', async () => (await fetchStatus()).config.lastRefusal?.stands === false);
});

test('an edit of the frames is refused by name and no server hears of it', async () => {
  await startCoordinator();
  const server = startServer('dispatcher', 'd1');
  await eventually('the first state', () => server.states.length > 0);
  await save({ frames: ['0-39', '40-99'] });
  const { lastRefusal } = await eventually('the refusal', async () => {
    const { config } = await fetchStatus();
    return config.lastRefusal === null ? undefined : config;
  });
  assert.equal(lastRefusal?.code, 'CONFIG_MOVES_DATA');
  assert.match(lastRefusal?.reasons.join() ?? '', /buckets 40-49 belong to g1, the file gives them to g2/);
  await save({ requestTimeoutMs: 777 });
  await eventually('the next good edit', () => server.states.at(-1)?.config.limits.requestTimeoutMs === 777);
  assert.equal(server.states.length, 2);
});

test('frames edited while the coordinator was down are refused when it starts', async () => {
  const first = await startCoordinator();
  const { published } = await fetchStatus();
  await first.stop();
  await save({ frames: ['0-39', '40-99'] });
  await startCoordinator();
  const status = await fetchStatus();
  assert.equal(status.config.lastRefusal?.code, 'CONFIG_MOVES_DATA');
  assert.deepEqual(status.published.epoch, published.epoch);
  const server = startServer('dispatcher', 'd1');
  const state = await eventually('the state', () => server.states[0]);
  assert.equal(state.bucketMap.owners[45], 0);
});

test('kill -9 and a start: epochs go on from where they were, routes are kept, servers join again by themselves', async () => {
  const first = await startCoordinatorProcess();
  startServer('app', 'g1a', [echoRoute()]);
  const server = startServer('interface', 'i1');
  await eventually('the routes', () => server.states.at(-1)?.routes.length === 1);
  await save({ requestTimeoutMs: 1_111 });
  await eventually('the edit', () => server.states.at(-1)?.config.limits.requestTimeoutMs === 1_111);
  const before = await fetchStatus();
  await first.kill();
  await eventually('the loss', () => !server.client.connected);
  assert.equal(server.client.state?.epoch, before.published.epoch);
  await startCoordinatorProcess();
  assert.deepEqual((await fetchStatus()).published.epoch, before.published.epoch);
  assert.deepEqual((await fetchStatus()).routes, [echoRoute()]);
  await eventually(
    'both members',
    async () => (await memberState('g1a')) === 'alive' && (await memberState('i1')) === 'alive',
  );
  await save({ requestTimeoutMs: 2_222 });
  await eventually('an edit after it', () => server.states.at(-1)?.config.limits.requestTimeoutMs === 2_222);
  assert.equal(server.states.at(-1)?.epoch, before.published.epoch + 1);
});

test('a coordinator that lost its folder publishes above what its servers know', async () => {
  const first = await startCoordinator();
  const server = startServer('dispatcher', 'd1');
  const before = await eventually('the first state', () => server.states[0]);
  await first.stop();
  await rm(join(folder, 'data', 'c1'), { recursive: true });
  await eventually('another second to be born in', () => birthEpochOf(systemClock.wallMs()) > before.epoch);
  await save({ requestTimeoutMs: 3_333 });
  await startCoordinator();
  const after = await eventually('a newer state', () =>
    server.states.find((state) => state.config.limits.requestTimeoutMs === 3_333),
  );
  assert.ok(after.epoch > before.epoch);
  assert.ok(after.bucketMap.epoch > before.bucketMap.epoch);
});

/** A coordinator that published an edit, then stopped. */
async function editedAndStopped(): Promise<{ server: FakeServer; epoch: number; stateFile: string }> {
  const first = await startCoordinator();
  const server = startServer('dispatcher', 'd1');
  await save({ requestTimeoutMs: 4_444 });
  const { epoch } = await eventually('the edit', () =>
    server.states.find((state) => state.config.limits.requestTimeoutMs === 4_444),
  );
  await first.stop();
  return { server, epoch, stateFile: join(folder, 'data', 'c1', 'published-state.json') };
}

test('a damaged state file changes nothing: the park has the state', async () => {
  const { epoch, stateFile } = await editedAndStopped();
  await writeFile(stateFile, (await readFile(stateFile, 'utf8')).replace('4444', '5555'));
  await startCoordinator();
  assert.equal((await fetchStatus()).published.epoch, epoch);
});

test('a lost park is made anew from the state file', async () => {
  const { epoch } = await editedAndStopped();
  await rm(join(folder, 'data', 'c1', 'park'), { recursive: true });
  await (await startCoordinator()).stop();
  await rm(join(folder, 'data', 'c1', 'published-state.json'));
  await startCoordinator();
  assert.equal((await fetchStatus()).published.epoch, epoch);
});

test('a lost park and a damaged state file: it goes on from the generation before, above every epoch', async () => {
  const { server, epoch, stateFile } = await editedAndStopped();
  await rm(join(folder, 'data', 'c1', 'park'), { recursive: true });
  await writeFile(stateFile, (await readFile(stateFile, 'utf8')).replace('4444', '5555'));
  await startCoordinator();
  const after = await eventually('a newer state', () => server.states.find((state) => state.epoch > epoch));
  assert.equal(after.config.limits.requestTimeoutMs, 4_444); // from cluster.yaml, not from the damaged file
});

test('a restarted server replaces its former life, whose link is closed', async () => {
  await startCoordinator();
  const former = await openBareLink('app', 'g1a');
  former.link.notify('join', joinOf('g1a', former.incarnation));
  await eventually('the first life', async () => (await memberState('g1a')) === 'alive');
  startServer('app', 'g1a', []);
  assert.equal(await former.closed, 'LINK_ROLE_REFUSED');
  const { members } = await fetchStatus();
  const member = members.find(({ serverId }) => serverId === 'g1a');
  assert.equal(member?.state, 'alive');
  assert.notEqual(member?.incarnation, former.incarnation);
});

test('a version that declares a service differently decides its routes when it joins last', async () => {
  await startCoordinator();
  const server = startServer('interface', 'i1');
  startServer('app', 'g1a', [echoRoute('/old')], '1');
  await eventually('the old routes', () => server.states.at(-1)?.routes[0]?.pattern === '/old');
  startServer('app', 'g1b', [echoRoute('/new')], '2');
  await eventually('the new routes', () => server.states.at(-1)?.routes[0]?.pattern === '/new');
  assert.equal(server.states.at(-1)?.routes.length, 1);
});

for (const [what, topic, value] of [
  ['a join that is none', 'join', { serverId: 7 }],
  ['a join in the name of another', 'join', joinOf('g2a', '0'.repeat(16))],
  ['a renewal that is text', 'renew', 'now'],
  ['a topic that only the coordinator may use', 'state', {}],
] as const) {
  test(`${what} closes the link, and the coordinator goes on`, async () => {
    await startCoordinator();
    const { link, closed } = await openBareLink('app', 'g1a');
    link.notify(topic, value);
    assert.equal(await closed, 'LINK_FRAME_INVALID');
    assert.equal(await memberState('g1a'), 'absent');
    assert.equal(await memberState('g2a'), 'absent');
  });
}

test('a tool gets the state without joining', async () => {
  await startCoordinator();
  const { topics } = await openBareLink('tool', 'trunkline');
  await eventually('the state', () => topics.includes('state'));
});

test('a second coordinator is told that the journal, or which port, is taken, and writes nothing', async () => {
  await startCoordinator();
  const stateFile = join(folder, 'data', 'c1', 'published-state.json');
  const before = await readFile(stateFile, 'utf8');
  const edit = (config: ClusterConfig): unknown => Object.assign(config.limits, { requestTimeoutMs: 7_777 });
  await assert.rejects(startCoordinator(edit), { code: 'USAGE', detail: /park is the journal of a process that runs/ });
  const elsewhere = (config: ClusterConfig): unknown => Object.assign(config, { dataFolder: 'elsewhere' });
  await assert.rejects(startCoordinator(elsewhere), { code: 'PORT_TAKEN' });
  assert.equal(await readFile(stateFile, 'utf8'), before);
});
