/**
 * Request smuggling through a real nginx and a real HAProxy, with the configs that ship in deploy/proxies: connections
 * between proxy and interface server are shared by clients, so a request that hides in another one would run in
 * somebody else's name, or take the answer of somebody else's.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { skipReason, TEST_PROGRAMS } from '../../deploy/checks/test-programs.ts';
import { type EdgeCluster, startEdgeCluster } from '../support/edge-cluster.ts';
import { type FrontProxy, type ProxyKind, startFrontProxy } from '../support/front-proxy.ts';
import { inParallel } from '../support/in-parallel.ts';
import { rawExchange } from '../support/raw-exchange.ts';
import { SHAPES, TARGET_BYTES_MAX } from '../support/smuggling-shapes.ts';
import { lengthOf } from '../support/soak.ts';

/** Clients at once; each attack is followed by its victim, so that many connections behind the proxy are used again. */
const CLIENTS = 64;
/** How far apart a shape is cut in two. Direct connections are tried at every byte in each run. */
const CUT_STEP = lengthOf(29, 1);

let edge: EdgeCluster;

before(async () => {
  edge = await startEdgeCluster({
    change: (config) => {
      config.limits.targetBytesMax = TARGET_BYTES_MAX;
    },
  });
});

after(async () => {
  await edge.close();
});

interface Attack {
  readonly name: string;
  readonly parts: readonly string[];
}

function attacks(kind: ProxyKind): Attack[] {
  return SHAPES.flatMap(({ name, bytes }, index) => {
    const text = bytes(`${kind}-outer-${index}`, `${kind}-smuggled-${index}`);
    const cuts: Attack[] = [{ name: `${name}, whole`, parts: [text] }];
    for (let at = 1 + (index % CUT_STEP); at < text.length; at += CUT_STEP)
      cuts.push({ name: `${name}, cut at ${at}`, parts: [text.slice(0, at), text.slice(at)] });
    return cuts;
  });
}

/** What another client of the proxy gets. @returns '' when it is its own answer */
async function victimComplaint(address: string, account: string): Promise<string> {
  const response = await fetch(`http://${address}/mark?account=${account}`);
  const text = await response.text();
  return response.status === 200 && text === JSON.stringify({ marked: account }) ? '' : `${response.status} ${text}`;
}

/** Connections of this machine to a port, in any state: one that has ended stays in the table for a minute. */
function connectionsTo(address: string): number {
  const port = Number(address.split(':')[1]).toString(16).toUpperCase().padStart(4, '0');
  const lines = fs.readFileSync('/proc/net/tcp', 'utf8').split('\n');
  return lines.filter((line) => line.trim().split(/\s+/)[2]?.endsWith(`:${port}`)).length;
}

for (const kind of ['nginx', 'haproxy'] as const) {
  describe(`behind ${kind}`, { skip: skipReason(TEST_PROGRAMS[kind]) }, () => {
    let proxy: FrontProxy;

    before(async () => {
      proxy = await startFrontProxy(kind, edge.addresses);
    });

    after(async () => {
      await proxy.stop();
    });

    test('clients share connections to the interface server, so that there is something to be smuggled into', async () => {
      const [server = ''] = edge.addresses;
      const opened = connectionsTo(server);
      for (let count = 0; count < 200; count++) assert.equal(await victimComplaint(proxy.address, 'plain'), '');
      assert.ok(connectionsTo(server) - opened < 20, `${connectionsTo(server) - opened} connections for 200 requests`);
    });

    test('no attack runs a request that the proxy has not seen, or harms another client', async (context) => {
      const wrong: string[] = [];
      const all = attacks(kind);
      let number = 0;
      await inParallel(all, CLIENTS, async ({ name, parts }) => {
        await rawExchange({ address: proxy.address, parts, until: 'silence' });
        const complaint = await victimComplaint(proxy.address, `${kind}-victim-${number++ % 1_000}`);
        if (complaint !== '') wrong.push(`${name}: a victim got ${complaint}`);
      });
      for (const [account, { runsWithoutProxy }] of Object.entries(await edge.marks()))
        if (account.startsWith(kind) && runsWithoutProxy > 0) wrong.push(`${account} ran without the proxy`);
      assert.deepEqual(wrong, []);
      context.diagnostic(`${all.length} attacks`);
    });
  });
}
