/**
 * Peers that misbehave on the links of a running cluster, in both directions: each is cut off with a typed reason that
 * it is told and that stands in the log, memory stays bounded, and the cluster's clients notice nothing.
 *
 * What a link does with each fault by itself stands in test/unit/shared/link and test/integration/link.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { ClusterConfig } from '../../shared/config/cluster-schema.ts';
import { LINK_GREETING_MAX } from '../../shared/constants.ts';
import { ERROR_KINDS, type ErrorCode } from '../../shared/errors.ts';
import { FRAME_TYPE } from '../../shared/link/frame.ts';
import { helloOf, type LinkIdentity, type LinkRole } from '../../shared/link/greeting.ts';
import { LINK_PATH } from '../../shared/link/link-transport.ts';
import { DepositLoad } from '../support/deposit-load.ts';
import { eventually } from '../support/eventually.ts';
import { flood } from '../support/flood.ts';
import { frameOf, type SeenFrame } from '../support/frames.ts';
import { freeAddress } from '../support/free-ports.ts';
import { HostilePeer } from '../support/hostile-peer.ts';
import { forgetPeak, residentBytes, residentPeakBytes } from '../support/process-memory.ts';
import { RawWebSocket, RawWebSocketServer } from '../support/raw-web-socket.ts';
import { requestFrame } from '../support/request-frame.ts';
import { lengthOf } from '../support/soak.ts';
import { startTestCluster, type TestCluster } from '../support/test-cluster.ts';
import { untilWhole } from '../support/whole-cluster.ts';

const MIB = 1024 * 1024;
const { REQUEST, REPLY, ERROR, CANCEL, PING, WINDOW, NOTICE } = FRAME_TYPE;

/** What a dispatcher may grow by: replies held for a peer (64 MiB), what it leaves unread (16 MiB), twice over for the heap. */
const GROWTH_BYTES_MAX = 192 * MIB;

const SEATS = 64;

let running: TestCluster;
let load: DepositLoad;
let token = '';

before(async () => {
  running = await startTestCluster({
    change: (config) => {
      config.services.push('test/support/services/faulty');
      // So few that a peer alone can fill them: what it sends then waits, and counts against its window.
      config.queues = {
        interactive: { weight: 1, capacity: 4096, capacityBytes: 64 * MIB, waitMsMax: 1_000, concurrency: SEATS },
      };
    },
  });
  token = fs.readFileSync((running.config.token as { file: string }).file, 'utf8').trim();
  load = new DepositLoad({ urls: running.urls, accounts: 16, clients: 4 });
  await untilWhole(running.config);
  await load.start();
  forgetPeak(pidOf('d1'));
});

after(async () => {
  await running.close();
});

function pidOf(serverId: string): number {
  const pid = running.cluster.pid(serverId);
  assert.ok(pid !== undefined, `${serverId} runs`);
  return pid;
}

/** Nobody of this cluster, but one that holds its token. */
function identityOf(role: LinkRole, serverId: string, ownToken = token): LinkIdentity {
  const { cluster } = running.config;
  return { cluster, token: ownToken, role, serverId, incarnation: '00112233445566aa' };
}

interface Target {
  readonly serverId: string;
  readonly address: string;
  readonly role: LinkRole;
}

function target(serverId: 'c1' | 'd1' | 'g1a'): Target {
  const { coordinator, dispatcher, groups } = running.config;
  const all = [...coordinator.servers, ...dispatcher.servers, ...groups.flatMap(({ appServers }) => appServers)];
  const address = all.find(({ id }) => id === serverId)?.listen;
  assert.ok(address !== undefined);
  return { serverId, address, role: serverId === 'g1a' ? 'dispatcher' : 'interface' };
}

function dial({ address, role }: Target, serverId = 'x9'): Promise<HostilePeer> {
  return HostilePeer.dial(address, identityOf(role, serverId));
}

const closeCodeOf = (code: ErrorCode): number => 4000 + ERROR_KINDS[code].wire;

