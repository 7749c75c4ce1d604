/** What every recipe promises, whatever keeps the park: run over a store in maps, a journal and etcd. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../shared/clock.ts';
import type { Park } from '../../shared/park/park.ts';
import { Barrier } from '../../shared/park/recipes/barrier.ts';
import { ConfigValue } from '../../shared/park/recipes/config-value.ts';
import { LeaderElection } from '../../shared/park/recipes/leader-election.ts';
import { type Member, Membership } from '../../shared/park/recipes/membership.ts';
import { ParkLock } from '../../shared/park/recipes/park-lock.ts';
import { ReadWriteLock } from '../../shared/park/recipes/read-write-lock.ts';
import { Semaphore } from '../../shared/park/recipes/semaphore.ts';
import { eventually } from './eventually.ts';

/** Of whatever is to succeed, on a machine at its limits. */
const SOON = { timeoutMs: 60_000 };
/** Of whatever is to fail. */
const BRIEFLY = { timeoutMs: 150 };

export interface RecipePark {
  client(name: string): Park & { close(): void };
  close(): Promise<void>;
}

export function recipeConformance(what: string, open: () => Promise<RecipePark>, skip: string | false = false): void {
  describe(`recipes on ${what}`, { skip }, () => {
    let opened: RecipePark;
    let anna: Park & { close(): void };
    let ben: Park & { close(): void };
    let domains = 0;

    before(async () => {
      opened = await open();
      [anna, ben] = [opened.client('anna'), opened.client('ben')];
    });
    after(async () => await opened?.close());

    const newDomain = (): string => `recipe.d${++domains}`;
    const nodesIn = async (domain: string): Promise<number> => (await ben.getDomain(domain)).length;
    const untilQueued = (domain: string, count: number): Promise<unknown> =>
      eventually(`${count} in the queue`, async () => (await nodesIn(domain)) === count, 60_000);

    test('a lock is held by one, and handed over when it is given back', async () => {
      const domain = newDomain();
      const first = await new ParkLock(anna, domain).acquire(SOON);
      assert.deepEqual(first.fence, { name: domain, token: first.hold.token });
      let isSecond = false;
      const waiting = new ParkLock(ben, domain).acquire(SOON).then((held) => {
        isSecond = true;
        return held;
      });
      await untilQueued(domain, 2);
      assert.equal(isSecond, false);
      assert.equal(first.hold.isHeld, true);
      await Promise.all([first.hold.release(), first.hold.release()]);
      const second = await waiting;
      assert.ok(second.fence.token > first.fence.token);
      assert.deepEqual([first.hold.isHeld, first.hold.signal.aborted, second.hold.isHeld], [false, false, true]);
      await second.hold.release();
    });

    test('its tokens grow also when the domain was empty in between', async () => {
      const domain = newDomain();
      let last = 0;
      for (const park of [anna, ben, anna]) {
        const { hold, fence } = await new ParkLock(park, domain).acquire(SOON);
        assert.ok(fence.token > last, `${fence.token} after ${last}`);
        last = fence.token;
        await hold.release();
        assert.equal(await nodesIn(domain), 0);
      }
    });

    test('eight that take a lock again and again never hold it together, and tokens grow in the order of turns', async () => {
      const domain = newDomain();
      const tokens: number[] = [];
      let holders = 0;
      const taker = async (park: Park): Promise<void> => {
        const lock = new ParkLock(park, domain);
        for (let turn = 0; turn < 4; turn++) {
          const { hold } = await lock.acquire(SOON);
          assert.equal(++holders, 1);
          tokens.push(hold.token);
          await systemClock.sleep(1);
          holders--;
          await hold.release();
        }
      };
      await Promise.all(Array.from({ length: 8 }, (_, index) => taker(index % 2 === 0 ? anna : ben)));
      assert.equal(tokens.length, 32);
      assert.deepEqual(
        tokens,
        tokens.toSorted((a, b) => a - b),
      );
      assert.equal(await nodesIn(domain), 0);
    });

    test('a wait ends at its deadline or by its signal, says so, and leaves nothing behind', async () => {
      const domain = newDomain();
      const { hold } = await new ParkLock(anna, domain).acquire(SOON);
      const lock = new ParkLock(ben, domain);
      await assert.rejects(lock.acquire(BRIEFLY), { code: 'DEADLINE_EXCEEDED', detail: /somebody else/ });
      const giveUp = new AbortController();
      const waiting = lock.acquire({ ...SOON, signal: giveUp.signal });
      await untilQueued(domain, 2);
      await assert.rejects(lock.acquire(SOON), { code: 'PARK_REQUEST_INVALID', detail: /another object/ });
      giveUp.abort();
      await assert.rejects(waiting, { code: 'CANCELLED' });
      await untilQueued(domain, 1);
      await hold.release();
      await (await lock.acquire(SOON)).hold.release();
    });

    test('a lock is not taken twice by the same object', async () => {
      const lock = new ParkLock(anna, newDomain());
      const { hold } = await lock.acquire(SOON);
      await assert.rejects(lock.acquire(SOON), { code: 'PARK_REQUEST_INVALID', detail: /holds already/ });
      await hold.release();
    });

    test('a holder whose client closed hears that it is lost, and the next one holds', async () => {
      const domain = newDomain();
      const carl = opened.client('carl');
      const { hold } = await new ParkLock(carl, domain).acquire(SOON);
      const waiting = new ParkLock(ben, domain).acquire(SOON);
      await untilQueued(domain, 2);
      carl.close();
      assert.equal(hold.isHeld, false);
      assert.equal((await hold.lost).code, 'PARK_SESSION_UNKNOWN');
      assert.equal(hold.signal.aborted, true);
      const next = await waiting;
      assert.ok(next.hold.token > hold.token);
      await next.hold.release();
    });

    test('readers read together, a writer writes alone, and readers that come later wait behind it', async () => {
      const domain = newDomain();
      const readers = [
        await new ReadWriteLock(anna, domain).acquireRead(SOON),
        await new ReadWriteLock(ben, domain).acquireRead(SOON),
      ];
      const order: string[] = [];
      const writing = new ReadWriteLock(anna, domain).acquireWrite(SOON).then((held) => {
        order.push('writer');
        return held;
      });
      await untilQueued(domain, 3);
      const late = new ReadWriteLock(ben, domain).acquireRead(SOON).then((held) => {
        order.push('reader');
        return held;
      });
      await untilQueued(domain, 4);
      assert.deepEqual(order, []);
      for (const reader of readers) await reader.release();
      const writer = await writing;
      assert.deepEqual(order, ['writer']);
      await writer.hold.release();
      const reader = await late;
      assert.ok(reader.token > writer.hold.token && writer.hold.token > Math.max(...readers.map(({ token }) => token)));
      await reader.release();
    });

    test('a semaphore lets in so many at once, and everybody in turn', async () => {
      const domain = newDomain();
      let inside = 0;
      let most = 0;
      const visit = async (park: Park): Promise<void> => {
        const hold = await new Semaphore(park, domain, 2).acquire(SOON);
        most = Math.max(most, ++inside);
        await eventually('another one inside', () => most === 2, 60_000);
        assert.equal(hold.isHeld, true);
        inside--;
        await hold.release();
      };
      await Promise.all(Array.from({ length: 6 }, (_, index) => visit(index % 2 === 0 ? anna : ben)));
      assert.equal(most, 2);
      const one = await new Semaphore(anna, domain, 2).acquire(SOON);
      await assert.rejects(new Semaphore(ben, domain, 3).acquire(SOON), {
        code: 'PARK_REQUEST_INVALID',
        detail: /same number/,
      });
      await one.release();
    });

    test('of two candidates one leads, everybody hears who, and the other takes over', async () => {
      const domain = newDomain();
      const heard: unknown[] = [];
      const election = new LeaderElection(ben, domain);
      const watch = election.observe((leader) => void heard.push(leader?.candidate));
      await eventually('the watch', () => heard.length > 0, 60_000);
      const first = await new LeaderElection(anna, domain).campaign('anna', SOON);
      const waiting = election.campaign({ name: 'ben' }, SOON);
      await untilQueued(domain, 2);
      assert.deepEqual(await election.leader(), { candidate: 'anna', token: first.fence.token });
      await first.hold.release();
      const second = await waiting;
      await second.hold.release();
      await eventually('nobody leads', () => heard.length === 4, 60_000);
      assert.deepEqual(heard, [undefined, 'anna', { name: 'ben' }, undefined]);
      watch.close();
      await first.hold.release();
    });

    test('a barrier opens when all are there, for those too that come late', async () => {
      const domain = newDomain();
      await assert.rejects(new Barrier(anna, domain, 3).arrive(BRIEFLY), { code: 'DEADLINE_EXCEEDED' });
      await untilQueued(domain, 0);
      const two = [anna, ben].map((park) => new Barrier(park, domain, 3).arrive(SOON));
      await untilQueued(domain, 2);
      const all = await Promise.all([...two, new Barrier(anna, domain, 3).arrive(SOON)]);
      assert.equal(new Set(all).size, 1);
      assert.equal(await new Barrier(ben, domain, 3).arrive(SOON), all[0]);
    });

    test('a config value is heard of when it changes; one that does not fit is refused, and the last stays', async () => {
      const domain = newDomain();
      const heard: string[] = [];
      const parse = (value: unknown): number => {
        if (typeof value !== 'number') throw new Error('expected a number');
        return value;
      };
      const options = {
        fallback: 10,
        parse,
        onChange: (value: number) => void heard.push(`=${value}`),
        onRefused: (error: Error) => void heard.push(error.message),
      };
      const config = await ConfigValue.open(ben, { domain, node: 'limit' }, options, SOON);
      assert.deepEqual([config.value, config.revision], [10, 0]);
      const setter = await ConfigValue.open(anna, { domain, node: 'limit' }, { fallback: 0, parse }, SOON);
      const { revision } = await setter.set(20, { ifRevision: 0 });
      await assert.rejects(setter.set(30, { ifRevision: 0 }), { code: 'PARK_VERSION_CONFLICT' });
      await assert.rejects(setter.set('x'), /expected a number/);
      await eventually('20', () => config.revision === revision, 60_000);
      await anna.put(domain, 'limit', 'many');
      await eventually('a refusal', () => config.refusal !== undefined, 60_000);
      assert.equal(config.value, 20);
      await anna.delete(domain, 'limit');
      await eventually('the fallback', () => config.value === 10, 60_000);
      assert.deepEqual(heard, ['=20', 'CONFIG_INVALID: expected a number', '=10']);
      for (const one of [config, setter]) one.close();
    });

    test('members are seen coming and going; a name is one member’s at a time', async () => {
      const domain = newDomain();
      let members: readonly Member[] = [];
      const membership = new Membership(ben, domain);
      const watch = membership.observe((now) => {
        members = now;
      });
      const carl = opened.client('carl');
      const first = await new Membership(carl, domain).join('m1', { port: 1 }, SOON);
      const other = await membership.join('m2', null, SOON);
      await eventually('both', () => members.length === 2, 60_000);
      assert.deepEqual(members[0], { id: 'm1', token: first.token, info: { port: 1 } });
      await assert.rejects(membership.join('m1', null, BRIEFLY), { code: 'DEADLINE_EXCEEDED', detail: /m1/ });
      const [token = 0] = [first.token];
      const waiting = membership.join('m1', null, SOON);
      await first.leave();
      const second = await waiting;
      assert.ok((second.token ?? 0) > token);
      for (const seat of [second, other]) await seat.leave();
      await eventually('nobody', () => members.length === 0, 60_000);
      watch.close();
      carl.close();
    });
  });
}
