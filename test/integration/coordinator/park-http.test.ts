/** The park over HTTP and by the command, against a coordinator that runs. */
import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startCoordinatorServer } from '../../../coordinator-server/start-coordinator-server.ts';
import { changeText, get, list, put, remove } from '../../../deploy/cli/park.ts';
import { ParkAdmin } from '../../../deploy/cli/park-admin.ts';
import { readClusterConfigFile } from '../../../shared/config/load-cluster-config.ts';
import { silentLogger } from '../../../shared/log.ts';
import type { RunningServer } from '../../../shared/server-process.ts';
import { eventually } from '../../support/eventually.ts';
import { freeAddress } from '../../support/free-ports.ts';
import { smallClusterYaml } from '../../support/small-cluster.ts';

const TOKEN = 'a'.repeat(64);
const KEY = 'billing-key';
let folder: string;
let server: RunningServer;
let command: ParkAdmin;

function yaml(addresses: { listen: string; admin: string }, rights: 'read' | 'read-write'): string {
  const client = `  parkClients: [{ name: billing, key: { file: billing.key }, domains: [billing.*], rights: ${rights} }]\n`;
  return smallClusterYaml(addresses).replace('interface:\n', `${client}interface:\n`);
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trunkline-park-http-'));
  await writeFile(join(folder, 'token.txt'), TOKEN);
  await writeFile(join(folder, 'billing.key'), KEY);
  const configFile = join(folder, 'cluster.yaml');
  const addresses = { listen: await freeAddress(), admin: await freeAddress() };
  await writeFile(configFile, yaml(addresses, 'read-write'));
  const result = await readClusterConfigFile(configFile);
  assert.ok(result.ok, JSON.stringify(result));
  const { config } = result;
  server = await startCoordinatorServer({
    config,
    serverId: 'c1',
    token: TOKEN,
    rootFolder: folder,
    configFile,
    log: silentLogger,
  });
  command = new ParkAdmin(config, folder);
});