/** Waits until the log of a server tells that the link of `x…` ended so. */
async function logTells(serverId: string, code: ErrorCode, peer: string): Promise<void> {
  const wanted = [`"code":"${code}"`, `"serverId":"${peer}"`, '"msg":"link closed"'];
  await eventually(`${serverId} logs ${code} of ${peer}`, () => {
    const lines = fs.readFileSync(running.cluster.logFile(serverId), 'utf8').split('\n');
    return lines.some((line) => wanted.every((part) => line.includes(part)));
  });
}

/** Clients have been served all the while, and go on being served. */
async function assertServed(): Promise<void> {
  const acknowledged = load.acknowledged;
  await eventually('deposits to go on', () => load.acknowledged > acknowledged + 5, 10_000);
  assert.deepEqual(Object.fromEntries(load.refusals), {});
}

function request(streamId: number, parts: Parameters<typeof requestFrame>[0] = {}): Buffer {
  const { message, start, end } = requestFrame({ streamId, pathAccountKey: 'hostile', ...parts });
  return message.subarray(start, end);
}

function lyingRequest(lengthAt: number, bytes: number): Buffer {
  const frame = Buffer.from(request(1, { headerBlock: 'host:x\n' }));
  frame.writeUInt16LE(bytes, lengthAt);
  return frame;
}

const oversize = frameOf({ type: REQUEST });
oversize.writeUInt32LE(2 ** 31, 0);
const grant = (amount: number): Buffer => frameOf({ type: WINDOW, amount });

/** What a peer that has greeted says, and what its link closes with. */
const FAULTS: Record<string, readonly [messages: () => readonly Buffer[], code: ErrorCode]> = {
  garbage: [() => [Buffer.alloc(100, 0xff)], 'LINK_FRAME_INVALID'],
  'a frame of unknown type': [() => [frameOf({ type: 12 })], 'LINK_FRAME_INVALID'],
  'half a frame': [() => [request(1).subarray(0, 40)], 'LINK_FRAME_TRUNCATED'],
  'a frame that says it is too large': [() => [oversize], 'LINK_FRAME_TOO_LARGE'],
  'one grant of all that 32 bits hold': [() => [grant(2 ** 32 - 1)], 'LINK_WINDOW_OVERRUN'],
  'grants that add up': [() => [Buffer.concat(Array(1_000).fill(grant(2 ** 20)))], 'LINK_WINDOW_OVERRUN'],
  'a stream id used twice': [() => [Buffer.concat([request(7), request(7)])], 'LINK_FRAME_INVALID'],
  'a target that ends past its frame': [() => [lyingRequest(42, 60_000)], 'LINK_FRAME_INVALID'],
  'a path longer than its target': [() => [lyingRequest(44, 999)], 'LINK_FRAME_INVALID'],
  'a key that ends past its frame': [() => [lyingRequest(40, 65_535)], 'LINK_FRAME_INVALID'],
  'headers that end past their frame': [() => [lyingRequest(50, 65_535)], 'LINK_FRAME_INVALID'],
};

for (const serverId of ['d1', 'g1a'] as const) {
  describe(`a dialer of ${serverId}`, () => {
    for (const [index, [what, [messages, code]]] of Object.entries(FAULTS).entries()) {
      test(`${what}: ${code}`, async () => {
        const name = `x${index}`;
        const peer = await dial(target(serverId), name);
        for (const message of messages()) peer.say(message);
        const { code: closeCode, reason } = await peer.closed;
        assert.deepEqual([closeCode, reason.length > 0], [closeCodeOf(code), true], reason);
        await logTells(serverId, code, name);
      });
    }
  });
}

test('a window overrun, with what came before it still in the queue: LINK_WINDOW_OVERRUN', async () => {
  const peer = await dial(target('g1a'));
  for (let streamId = 0; streamId < SEATS; streamId++) peer.say(request(streamId, { target: '/faulty/x/sleeps' }));
  for (let more = 0; more < 4; more++) peer.say(request(SEATS + more, { body: Buffer.alloc(4 * MIB) }));
  assert.equal((await peer.closed).code, closeCodeOf('LINK_WINDOW_OVERRUN'));
});

