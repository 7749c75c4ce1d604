/** Every rule of a transaction, and every refusal with its words. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decide, generatedName } from '../../../../coordinator-server/park/park-rules.ts';
import { ParkState } from '../../../../coordinator-server/park/park-state.ts';
import type { Writer } from '../../../../coordinator-server/store/park-store.ts';
import type { ErrorCode } from '../../../../shared/errors.ts';
import type { ParkCheck, ParkWrite, WriteOutcome } from '../../../../shared/park/park-model.ts';

const ANNA: Writer = { session: 'a'.repeat(32), force: false, platform: false };
const BEN: Writer = { session: 'b'.repeat(32), force: false, platform: false };
const NOBODY: Writer = { session: '', force: false, platform: false };

/** A park with sessions of anna and ben. */
class SmallPark {
  readonly state = new ParkState();

  constructor() {
    for (const [writer, name] of [
      [ANNA, 'anna'],
      [BEN, 'ben'],
    ] as const)
      this.state.apply([{ kind: 'session', id: writer.session, name, ttlMs: 1_000 }], 0);
  }

  write(writer: Writer, writes: readonly ParkWrite[], checks: readonly ParkCheck[] = []): WriteOutcome {
    const { changes, outcome } = decide(this.state, writer, { writes, checks });
    this.state.apply(changes, 0);
    return outcome;
  }

  create(writer: Writer, node: string, more: Partial<Extract<ParkWrite, { op: 'create' }>> = {}): WriteOutcome {
    return this.write(writer, [{ op: 'create', domain: 'd', node, value: '1', ...more }]);
  }
}

interface Refusal {
  readonly what: string;
  readonly before?: (park: SmallPark) => unknown;
  readonly writer?: Writer;
  readonly writes: readonly ParkWrite[];
  readonly checks?: readonly ParkCheck[];
  readonly code: ErrorCode;
  readonly says: RegExp;
}

const put = (node: string, value = '2'): ParkWrite => ({ op: 'put', domain: 'd', node, value });
const ofAnna = (access: 'read' | 'read-write' | 'all') => (park: SmallPark) => park.create(ANNA, 'x', { access });
const gone = (access: 'read' | 'read-write') => (park: SmallPark) => {
  ofAnna(access)(park);
  park.state.apply([{ kind: 'session-ended', id: ANNA.session }], 0);
};

