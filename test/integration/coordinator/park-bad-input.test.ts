/** What may not be asked of the park is refused alike over a link, over HTTP and by the command, and says what to do. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { get, list, put, remove } from '../../../deploy/cli/park.ts';
import { ParkAdmin } from '../../../deploy/cli/park-admin.ts';
import { ERROR_KINDS, type ErrorCode } from '../../../shared/errors.ts';
import type { ParkClient } from '../../../shared/park/park-client.ts';
import { CoordinatorSet } from '../../support/coordinator-set.ts';

const LONG_MS = 60_000;
const TOO_LARGE = 'x'.repeat(1_048_576);
const KEY = 'reader-key';

let set: CoordinatorSet;
let park: ParkClient;
let command: ParkAdmin;

before(async () => {
  const clients = '[{ name: reader, key: { file: reader.key }, domains: [shown], rights: read }]';
  set = await CoordinatorSet.make({ yaml: `  parkClients: ${clients}\n` });
  fs.writeFileSync(path.join(set.folder, 'reader.key'), KEY);
  await set.untilServing('c1', set.start('c1'));
  park = set.client('anna', { sessionTtlMs: LONG_MS, callTimeoutMs: LONG_MS });
  command = new ParkAdmin(set.config, set.folder);
  const ben = set.client('ben', { sessionTtlMs: LONG_MS, callTimeoutMs: LONG_MS });
  await ben.create('shown', 'read', 1, { access: 'read' });
  await ben.create('shown', 'written', 1, { access: 'read-write' });
  await ben.create('shown', 'free', 1);
});

after(async () => await set.close());

type Http = readonly [method: string, path: string, body?: string | undefined, headers?: Record<string, string>];

interface Refusal {
  readonly what: string;
  readonly code: ErrorCode;
  readonly says: RegExp;
  readonly link?: () => Promise<unknown>;
  readonly http?: Http;
  readonly command?: () => Promise<unknown>;
}

const REFUSALS: readonly Refusal[] = [
  {
    what: 'deleting an unknown domain',
    code: 'PARK_DOMAIN_UNKNOWN',
    says: /expected a domain no-such, there is none/,
    link: () => park.deleteDomain('no-such'),
    http: ['DELETE', '/park/no-such'],
    command: () => remove(command, 'no-such', undefined, {}),
  },
  {
    what: 'setting an unknown domain deletable',
    code: 'PARK_DOMAIN_UNKNOWN',
    says: /a domain comes with its first node/,
    link: () => park.setDeletable('no-such'),
    http: ['PATCH', '/park/no-such', '{"deletable":true}'],
  },
  {
    what: 'listing an unknown domain',
    code: 'PARK_DOMAIN_UNKNOWN',
    says: /`trunkline park ls` lists them/,
    command: () => list(command, 'no-such', {}),
  },
  {
    what: 'a node of an unknown domain',
    code: 'PARK_NODE_UNKNOWN',
    says: /expected a node no-such\/x, there is no(ne: PUT creates it| domain no-such: create it, or use put)/,
    link: () => park.update('no-such', 'x', 1),
    http: ['GET', '/park/no-such/x'],
    command: () => get(command, 'no-such', 'x', {}),
  },
  {
    what: 'deleting an unknown node',
    code: 'PARK_NODE_UNKNOWN',
    says: /domain shown has no node x: create it, or use put/,
    link: () => park.delete('shown', 'x'),
    http: ['DELETE', '/park/shown/x'],
    command: () => remove(command, 'shown', 'x', {}),
  },
  {
    what: 'creating what is there',
    code: 'PARK_NODE_EXISTS',
    says: /there is one \(version \d+, created by ben\): update it, or use put/,
    link: () => park.create('shown', 'free', 1),
    http: ['PUT', '/park/shown/free', '1', { 'if-none-match': '*' }],
    command: () => put(command, 'shown', 'free', '1', { ifRevision: '0' }),
  },
  {
    what: 'a value over 1 MiB',
    code: 'PARK_VALUE_TOO_LARGE',
    says: /expected a value of at most 1048576 bytes of JSON, got .*: keep what is large elsewhere, and its address here/,
    link: () => park.put('shown', 'free', TOO_LARGE),
    http: ['PUT', '/park/shown/free', JSON.stringify(TOO_LARGE)],
    command: () => put(command, 'shown', 'free', JSON.stringify(TOO_LARGE), {}),
  },
  {
    what: 'another version',
    code: 'PARK_VERSION_CONFLICT',
    says: /expected (version 7 of shown\/free, it has version 1|shown\/free at revision 7, it is at revision \d+): read it again, decide again, write again/,
    link: () => park.update('shown', 'free', 2, { ifVersion: 7 }),
    http: ['PUT', '/park/shown/free', '2', { 'if-match': '"7"' }],
    command: () => put(command, 'shown', 'free', '2', { ifRevision: '7' }),
  },
  {
    what: 'deleting another version',
    code: 'PARK_VERSION_CONFLICT',
    says: /read it again/,
    link: () => park.delete('shown', 'free', { ifVersion: 7 }),
    http: ['DELETE', '/park/shown/free', undefined, { 'if-match': '"7"' }],
    command: () => remove(command, 'shown', 'free', { ifRevision: '7' }),
  },
  {
    what: 'writing what others may only read',
    code: 'PARK_RIGHTS_MISSING',
    says: /shown\/read is read for everybody but its creator ben: it may not be written/,
    link: () => park.put('shown', 'read', 2),
    http: ['PUT', '/park/shown/read', '2'],
    command: () => put(command, 'shown', 'read', '2', {}),
  },
  {
    what: 'deleting what others may only write',
    code: 'PARK_RIGHTS_MISSING',
    says: /shown\/written is read-write for everybody but its creator ben: it may not be deleted/,
    link: () => park.delete('shown', 'written'),
    http: ['DELETE', '/park/shown/written'],
    command: () => remove(command, 'shown', 'written', {}),
  },
  {
    what: 'deleting another one’s domain',
    code: 'PARK_RIGHTS_MISSING',
    says: /domain shown may be deleted by its creator only \(ben\), who has not set it deletable/,
    link: () => park.deleteDomain('shown'),
    http: ['DELETE', '/park/shown'],
    command: () => remove(command, 'shown', undefined, {}),
  },
  {
    what: 'writing with a key that may only read',
    code: 'PARK_RIGHTS_MISSING',
    says: /client reader may only read shown: see coordinator.parkClients/,
    http: ['PUT', '/park/shown/free', '2', { authorization: `Bearer ${KEY}` }],
  },
  {
    what: 'reading with a key that may not see it',
    code: 'PARK_RIGHTS_MISSING',
    says: /client reader may see shown, not hidden/,
    http: ['GET', '/park/hidden/x', undefined, { authorization: `Bearer ${KEY}` }],
  },
  {
    what: 'writing a domain of the platform',
    code: 'PARK_RIGHTS_MISSING',
    says: /trunkline.published is one of the platform's own domains \(trunkline\.\*\): only coordinators write it/,
    link: () => park.put('trunkline.published', 'state', 1),
    http: ['PUT', '/park/trunkline.published/state', '1'],
    command: () => put(command, 'trunkline.published', 'state', '1', { force: true }),
  },
  {
    what: 'a bad name of a domain',
    code: 'PARK_REQUEST_INVALID',
    says: /expected a domain of 1 to 128 letters, digits and \. _ - : that begins with a letter or digit, got ".shown"/,
    link: () => park.put('.shown', 'x', 1),
    http: ['PUT', '/park/.shown/x', '1'],
    command: () => put(command, '.shown', 'x', '1', {}),
  },
  {
    what: 'a bad name of a node',
    code: 'PARK_REQUEST_INVALID',
    says: /expected a node of 1 to 128 letters.*got "a b"/,
    link: () => park.get('shown', 'a b'),
    http: ['GET', '/park/shown/a%20b'],
    command: () => get(command, 'shown', 'a b', {}),
  },
  {
    what: 'a name that is too long',
    code: 'PARK_REQUEST_INVALID',
    says: /expected a node of 1 to 128 letters/,
    link: () => park.put('shown', 'n'.repeat(129), 1),
    http: ['PUT', `/park/shown/${'n'.repeat(129)}`, '1'],
    command: () => put(command, 'shown', 'n'.repeat(129), '1', {}),
  },
  {
    what: 'a TTL out of its bounds',
    code: 'PARK_REQUEST_INVALID',
    says: /expected (a ttlMs of 100 to|ttl of at most)/,
    link: () => park.create('shown', 'late', 1, { ttlMs: 5 }),
    http: ['PUT', '/park/shown/late?ttl=90d', '1'],
    command: () => put(command, 'shown', 'late', '1', { ttl: '90d' }),
  },
  {
    what: 'a node that is ephemeral and has a TTL',
    code: 'PARK_REQUEST_INVALID',
    says: /expected ephemeral or ttlMs, got both: an ephemeral node goes with its session/,
    link: () => park.create('shown', 'late', 1, { ephemeral: true, ttlMs: 500 }),
  },
  {
    what: 'an unknown access',
    code: 'PARK_REQUEST_INVALID',
    says: /expected access read, read-write, all/,
    link: () => park.create('shown', 'late', 1, { access: 'none' as 'all' }),
    http: ['PUT', '/park/shown/late?access=none', '1'],
    command: () => put(command, 'shown', 'late', '1', { access: 'none' }),
  },
  {
    what: 'too many writes at once',
    code: 'PARK_REQUEST_INVALID',
    says: /1 to 64 writes in a transaction, got 65|<=64 items/,
    link: () => park.transact({ writes: writes(65) }),
    http: ['POST', '/park-transactions', JSON.stringify({ writes: writes(65) })],
  },
];

function writes(count: number): { op: 'put'; domain: string; node: string; value: number }[] {
  return Array.from({ length: count }, (_, index) => ({ op: 'put', domain: 'shown', node: `n${index}`, value: 1 }));
}

async function overHttp([method, where, body, headers = {}]: Http): Promise<{
  status: number;
  json: Record<string, unknown>;
}> {
  const admin = set.config.coordinator.servers[0]?.admin;
  const token = fs.readFileSync(path.join(set.folder, 'token.txt'), 'utf8');
  const response = await fetch(`http://${admin}${where}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...headers },
    ...(body === undefined ? {} : { body }),
  });
  return { status: response.status, json: (await response.json()) as Record<string, unknown> };
}

for (const { what, code, says, link, http, command: byCommand } of REFUSALS) {
  test(`${what}: ${code}`, async () => {
    const revision = async (): Promise<unknown> => (await park.getLatestDomain('shown', 0))?.entries;
    const entries = await revision();
    if (link !== undefined) await assert.rejects(link, { code, detail: says }, 'over a link');
    if (byCommand !== undefined) await assert.rejects(byCommand, { code, detail: says }, 'by the command');
    if (http !== undefined) {
      const { status, json } = await overHttp(http);
      assert.deepEqual([status, json['code']], [ERROR_KINDS[code].status, code]);
      assert.match(String(json['detail']), says);
    }
    assert.deepEqual(await revision(), entries, 'nothing is changed');
  });
}

test('a value of exactly 1 MiB is taken, and comes back, over all three', async () => {
  const value = 'x'.repeat(1_048_574);
  await park.put('large', 'x', value);
  assert.equal((await park.get('large', 'x'))?.value, value);
  await put(command, 'large', 'y', JSON.stringify(value), {});
  assert.equal(await get(command, 'large', 'y', {}), `${JSON.stringify(value)}\n`);
});

test('a request that no link could carry is refused before it is sent', async () => {
  await assert.rejects(park.put('large', 'x', 'x'.repeat(6_000_000)), { code: 'PARK_VALUE_TOO_LARGE' });
  assert.equal((await park.get('shown', 'free'))?.value, 1);
});