describe('a dialer of the coordinator', () => {
  const NOTICES: Record<string, Buffer> = {
    'an unknown topic': frameOf({ type: NOTICE, code: 1, payload: 'x{}' }),
    'a join in another’s name': frameOf({ type: NOTICE, code: 4, payload: 'join{"tier":"app","serverId":"g1a"}' }),
    'no JSON': frameOf({ type: NOTICE, code: 4, payload: 'join{' }),
  };
  for (const [what, notice] of Object.entries(NOTICES)) {
    test(`${what}: LINK_FRAME_INVALID`, async () => {
      const peer = await dial(target('c1'));
      peer.say(notice);
      assert.equal((await peer.closed).code, closeCodeOf('LINK_FRAME_INVALID'));
    });
  }

  test('a request that is no call of the park is answered with PARK_REQUEST_INVALID', async () => {
    const peer = await dial(target('c1'));
    const answered = new Promise<SeenFrame>((resolve) => {
      peer.onFrame = (frame) => void (frame.type === ERROR && resolve(frame));
    });
    peer.say(request(1));
    const { streamId, payload } = await answered;
    assert.equal(streamId, 1);
    assert.match(payload.toString(), /PARK_REQUEST_INVALID|expected/);
    peer.webSocket.socket.destroy();
  });
});

test('no stranger ends a server with JSON that cannot be compared', async () => {
  const { cluster } = running.config;
  const incomparable = { length: { toString: 1 } };
  for (const serverId of ['c1', 'd1', 'g1a'] as const) {
    const { address, role } = target(serverId);
    const pid = running.cluster.pid(serverId);
    const own = helloOf(identityOf(role, 'x1'), '0'.repeat(32), MIB);
    for (const said of [[{ ...own, cluster: incomparable }], [{ ...own, cluster }, { proof: incomparable }]]) {
      const stranger = await RawWebSocket.dial(address, LINK_PATH);
      for (const [index, value] of said.entries())
        stranger.send(frameOf({ type: index + 1, code: 1, payload: JSON.stringify(value) }));
      const code = said.length === 1 ? 'LINK_FRAME_INVALID' : 'LINK_TOKEN_REFUSED';
      assert.equal((await stranger.closed).code, closeCodeOf(code), serverId);
    }
    assert.equal(running.cluster.pid(serverId), pid, `${serverId} lives on`);
  }
});

test('no listener greets a dialer of another token', async () => {
  for (const serverId of ['c1', 'd1', 'g1a'] as const) {
    const { address, role } = target(serverId);
    const peer = await HostilePeer.dial(address, identityOf(role, 'x1', 'another token'));
    assert.equal((await peer.closed).code, closeCodeOf('LINK_TOKEN_REFUSED'), serverId);
  }
});

const STRANGERS = LINK_GREETING_MAX * 4;
let strangersClosed: Promise<number[]> | undefined;

test('connections that never greet keep no peer out', async () => {
  const { address } = target('d1');
  const strangers = await Promise.all(Array.from({ length: STRANGERS }, () => RawWebSocket.dial(address, LINK_PATH)));
  strangersClosed = Promise.all(strangers.map(async ({ closed }) => (await closed).code));
  const peer = await dial(target('d1'));
  await assertServed();
  peer.webSocket.destroy();
});

test('a peer that asks and reads nothing is cut off: LINK_BACKPRESSURE', async (context) => {
  const peer = await dial(target('d1'), 'x-deaf');
  peer.webSocket.stopReading();
  let streamId = 0;
  const asked = async (): Promise<boolean> => {
    peer.say(request(streamId++, { target: '/faulty/hostile/megabyte' }));
    return fs.readFileSync(running.cluster.logFile('d1'), 'utf8').includes('"LINK_BACKPRESSURE"');
  };
  await eventually('the peer is cut off', asked, 20_000);
  await logTells('d1', 'LINK_BACKPRESSURE', 'x-deaf');
  context.diagnostic(`cut off after ${streamId} requests of 1 MiB each`);
  peer.webSocket.destroy();
  await assertServed();
});

