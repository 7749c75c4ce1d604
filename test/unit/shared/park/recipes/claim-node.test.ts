/** Claims whose answers are lost: whatever became of the write, nothing of it stays in the way. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { ParkStoreChannel } from '../../../../../coordinator-server/park/park-store-channel.ts';
import { systemClock } from '../../../../../shared/clock.ts';
import { PlatformError } from '../../../../../shared/errors.ts';
import type { Park } from '../../../../../shared/park/park.ts';
import { ParkClient } from '../../../../../shared/park/park-client.ts';
import { ParkLock } from '../../../../../shared/park/recipes/park-lock.ts';
import { contendersOf } from '../../../../../shared/park/recipes/place-in-queue.ts';
import { eventually } from '../../../../support/eventually.ts';
import { MemoryParkStore } from '../../../../support/memory-park-store.ts';

const SOON = { timeoutMs: 30_000 };
const DOMAIN = 'locks.x';

let store: MemoryParkStore;
let client: ParkClient;

beforeEach(() => {
  store = new MemoryParkStore();
  client = new ParkClient({ channel: new ParkStoreChannel({ store }), name: 'test', sessionTtlMs: 10_000 });
  client.start();
});
afterEach(() => client.close());

/** The client's park, but for `replaced`. */
function parkWith(replaced: Partial<Park>): Park {
  return new Proxy<Park>(client, {
    get: (target, name) => {
      const own = Reflect.get(replaced, name);
      if (own !== undefined) return own;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

const unknown = (): PlatformError => new PlatformError('OUTCOME_UNKNOWN', 'the answer was lost');

/** Waits with the process kept alive: here are no sockets. */
async function whileAlive<T>(work: Promise<T>): Promise<T> {
  let isOver = false;
  const end = (): void => {
    isOver = true;
  };
  work.then(end, end);
  while (!isOver) await systemClock.sleep(5);
  return await work;
}

async function claims(): Promise<number> {
  return contendersOf(await client.getDomain(DOMAIN)).length;
}

describe('a claim whose answer was lost', () => {
  test('and that was made is taken away again, and the lock is had by another claim', async () => {
    let lost = 0;
    const transact: Park['transact'] = async (transaction) => {
      const done = await client.transact(transaction);
      if (lost++ === 0) throw unknown();
      return done;
    };
    const { hold } = await whileAlive(new ParkLock(parkWith({ transact }), DOMAIN).acquire(SOON));
    assert.equal(lost, 2);
    assert.equal(await claims(), 1);
    await hold.release();
  });

  test('and that would be made later is not made any more', async () => {
    let late: (() => Promise<unknown>) | undefined;
    const transact: Park['transact'] = (transaction) => {
      if (late !== undefined) return client.transact(transaction);
      late = () => client.transact(transaction);
      return Promise.reject(unknown());
    };
    const { hold } = await whileAlive(new ParkLock(parkWith({ transact }), DOMAIN).acquire(SOON));
    await assert.rejects(whileAlive(late?.() ?? Promise.resolve()), { code: 'PARK_VERSION_CONFLICT' });
    assert.equal(await claims(), 1);
    await hold.release();
  });

  test('a deletion whose answer was lost is tried again, until the node is gone', async () => {
    let asked = 0;
    const remove: Park['delete'] = async (domain, node) => {
      if (++asked === 1) throw new PlatformError('NO_COORDINATOR', 'nobody there');
      await client.delete(domain, node);
      if (asked === 2) throw unknown();
    };
    const { hold } = await whileAlive(new ParkLock(parkWith({ delete: remove }), DOMAIN).acquire(SOON));
    await whileAlive(hold.release());
    assert.equal(asked, 3);
    assert.equal(await claims(), 0);
  });

  test('what may not be is said at once', async () => {
    const lock = new ParkLock(client, 'trunkline.mine');
    await assert.rejects(whileAlive(lock.acquire(SOON)), { code: 'PARK_RIGHTS_MISSING' });
  });

  test('a waiter that gives up while its claim is being made leaves none', async () => {
    const letGo = store.hold();
    const waiting = new ParkLock(client, DOMAIN).acquire({ timeoutMs: 50 });
    await assert.rejects(whileAlive(waiting), { code: 'DEADLINE_EXCEEDED' });
    letGo();
    await eventually('no claim', async () => (await claims()) === 0);
  });
});