const REFUSALS: readonly Refusal[] = [
  {
    what: 'no write',
    writes: [],
    code: 'PARK_REQUEST_INVALID',
    says: /expected 1 to 64 writes in a transaction, got 0/,
  },
  {
    what: 'too many writes',
    writes: Array.from({ length: 65 }, (_, index) => put(`n${index}`)),
    code: 'PARK_REQUEST_INVALID',
    says: /got 65/,
  },
  {
    what: 'a name with a slash',
    writes: [put('a/b')],
    code: 'PARK_REQUEST_INVALID',
    says: /expected a node of 1 to 128 letters.* got "a\/b"/,
  },
  {
    what: 'an empty domain',
    writes: [{ ...put('a'), domain: '' } as ParkWrite],
    code: 'PARK_REQUEST_INVALID',
    says: /expected a domain of/,
  },
  {
    what: 'a node twice',
    writes: [put('a'), put('a')],
    code: 'PARK_REQUEST_INVALID',
    says: /each node once in a transaction, got d\/a again/,
  },
  {
    what: 'a node and its whole domain',
    before: (park) => park.create(NOBODY, 'a'),
    writes: [put('b'), { op: 'delete-domain', domain: 'd' }],
    writer: { ...NOBODY, force: true },
    code: 'PARK_REQUEST_INVALID',
    says: /each node once/,
  },
  {
    what: 'a domain deleted and set deletable',
    before: (park) => park.create(NOBODY, 'a'),
    writes: [
      { op: 'delete-domain', domain: 'd' },
      { op: 'set-deletable', domain: 'd' },
    ],
    writer: { ...NOBODY, force: true },
    code: 'PARK_REQUEST_INVALID',
    says: /domain d to be deleted or set deletable.*got both/,
  },
  {
    what: 'two nodes without names',
    writes: [1, 2].map(() => ({ op: 'create', domain: 'd', value: '1' }) as const),
    code: 'PARK_REQUEST_INVALID',
    says: /at most one node without a name/,
  },
  {
    what: 'an unknown access',
    writes: [{ op: 'create', domain: 'd', node: 'a', value: '1', access: 'write' as 'all' }],
    code: 'PARK_REQUEST_INVALID',
    says: /expected access read, read-write, all, got "write"/,
  },
  {
    what: 'an unknown op',
    writes: [{ op: 'drop', domain: 'd' } as unknown as ParkWrite],
    code: 'PARK_REQUEST_INVALID',
    says: /expected op create.* got "drop"/,
  },
  {
    what: 'ephemeral without a session',
    writes: [{ op: 'create', domain: 'd', node: 'a', value: '1', ephemeral: true }],
    code: 'PARK_REQUEST_INVALID',
    says: /expected a session/,
  },
  {
    what: 'ephemeral and a TTL',
    writer: ANNA,
    writes: [{ op: 'create', domain: 'd', node: 'a', value: '1', ephemeral: true, ttlMs: 500 }],
    code: 'PARK_REQUEST_INVALID',
    says: /ephemeral or ttlMs, got both/,
  },
  {
    what: 'a TTL too short',
    writes: [{ op: 'create', domain: 'd', node: 'a', value: '1', ttlMs: 1 }],
    code: 'PARK_REQUEST_INVALID',
    says: /expected a ttlMs of 100 to/,
  },
  {
    what: 'a value too large',
    writes: [put('a', `"${'é'.repeat(600_000)}"`)],
    code: 'PARK_VALUE_TOO_LARGE',
    says: /at most 1048576 bytes of JSON, got 1200002/,
  },
  {
    what: 'a dead session',
    writer: { ...ANNA, session: 'c'.repeat(32) },
    writes: [put('a')],
    code: 'PARK_SESSION_UNKNOWN',
    says: /has ended/,
  },
  {
    what: 'an update of nothing',
    writes: [{ op: 'update', domain: 'd', node: 'a', value: '1' }],
    code: 'PARK_NODE_UNKNOWN',
    says: /there is no domain d/,
  },
  {
    what: 'an update of no node',
    before: (park) => park.create(NOBODY, 'b'),
    writes: [{ op: 'update', domain: 'd', node: 'a', value: '1' }],
    code: 'PARK_NODE_UNKNOWN',
    says: /domain d has no node a/,
  },
  {
    what: 'a create of what is there',
    before: ofAnna('all'),
    writes: [{ op: 'create', domain: 'd', node: 'x', value: '1' }],
    code: 'PARK_NODE_EXISTS',
    says: /version 1, created by anna/,
  },
  {
    what: 'another version',
    before: ofAnna('all'),
    writes: [{ op: 'update', domain: 'd', node: 'x', value: '1', ifVersion: 7 }],
    code: 'PARK_VERSION_CONFLICT',
    says: /expected version 7 of d\/x, it has version 1/,
  },
  {
    what: 'put of a version that is not there',
    writes: [{ ...put('a'), ifVersion: 2 } as ParkWrite],
    code: 'PARK_VERSION_CONFLICT',
    says: /there is no such node/,
  },
  {
    what: 'put of version 0 over a node',
    before: ofAnna('all'),
    writes: [{ ...put('x'), ifVersion: 0 } as ParkWrite],
    code: 'PARK_NODE_EXISTS',
    says: /there is one/,
  },
  {
    what: 'a check that fails',
    before: ofAnna('all'),
    writes: [put('y')],
    checks: [{ domain: 'd', node: 'x', version: 0 }],
    code: 'PARK_VERSION_CONFLICT',
    says: /expected version 0/,
  },
  {
    what: 'a check of a revision that the node is not at',
    before: ofAnna('all'),
    writes: [put('x')],
    checks: [{ domain: 'd', node: 'x', revision: 2 }],
    code: 'PARK_VERSION_CONFLICT',
    says: /expected d\/x at revision 2, it is at revision 3: read it again/,
  },
  {
    what: 'a check of the revision of a node that was deleted and created since, at the same version',
    before: (park) => {
      ofAnna('all')(park);
      park.write(ANNA, [{ op: 'delete', domain: 'd', node: 'x' }]);
      ofAnna('all')(park);
    },
    writes: [put('x')],
    checks: [{ domain: 'd', node: 'x', revision: 3 }],
    code: 'PARK_VERSION_CONFLICT',
    says: /it is at revision 5/,
  },
  {
    what: 'a check of the revision of no node',
    writes: [put('x')],
    checks: [{ domain: 'd', node: 'x', revision: 3 }],
    code: 'PARK_VERSION_CONFLICT',
    says: /there is no such node/,
  },
  {
    what: 'a write of a read node',
    before: ofAnna('read'),
    writer: BEN,
    writes: [put('x')],
    code: 'PARK_RIGHTS_MISSING',
    says: /d\/x is read for everybody but its creator anna: it may not be written/,
  },
  {
    what: 'a delete of a read-write node',
    before: ofAnna('read-write'),
    writer: BEN,
    writes: [{ op: 'delete', domain: 'd', node: 'x' }],
    code: 'PARK_RIGHTS_MISSING',
    says: /it may not be deleted/,
  },
  {
    what: 'a write of a read node whose creator is gone',
    before: gone('read'),
    writer: BEN,
    writes: [put('x')],
    code: 'PARK_RIGHTS_MISSING',
    says: /whose session has ended/,
  },
  {
    what: 'a deletion of another one’s domain',
    before: ofAnna('all'),
    writer: BEN,
    writes: [{ op: 'delete-domain', domain: 'd' }],
    code: 'PARK_RIGHTS_MISSING',
    says: /by its creator only \(anna\)/,
  },
  {
    what: 'a set-deletable of another one’s domain',
    before: ofAnna('all'),
    writer: BEN,
    writes: [{ op: 'set-deletable', domain: 'd' }],
    code: 'PARK_RIGHTS_MISSING',
    says: /anna/,
  },
  {
    what: 'a deletion of no domain',
    writes: [{ op: 'delete-domain', domain: 'd' }],
    code: 'PARK_DOMAIN_UNKNOWN',
    says: /there is none/,
  },
  {
    what: 'the platform’s own domain',
    writes: [{ op: 'put', domain: 'trunkline.x', node: 'a', value: '1' }],
    code: 'PARK_RIGHTS_MISSING',
    says: /one of the platform's own/,
  },
];