describe('a flood', () => {
  const FLOODS: Record<string, Buffer> = {
    'PINGs whose answers nobody reads': frameOf({ type: PING }),
    'CANCELs of streams that never were': frameOf({ type: CANCEL, streamId: 77 }),
    'grants of nothing': grant(0),
    'answers to streams that never were': frameOf({ type: REPLY, streamId: 77, payload: Buffer.alloc(40) }),
    'errors of streams that never were': frameOf({ type: ERROR, streamId: 77, code: 1, payload: '{}' }),
    'notices of an unknown topic': frameOf({ type: NOTICE, code: 1, payload: 'x{}' }),
  };
  for (const [what, frame] of Object.entries(FLOODS)) {
    test(`of ${what} is survived, or cut off with a reason`, async (context) => {
      const message = Buffer.concat(Array(Math.floor(MIB / frame.length)).fill(frame));
      const { address, role } = target('d1');
      const forMs = lengthOf(400, 20_000);
      const identity = identityOf(role, 'x-flood');
      const reads = frame[4] !== PING;
      const flooded = await flood({ address, identity, message, forMs, reads });
      context.diagnostic(`${flooded.messages} MiB, closed with ${flooded.closeCode ?? 'nothing'}`);
      // Who reads nothing may not read either why it was cut off; the log tells it.
      if (flooded.closeCode === 1006 && !reads) await logTells('d1', 'LINK_WINDOW_OVERRUN', 'x-flood');
      else if (flooded.closeCode !== undefined) assert.equal(flooded.closeCode, closeCodeOf('LINK_WINDOW_OVERRUN'));
      await assertServed();
    });
  }
});

