import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LINK_STREAMS_MAX } from '../../../../shared/constants.ts';
import { StreamTable } from '../../../../shared/link/stream-table.ts';
import '../../../support/property-runs.ts';

test('it behaves as a map from ids to owners does, and gives no id that is still open', () => {
  const steps = fc.array(fc.tuple(fc.constantFrom('open', 'open', 'take', 'take old', 'take all'), fc.nat(99)), {
    maxLength: 60,
    size: 'max',
  });
  fc.assert(
    fc.property(steps, (commands) => {
      const table = new StreamTable<number>();
      const open = new Map<number, number>();
      const ended: number[] = [];
      for (const [index, [what, pick]] of commands.entries()) {
        if (what === 'open') {
          const id = table.open(index);
          assert.ok(!open.has(id) && id >= 0 && id <= 0xffff_ffff);
          open.set(id, index);
        } else if (what === 'take') {
          const id = [...open.keys()][pick % Math.max(1, open.size)] ?? 0;
          assert.equal(table.take(id), open.get(id));
          if (open.delete(id)) ended.push(id);
        } else if (what === 'take old') {
          const id = ended[pick % Math.max(1, ended.length)];
          if (id !== undefined && !open.has(id)) assert.equal(table.take(id), undefined);
        } else {
          assert.deepEqual(table.takeAll().sort(), [...open.values()].sort());
          open.clear();
          ended.length = 0;
        }
        assert.equal(table.size, open.size);
      }
    }),
  );
});

test('it is full at its bound, and not before', () => {
  const table = new StreamTable<number>();
  const ids = Array.from({ length: LINK_STREAMS_MAX }, (_, index) => {
    assert.equal(table.full, false);
    return table.open(index);
  });
  assert.ok(table.full);
  table.take(ids[0] as number);
  assert.equal(table.full, false);
});

test('a slot’s generations go round without ever meeting the id before', () => {
  const table = new StreamTable<number>();
  let before = -1;
  for (let turn = 0; turn < 70_000; turn++) {
    const id = table.open(turn);
    assert.ok(id !== before && id >= 0 && (id & 0xffff) === 0);
    assert.equal(table.take(id), turn);
    before = id;
  }
});

test('the ids of all that is open are those that were given', () => {
  const table = new StreamTable<string>();
  const [first, second, third] = [table.open('a'), table.open('b'), table.open('c')];
  table.take(second);
  assert.deepEqual(table.ids(), [first, third]);
  const again = table.open('d');
  assert.deepEqual(table.ids(), [first, again, third]);
});
