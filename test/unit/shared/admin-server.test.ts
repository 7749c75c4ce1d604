import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { ACTION_BODY_BYTES_MAX, type AdminServer, startAdminServer } from '../../../shared/admin-server.ts';
import { PlatformError } from '../../../shared/errors.ts';
import { Metrics } from '../../../shared/metrics.ts';

const TOKEN = 'a-token-of-the-cluster';
let admin: AdminServer;
let ready = true;
let statusFails = false;
const heard: unknown[] = [];
let finishSlow = (): void => {};
let slowStarted = (): void => {};

before(async () => {
  admin = await startAdminServer({
    address: '127.0.0.1:0',
    serverId: 'd1',
    tier: 'dispatcher',
    token: TOKEN,
    metrics: new Metrics({ serverId: 'd1', tier: 'dispatcher' }),
    ready: () => ({ ready, reasons: ready ? [] : ['no app server of group g2 works'] }),
    status: () => {
      if (statusFails) throw new Error('status broke');
      return { epoch: 7 };
    },
    actions: {
      echo: async (body) => {
        heard.push(body);
        return body;
      },
      refuse: async () => {
        throw new PlatformError('DRAINING', 'This server drains already.');
      },
      slow: () =>
        new Promise((resolve) => {
          finishSlow = () => resolve({ done: true });
          slowStarted();
        }),
    },
  });
});

after(() => admin.close());

function get(path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`http://${admin.address}${path}`, init);
}

function act(name: string, body: string, token = TOKEN): Promise<Response> {
  return get(`/-/actions/${name}`, { method: 'POST', body, headers: { authorization: `Bearer ${token}` } });
}

async function problemOf(response: Response): Promise<{ code: string; detail: string; status: number }> {
  assert.equal(response.headers.get('content-type'), 'application/problem+json');
  return (await response.json()) as { code: string; detail: string; status: number };
}

test('health says that the process is alive', async () => {
  const response = await get('/-/health');
  assert.deepEqual(
    [response.status, await response.json()],
    [200, { status: 'alive', serverId: 'd1', tier: 'dispatcher' }],
  );
});

test('ready is 503 with the reasons while the server is not', async () => {
  assert.equal((await get('/-/ready')).status, 200);
  ready = false;
  const response = await get('/-/ready');
  ready = true;
  assert.equal(response.status, 503);
  assert.deepEqual(((await response.json()) as { reasons: string[] }).reasons, ['no app server of group g2 works']);
});

test('metrics are Prometheus text', async () => {
  const response = await get('/metrics');
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain/);
  assert.match(await response.text(), /# TYPE \w+ gauge/);
});

test('status is JSON, and one that throws is a problem, not the end of the process', async () => {
  assert.deepEqual(await (await get('/-/status')).json(), { epoch: 7 });
  statusFails = true;
  const response = await get('/-/status');
  statusFails = false;
  assert.equal(response.status, 500);
  assert.equal((await problemOf(response)).code, 'INTERNAL');
});

test('HEAD is GET without the body', async () => {
  const response = await get('/-/health', { method: 'HEAD' });
  assert.deepEqual([response.status, await response.text()], [200, '']);
});

for (const [method, path] of [
  ['GET', '/'],
  ['GET', '/-/actions/echo'],
  ['POST', '/-/health'],
  ['DELETE', '/metrics'],
  ['GET', '/-/status/'],
] as const) {
  test(`${method} ${path} is 404 as a problem that names what there is`, async () => {
    const response = await get(path, { method });
    assert.equal(response.status, 404);
    assert.match((await problemOf(response)).detail, /\/-\/status/);
  });
}

test('an action with the token is done with the JSON it was sent', async () => {
  const response = await act('echo', '{"server":"g1a"}');
  assert.deepEqual([response.status, await response.json()], [200, { server: 'g1a' }]);
  assert.deepEqual(heard.pop(), { server: 'g1a' });
});

test('an action without a body is given an empty object', async () => {
  assert.deepEqual(await (await act('echo', '')).json(), {});
});

for (const [name, authorization] of [
  ['no token', undefined],
  ['another token', 'Bearer another'],
  ['a longer token', `Bearer ${TOKEN}x`],
  ['another scheme', `Basic ${TOKEN}`],
] as const) {
  test(`an action with ${name} is refused with 401 and not done`, async () => {
    heard.length = 0;
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
    const response = await get('/-/actions/echo', { method: 'POST', body: '{}', headers });
    assert.deepEqual([response.status, response.headers.get('www-authenticate')], [401, 'Bearer']);
    assert.equal((await problemOf(response)).code, 'TOKEN_REFUSED');
    assert.deepEqual(heard, []);
  });
}

test('an unknown action is 404 that names the known ones, also one named like a property of every object', async () => {
  for (const name of ['nothing', 'constructor', '__proto__']) {
    const response = await act(name, '{}');
    assert.equal(response.status, 404);
    assert.match((await problemOf(response)).detail, /echo, refuse, slow/);
  }
});

test('a body that is no JSON is 400, and one over the limit 413', async () => {
  assert.equal((await problemOf(await act('echo', '{'))).code, 'BODY_INVALID');
  const response = await act('echo', JSON.stringify('x'.repeat(ACTION_BODY_BYTES_MAX)));
  assert.equal(response.status, 413);
  assert.equal((await problemOf(response)).code, 'BODY_TOO_LARGE');
});

test('a refusal of the action itself is its problem', async () => {
  const response = await act('refuse', '{}');
  assert.deepEqual([response.status, (await problemOf(response)).code], [503, 'DRAINING']);
});

test('a client that goes away in the middle of an action or of a body harms nothing', async () => {
  const [host, port] = admin.address.split(':') as [string, string];
  const started = new Promise<void>((resolve) => {
    slowStarted = resolve;
  });
  const head = `POST /-/actions/slow HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\n`;
  const during = connect(Number(port), host);
  during.write(`${head}content-length: 2\r\n\r\n{}`);
  await started;
  const halfBody = connect(Number(port), host);
  halfBody.write(`${head}content-length: 100\r\n\r\n{`);
  for (const socket of [during, halfBody]) {
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.resetAndDestroy();
    await closed;
  }
  await get('/-/health'); // both resets are seen by now: they came first
  finishSlow();
  assert.equal((await get('/-/health')).status, 200);
});

test('a taken port is said by its number', async () => {
  const options = {
    serverId: 'd2',
    tier: 'dispatcher',
    token: TOKEN,
    ready: () => ({ ready: true, reasons: [] }),
  } as const;
  const metrics = new Metrics({ serverId: 'd2', tier: 'dispatcher' }, { processMetrics: false });
  const second = startAdminServer({ ...options, metrics, address: admin.address, status: () => ({}) });
  await assert.rejects(second, { code: 'PORT_TAKEN' });
});