describe('a listener that a dispatcher dials', () => {
  let server: RawWebSocketServer;
  let onOpen: (webSocket: RawWebSocket) => Promise<void> = async () => {};

  /** An app server more in group g1, which is a test's to play. Both dispatchers dial it. */
  before(async () => {
    const address = await freeAddress();
    server = await RawWebSocketServer.listen(address, (webSocket) => void onOpen(webSocket).catch(() => {}));
    const { configFile } = running.cluster;
    const config = JSON.parse(fs.readFileSync(configFile, 'utf8')) as ClusterConfig;
    config.groups[0]?.appServers.push({ id: 'g1x', listen: address, admin: await freeAddress() });
    fs.writeFileSync(configFile, JSON.stringify(config));
  });

  after(() => server.close());

  /** Plays g1x for the next dispatcher that comes. @returns how that one closed */
  function playOnce(play: (peer: HostilePeer) => void, ownToken = token, serverId = 'g1x'): Promise<number> {
    return new Promise((resolve) => {
      onOpen = async (webSocket) => {
        void webSocket.closed.then(({ code }) => resolve(code));
        play(await HostilePeer.accept(webSocket, identityOf('app', serverId, ownToken)));
      };
    });
  }

  const SAID: Record<string, readonly [play: (peer: HostilePeer) => void, code: ErrorCode]> = {
    garbage: [(peer) => peer.say(Buffer.alloc(100, 0xff)), 'LINK_FRAME_INVALID'],
    'half a frame': [(peer) => peer.say(request(1).subarray(0, 40)), 'LINK_FRAME_TRUNCATED'],
    'a frame that says it is too large': [(peer) => peer.say(oversize), 'LINK_FRAME_TOO_LARGE'],
    'a request': [(peer) => peer.say(request(1)), 'LINK_ROLE_REFUSED'],
    'a grant past the window': [(peer) => peer.say(grant(2 ** 32 - 1)), 'LINK_WINDOW_OVERRUN'],
  };
  for (const [what, [play, code]] of Object.entries(SAID)) {
    test(`${what}: ${code}`, async () => {
      assert.equal(await playOnce(play), closeCodeOf(code));
    });
  }

  test('another token, or another server’s id, is no peer', async () => {
    assert.equal(await playOnce(() => {}, 'another token'), closeCodeOf('LINK_TOKEN_REFUSED'));
    assert.equal(await playOnce(() => {}, token, 'g1y'), closeCodeOf('LINK_ROLE_REFUSED'));
  });

  test('answers to nothing are passed over, and what it was asked is asked elsewhere when it goes', async () => {
    let asked = 0;
    const answers = Buffer.concat(Array(5_000).fill(frameOf({ type: REPLY, streamId: 5, payload: Buffer.alloc(40) })));
    onOpen = async (webSocket) => {
      const peer = await HostilePeer.accept(webSocket, identityOf('app', 'g1x'));
      peer.say(answers);
      peer.onFrame = ({ type }) => {
        if (type !== REQUEST || ++asked > 3) return;
        webSocket.destroy();
      };
    };
    await eventually('requests to come to it', () => asked > 0, 10_000);
    onOpen = async (webSocket) => webSocket.destroy();
    await assertServed();
  });

  test('answers that lie fail their requests, and no server', async () => {
    await load.stop(); // from here on requests do fail: whoever has the token answers for its group
    const LIES: readonly Partial<Parameters<typeof frameOf>[0]>[] = [
      { type: REPLY, code: 7, payload: Buffer.alloc(40) },
      { type: REPLY, code: 200, payload: Buffer.alloc(3) },
      { type: REPLY, code: 200, payload: Buffer.alloc(40, 0xff) },
      { type: ERROR, code: 29, payload: '{"status":"x","title":{},"problem":[],"group":{},"servedBy":"a\\r\\nb: c"}' },
      { type: ERROR, code: 65_535, payload: 'null' },
    ];
    let told = 0;
    let asked = 0;
    onOpen = async (webSocket) => {
      const peer = await HostilePeer.accept(webSocket, identityOf('app', 'g1x'));
      peer.onFrame = ({ type, streamId }) => {
        if (type === REQUEST) peer.say(frameOf({ type: REPLY, ...LIES[told++ % LIES.length], streamId }));
      };
    };
    const pids = ['i1', 'd1', 'd2'].map(pidOf);
    const failures = new Set<number>();
    await eventually(
      'every lie to be told',
      async () => {
        const response = await fetch(`${running.urls[0]}/accounts/account-${asked++ % 16}`);
        await response.text();
        if (response.status !== 200) failures.add(response.status);
        assert.equal(response.headers.get('b'), null);
        return told > LIES.length;
      },
      15_000,
    );
    assert.ok(
      [...failures].every((status) => [409, 500, 502, 503].includes(status)),
      [...failures].join(),
    );
    assert.deepEqual(['i1', 'd1', 'd2'].map(pidOf), pids, 'no server died of it');
  });
});

test('every connection that never greeted was closed with LINK_HELLO_TIMEOUT', async () => {
  assert.deepEqual(new Set(await strangersClosed), new Set([closeCodeOf('LINK_HELLO_TIMEOUT')]));
});

test('memory stayed bounded, and every balance is what the clients were told', async (context) => {
  fs.writeFileSync(running.cluster.configFile, JSON.stringify(running.config));
  const [peak, now] = [residentPeakBytes(pidOf('d1')), residentBytes(pidOf('d1'))];
  context.diagnostic(`d1: peak ${Math.round(peak / MIB)} MiB, now ${Math.round(now / MIB)} MiB`);
  assert.ok(peak < 128 * MIB + GROWTH_BYTES_MAX, `${peak} bytes`);
  await untilWhole(running.config);
  for (const [account, balance] of load.expected) {
    const response = await fetch(`${running.urls[1]}/accounts/${account}`);
    assert.deepEqual(await response.json(), { account, balance });
  }
});
