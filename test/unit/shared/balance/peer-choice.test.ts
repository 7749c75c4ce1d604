import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Candidate, peerChoice } from '../../../../shared/balance/peer-choice.ts';
import { seededRandom } from '../../../../shared/random.ts';
import '../../../support/property-runs.ts';

interface Named extends Candidate {
  readonly name: string;
}

const peer = (name: string, fields: Partial<Candidate> = {}): Named => ({
  name,
  writable: true,
  inFlight: 0,
  ...fields,
});

/** Every choice is made in a turn of its own. */
const NEW_TURNS = {
  counted: 0,
  get turn(): number {
    return this.counted++;
  },
};

const candidate = fc.record({ name: fc.string(), writable: fc.boolean(), inFlight: fc.nat(5) });

test('every policy gives a writable peer when there is one, and undefined when there is none', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('round-robin', 'random', 'least-loaded'),
      fc.array(candidate, { maxLength: 6 }),
      fc.integer(),
      (policy, peers, seed) => {
        const choose = peerChoice<Named>(policy, seededRandom(seed), NEW_TURNS);
        for (let turn = 0; turn < 8; turn++) {
          const chosen = choose(peers);
          if (peers.some(({ writable }) => writable)) assert.ok(chosen?.writable);
          else assert.equal(chosen, undefined);
        }
      },
    ),
  );
});

test('round-robin gives each its turn', () => {
  const choose = peerChoice<Named>('round-robin', seededRandom(1), NEW_TURNS);
  const peers = ['a', 'b', 'c'].map((name) => peer(name));
  const chosen = Array.from({ length: 6 }, () => choose(peers)?.name);
  assert.deepEqual([...new Set(chosen.slice(0, 3))].sort(), ['a', 'b', 'c']);
  assert.deepEqual(chosen.slice(0, 3), chosen.slice(3));
});

test('round-robin keeps the requests of one turn together, up to 32 in a row', () => {
  const tick = { turn: 1 };
  const choose = peerChoice<Named>('round-robin', seededRandom(1), tick);
  const peers = ['a', 'b'].map((name) => peer(name));
  const names = (count: number): (string | undefined)[] => Array.from({ length: count }, () => choose(peers)?.name);
  const first = names(40);
  assert.deepEqual([new Set(first.slice(0, 32)).size, new Set(first.slice(32)).size], [1, 1]);
  assert.notEqual(first[0], first[32]);
  tick.turn++;
  assert.notEqual(choose(peers)?.name, first[39]);
});

test('round-robin passes over a peer that can take nothing, and gives its turn to the next', () => {
  const choose = peerChoice<Named>('round-robin', seededRandom(1), NEW_TURNS);
  const peers = [peer('a'), peer('b', { writable: false }), peer('c')];
  const chosen = Array.from({ length: 6 }, () => choose(peers)?.name);
  assert.ok(!chosen.includes('b') && chosen.includes('a') && chosen.includes('c'));
});

test('random spreads over all of them', () => {
  const choose = peerChoice<Named>('random', seededRandom(7), NEW_TURNS);
  const counts = new Map<string, number>();
  for (let turn = 0; turn < 3_000; turn++) {
    const name = choose(['a', 'b', 'c'].map((each) => peer(each)))?.name ?? '';
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  for (const name of ['a', 'b', 'c']) assert.ok((counts.get(name) ?? 0) > 800, `${name}: ${counts.get(name)}`);
});

test('least-loaded gives the one with the fewest in flight that is writable, and ties go round', () => {
  const choose = peerChoice<Named>('least-loaded', seededRandom(1), NEW_TURNS);
  const peers = [peer('busy', { inFlight: 9 }), peer('full', { writable: false }), peer('calm', { inFlight: 1 })];
  assert.equal(choose(peers)?.name, 'calm');
  const tied = ['a', 'b', 'c'].map((name) => peer(name, { inFlight: 2 }));
  assert.deepEqual(
    new Set([choose(tied), choose(tied), choose(tied)].map((one) => one?.name)),
    new Set(['a', 'b', 'c']),
  );
});