describe('refused', () => {
  for (const { what, before, writer = NOBODY, writes, checks, code, says } of REFUSALS) {
    test(`${what}: ${code}, and nothing is changed`, () => {
      const park = new SmallPark();
      before?.(park);
      const { revision } = park.state;
      assert.throws(() => park.write(writer, writes, checks), { code, detail: says });
      assert.equal(park.state.revision, revision);
    });
  }
});

test('a domain comes with its first node and goes with its last', () => {
  const park = new SmallPark();
  park.create(ANNA, 'x');
  assert.equal(park.state.domain('d')?.creator, ANNA.session);
  park.write(BEN, [{ op: 'delete', domain: 'd', node: 'x' }]);
  assert.equal(park.state.domain('d'), undefined);
  park.create(BEN, 'x');
  assert.equal(park.state.domain('d')?.creator, BEN.session);
});

test('the last node replaced in one transaction keeps the domain, and its creator', () => {
  const park = new SmallPark();
  park.create(ANNA, 'x');
  park.write(BEN, [{ op: 'delete', domain: 'd', node: 'x' }, put('y')]);
  assert.equal(park.state.domain('d')?.creator, ANNA.session);
});

test('the creator may do everything while its session lives, others what the access says', () => {
  const park = new SmallPark();
  park.create(ANNA, 'x', { access: 'read' });
  park.create(ANNA, 'y', { access: 'read-write' });
  park.write(BEN, [put('y')]);
  park.write(ANNA, [put('x'), { op: 'delete', domain: 'd', node: 'y' }]);
  park.write({ ...BEN, force: true }, [put('x')]);
  assert.equal(park.state.node('d', 'x')?.version, 3);
});

test('what is set deletable everybody may delete', () => {
  const park = new SmallPark();
  park.create(ANNA, 'x', { access: 'read' });
  park.write(ANNA, [{ op: 'set-deletable', domain: 'd' }]);
  park.write(BEN, [{ op: 'delete-domain', domain: 'd' }]);
  assert.equal(park.state.nodes, 0);
});

test('generated names sort by creation, also when the domain was gone in between', () => {
  const park = new SmallPark();
  const names: string[] = [];
  for (let round = 0; round < 3; round++) {
    for (let index = 0; index < 3; index++)
      names.push(park.write(ANNA, [{ op: 'create', domain: 'd', value: '1' }]).results[0]?.node ?? '');
    park.write(ANNA, [{ op: 'delete-domain', domain: 'd' }]);
  }
  assert.deepEqual(names.toSorted(), names);
  assert.equal(new Set(names).size, 9);
  assert.ok(generatedName(9) < generatedName(10));
});

test('a check of the revision a node is at lets pass, and 0 where there is none', () => {
  const park = new SmallPark();
  const { revision } = park.create(ANNA, 'x');
  const checks = [
    { domain: 'd', node: 'x', revision },
    { domain: 'd', node: 'y', revision: 0 },
  ];
  assert.equal(park.write(ANNA, [put('x')], checks).results[0]?.version, 2);
});

test('a name given by hand that the domain would generate next is passed over', () => {
  const park = new SmallPark();
  const { results, revision } = park.write(ANNA, [{ op: 'create', domain: 'd', value: '1' }]);
  for (let ahead = 1; ahead <= 3; ahead++) park.create(BEN, generatedName(revision + ahead));
  const next = park.write(ANNA, [{ op: 'create', domain: 'd', value: '2' }]).results[0]?.node ?? '';
  assert.equal(next, generatedName(revision + 4));
  assert.ok(next > (results[0]?.node ?? ''));
});

test('a transaction is one revision, and its results stand in the order of its writes', () => {
  const park = new SmallPark();
  park.create(ANNA, 'x');
  const { revision } = park.state;
  const outcome = park.write(ANNA, [
    put('y'),
    { op: 'delete', domain: 'd', node: 'x' },
    { op: 'create', domain: 'e', node: 'z', value: '1' },
  ]);
  assert.equal(outcome.revision, revision + 1);
  assert.deepEqual(
    outcome.results.map(({ domain, node, version }) => `${domain}/${node} ${version}`),
    ['d/y 1', 'd/x 0', 'e/z 1'],
  );
  assert.equal(park.state.revision, revision + 1);
});

test('the same value again is a new version, and no change of content', () => {
  const park = new SmallPark();
  park.create(ANNA, 'x');
  const { changes } = decide(park.state, ANNA, { writes: [put('x', '1')] });
  assert.deepEqual(
    changes.map((change) => change.kind === 'put' && [change.record.version, change.contentChanged]),
    [[2, false]],
  );
});