after(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

interface Asked {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: what JSON holds
  readonly json: any;
}

async function ask(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Asked> {
  const response = await fetch(`http://${server.admin}${path}`, {
    method,
    headers: { authorization: `Bearer ${TOKEN}`, ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, json: text === '' ? undefined : JSON.parse(text) };
}

describe('nodes', () => {
  test('PUT creates, then updates; GET gives the value, its ETag and what is known of it', async () => {
    const created = await ask('PUT', '/park/shop/prices?access=read-write', { apple: 3 });
    assert.equal(created.status, 201);
    const updated = await ask('PUT', '/park/shop/prices', { apple: 4 });
    assert.equal(updated.status, 200);
    const read = await ask('GET', '/park/shop/prices');
    assert.deepEqual(read.json, { apple: 4 });
    assert.equal(read.headers.get('etag'), updated.headers.get('etag'));
    assert.deepEqual([read.headers.get('x-park-version'), read.headers.get('x-park-access')], ['2', 'read-write']);
  });

  test('If-Match writes only over that revision, If-None-Match: * only where there is nothing', async () => {
    const etag = (await ask('PUT', '/park/shop/stock', 1)).headers.get('etag') ?? '';
    assert.equal((await ask('PUT', '/park/shop/stock', 2, { 'if-none-match': '*' })).status, 409);
    assert.equal((await ask('PUT', '/park/shop/stock', 2, { 'if-match': etag })).status, 200);
    const late = await ask('PUT', '/park/shop/stock', 3, { 'if-match': etag });
    assert.deepEqual([late.status, late.json.code], [412, 'PARK_VERSION_CONFLICT']);
    assert.equal((await ask('DELETE', '/park/shop/stock', undefined, { 'if-match': etag })).status, 412);
    assert.equal((await ask('DELETE', '/park/shop/stock')).status, 200);
    assert.equal((await ask('GET', '/park/shop/stock')).json.code, 'PARK_NODE_UNKNOWN');
  });

  test('If-Match knows a node that was deleted and created since from the one that was read', async () => {
    const etag = (await ask('PUT', '/park/shop/again', 1)).headers.get('etag') ?? '';
    await ask('DELETE', '/park/shop/again');
    assert.equal((await ask('PUT', '/park/shop/again', 1)).json.version, 1); // as it was before
    const late = await ask('PUT', '/park/shop/again', 2, { 'if-match': etag });
    assert.deepEqual([late.status, late.json.code], [412, 'PARK_VERSION_CONFLICT']);
    assert.match(late.json.detail, /read it again/);
    const gone = await ask('PUT', '/park/shop/nowhere', 2, { 'if-match': etag });
    assert.match(gone.json.detail, /there is no such node/);
    const inTransaction = { writes: [{ op: 'put', domain: 'shop', node: 'again', value: 3 }] };
    const checks = [{ domain: 'shop', node: 'again', revision: Number(etag.slice(1, -1)) }];
    assert.equal((await ask('POST', '/park-transactions', { ...inTransaction, checks })).status, 412);
    const now = (await ask('GET', '/park/shop/again')).headers.get('etag') ?? '';
    checks[0] = { domain: 'shop', node: 'again', revision: Number(now.slice(1, -1)) };
    assert.equal((await ask('POST', '/park-transactions', { ...inTransaction, checks })).status, 200);
  });

  test('POST makes names that sort by age, the listing comes page by page', async () => {
    const names: string[] = [];
    for (let index = 0; index < 3; index++) names.push((await ask('POST', '/park/jobs', { index })).json.node);
    assert.deepEqual(names.toSorted(), names);
    const first = await ask('GET', '/park/jobs?limit=2');
    assert.deepEqual(
      first.json.nodes.map(({ value }: { value: unknown }) => value),
      [{ index: 0 }, { index: 1 }],
    );
    const rest = await ask('GET', `/park/jobs?limit=2&after=${first.json.next}`);
    assert.deepEqual([rest.json.nodes.length, rest.json.next], [1, '']);
  });

  test('a GET that waits is answered when the node changes, or with 304 when it does not', async () => {
    const etag = (await ask('PUT', '/park/shop/wait', 1)).headers.get('etag') ?? '';
    assert.equal((await ask('GET', '/park/shop/wait', undefined, { 'if-none-match': etag })).status, 304);
    assert.equal((await ask('GET', '/park/shop/wait?wait=100', undefined, { 'if-none-match': etag })).status, 304);
    const waiting = ask('GET', '/park/shop/wait?wait=30s', undefined, { 'if-none-match': etag });
    await ask('PUT', '/park/shop/wait', 2);
    assert.equal((await waiting).json, 2);
  });

  test('a transaction is all or nothing', async () => {
    const writes = [
      { op: 'put', domain: 'shop', node: 'a', value: { n: 1 } },
      { op: 'create', domain: 'shop', node: 'b', value: 2 },
    ];
    const done = await ask('POST', '/park-transactions', {
      writes,
      checks: [{ domain: 'shop', node: 'c', version: 0 }],
    });
    assert.deepEqual(
      done.json.results.map(({ version }: { version: number }) => version),
      [1, 1],
    );
    const refused = await ask('POST', '/park-transactions', { writes });
    assert.equal(refused.json.code, 'PARK_NODE_EXISTS');
    assert.equal((await ask('GET', '/park/shop/a')).headers.get('x-park-version'), '1');
  });

  test('ephemeral nodes go with their session', async () => {
    const { json } = await ask('POST', '/park-sessions', { name: 'worker-1', ttlMs: 5_000 });
    const session = { 'x-park-session': json.session };
    assert.equal((await ask('PUT', '/park/workers/one?ephemeral=true', 1, session)).status, 201);
    assert.equal((await ask('PUT', `/park-sessions/${json.session}`)).json.ttlMs, 5_000);
    assert.equal((await ask('GET', '/park/workers/one')).headers.get('x-park-owner'), 'worker-1');
    await ask('DELETE', `/park-sessions/${json.session}`);
    assert.equal((await ask('GET', '/park/workers/one')).status, 404);
    assert.equal((await ask('PUT', `/park-sessions/${json.session}`)).json.code, 'PARK_SESSION_UNKNOWN');
  });
});

describe('who may', () => {
  const client = { authorization: `Bearer ${KEY}` };

  test('without a key nothing is seen', async () => {
    for (const authorization of ['', 'Bearer wrong', `Basic ${TOKEN}`])
      assert.equal((await ask('GET', '/park', undefined, { authorization })).status, 401);
  });

  test('a client sees its own domains only, and forces nothing', async () => {
    await ask('PUT', '/park/other/x', 1);
    assert.equal((await ask('PUT', '/park/billing.eu/limits', 1, client)).status, 201);
    assert.deepEqual(
      (await ask('GET', '/park', undefined, client)).json.domains.map(({ domain }: { domain: string }) => domain),
      ['billing.eu'],
    );
    for (const [method, path] of [
      ['GET', '/park/other/x'],
      ['PUT', '/park/other/x'],
      ['GET', '/park/other'],
      ['DELETE', '/park/other'],
      ['GET', '/park/other?watch=true'],
    ] as const)
      assert.equal(
        (await ask(method, path, method === 'PUT' ? 1 : undefined, client)).json.code,
        'PARK_RIGHTS_MISSING',
        path,
      );
    const writes = [{ op: 'put', domain: 'other', node: 'x', value: 2 }];
    assert.equal((await ask('POST', '/park-transactions', { writes }, client)).status, 403);
    assert.equal((await ask('PUT', '/park/billing.eu/limits?force=true', 2, client)).status, 403);
  });

  test('the platform’s own domains are read, and written by nobody', async () => {
    assert.equal((await ask('GET', '/park/trunkline.published/state')).json.config.cluster, 'small');
    assert.equal((await ask('PUT', '/park/trunkline.published/state?force=true', 1)).json.code, 'PARK_RIGHTS_MISSING');
  });

  test('a config edit changes a client’s rights', async () => {
    const configFile = join(folder, 'cluster.yaml');
    await writeFile(`${configFile}.new`, yaml({ listen: server.listen, admin: server.admin }, 'read'));
    await rename(`${configFile}.new`, configFile);
    await eventually(
      'the refusal',
      async () => (await ask('PUT', '/park/billing.eu/limits', 3, client)).status === 403,
    );
    assert.equal((await ask('GET', '/park/billing.eu/limits', undefined, client)).status, 200);
  });
});

const BAD: readonly (readonly [
  method: string,
  path: string,
  body: string | undefined,
  headers: Record<string, string>,
  status: number,
  says: RegExp,
])[] = [
  ['PUT', '/park/d/x', 'no json', {}, 400, /a text stands in quotes/],
  ['PUT', '/park/d/x', undefined, {}, 400, /expected a value in JSON, got nothing/],
  ['PUT', '/park/d%20d/x', '1', {}, 400, /expected a domain of 1 to 128/],
  ['PUT', '/park/d/%ff', '1', {}, 400, /percent-encoded/],
  ['PUT', '/park/d/x/y', '1', {}, 404, /there are \/park/],
  ['PUT', '/park/d/x?ttl=soon', '1', {}, 400, /expected ttl of at most/],
  ['PUT', '/park/d/x?access=mine', '1', {}, 400, /expected access read, read-write, all/],
  ['PUT', '/park/d/x?ephemeral=true', '1', {}, 400, /expected a session/],
  ['PUT', '/park/d/x', '1', { 'if-match': '17' }, 400, /expected if-match: "<revision>"/],
  ['PUT', '/park/d/x', '1', { 'x-park-session': 'f'.repeat(32) }, 410, /has ended/],
  ['PUT', '/park/d/x', `"${'x'.repeat(1_100_000)}"`, {}, 413, /at most 1048576 bytes/],
  ['PUT', '/park/d/x', `"${'x'.repeat(5_000_000)}"`, {}, 413, /at most \d+ bytes/],
  ['PATCH', '/park/d', '{}', {}, 400, /expected \{"deletable": true\}/],
  ['DELETE', '/park/no-such', undefined, {}, 404, /there is none/],
  ['POST', '/park', '1', {}, 405, /Expected GET/],
  ['POST', '/park-transactions', '{"writes":[{"op":"drop"}]}', {}, 400, /expected \{"writes"/],
  ['POST', '/park-sessions', '{"ttlMs":1}', {}, 400, /200 to 600000/],
  ['GET', '/park/d?limit=0', undefined, {}, 400, /limit of 1 to 1000/],
];

describe('refused', () => {
  for (const [method, path, body, headers, status, says] of BAD)
    test(`${method} ${path} ${(body ?? '').slice(0, 20)} ${Object.keys(headers).join()}: ${status}`, async () => {
      const answer = await ask(method, path, body, headers);
      assert.deepEqual([answer.status, answer.headers.get('content-type')], [status, 'application/problem+json']);
      assert.match(answer.json.detail, says);
    });
});

describe('server-sent events', () => {
  test('what is there, then each change; and on from the last id', async () => {
    await ask('PUT', '/park/news/a', 1);
    const socket = connect({ host: '127.0.0.1', port: Number(server.admin.split(':')[1]) });
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    socket.write(`GET /park/news?watch=true HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\n\r\n`);
    await eventually('the content', () => text.includes('event: content'));
    await ask('PUT', '/park/news/a', 2);
    await ask('PUT', '/park/news/a', 2); // no change of content
    const { json } = await ask('DELETE', '/park/news/a');
    await eventually('the end of the node', () => text.includes('event: removed'));
    assert.equal(text.match(/event: put/g)?.length, 1);
    assert.match(
      text,
      new RegExp(
        `event: removed\nid: ${json.revision}\ndata: \\{"revision":${json.revision},"domain":"news","node":"a"\\}`,
      ),
    );
    socket.destroy();
    const put2 = /event: put\nid: (\d+)/.exec(text)?.[1] ?? '';
    const again = await fetch(`http://${server.admin}/park/news?watch=true`, {
      headers: { authorization: `Bearer ${TOKEN}`, 'last-event-id': put2 },
    });
    const reader = again.body?.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    while (!rest.includes('event: removed')) rest += (await reader?.read())?.value ?? '';
    assert.ok(!rest.includes('event: put') && !rest.includes('event: content'), rest);
    await reader?.cancel();
  });

  test('a client that reads nothing is cut off, one that goes away is forgotten', async () => {
    const socket = connect({ host: '127.0.0.1', port: Number(server.admin.split(':')[1]) });
    socket.pause();
    socket.on('error', () => {});
    socket.write(`GET /park/flood?watch=true HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\n\r\n`);
    const watches = async (): Promise<number> => (await ask('GET', '/-/status')).json.park.watches;
    const before = await watches();
    await eventually('the watch', async () => (await watches()) > before - 1);
    const large = 'x'.repeat(900_000);
    const cutOff = async (): Promise<boolean> => {
      for (let index = 0; index < 4; index++)
        await ask('PUT', '/park/flood/x', JSON.stringify(`${large}${Math.random()}`));
      return (await watches()) < 2;
    };
    await eventually('the cut', cutOff, 15_000);
    socket.destroy();
  });
});

describe('the command', () => {
  test('put, get, ls, rm and what watch prints', async () => {
    assert.match(
      await put(command, 'cli', 'greeting', '"hello"', {}),
      /^cli\/greeting is version 1, at revision \d+\n$/,
    );
    assert.equal(await get(command, 'cli', 'greeting', {}), '"hello"\n');
    const about = JSON.parse(await get(command, 'cli', 'greeting', { json: true }));
    assert.deepEqual([about.value, about.version, about.access], ['hello', 1, 'all']);
    assert.match(await list(command, undefined, {}), /^DOMAIN +NODES +CREATED BY\n[\s\S]*^cli +1 +-$/m);
    assert.match(await list(command, 'cli', {}), /^greeting +\d+ +all +- +"hello"$/m);
    await assert.rejects(put(command, 'cli', 'greeting', 'hello', {}), { code: 'USAGE', detail: /'"hello"'/ });
    await assert.rejects(put(command, 'cli', 'greeting', '1', { ifRevision: '0' }), { code: 'PARK_NODE_EXISTS' });
    await assert.rejects(put(command, 'cli', 'greeting', '1', { ifRevision: '7' }), { code: 'PARK_VERSION_CONFLICT' });
    await assert.rejects(list(command, 'no-such', {}), { code: 'PARK_DOMAIN_UNKNOWN' });
    assert.equal(changeText('put', { revision: 7, domain: 'd', node: 'n', value: [1] }, {}), '7  d/n = [1]\n');
    assert.equal(changeText('removed', { revision: 8, domain: 'd', node: 'n' }, {}), '8  d/n is gone\n');
    assert.equal(await remove(command, 'cli', 'greeting', {}), 'cli/greeting is deleted\n');
    await assert.rejects(get(command, 'cli', 'greeting', {}), { code: 'PARK_NODE_UNKNOWN' });
  });

  test('what its owner did not allow is forced with --force', async () => {
    await put(command, 'cli', 'guarded', '1', { access: 'read' });
    await assert.rejects(put(command, 'cli', 'guarded', '2', {}), { code: 'PARK_RIGHTS_MISSING' });
    await put(command, 'cli', 'guarded', '2', { force: true });
    assert.equal(await remove(command, 'cli', undefined, { force: true }), 'domain cli is deleted\n');
  });
});
