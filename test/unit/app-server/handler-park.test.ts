/** The park of an app server's handlers while no coordinator is there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HandlerPark } from '../../../app-server/handler-park.ts';
import { systemClock } from '../../../shared/clock.ts';
import { silentLogger } from '../../../shared/log.ts';
import { freeAddress } from '../../support/free-ports.ts';
import { APP, TEST_SETTINGS } from '../../support/link-pair.ts';

const CALL_TIMEOUT_MS = 150;

/** Timers of links and calls keep no process alive; this one does. */
async function refused(call: Promise<unknown>): Promise<void> {
  const awake = systemClock.sleep(CALL_TIMEOUT_MS * 4);
  await assert.rejects(call, { code: 'NO_COORDINATOR' });
  await awake;
}

async function lonely(): Promise<HandlerPark> {
  const coordinators = [await freeAddress(), await freeAddress()];
  return new HandlerPark({
    coordinators,
    identity: APP,
    settings: TEST_SETTINGS,
    log: silentLogger,
    callTimeoutMs: 150,
  });
}

test('nothing is opened before a handler asks, and then one client for all', async () => {
  const door = await lonely();
  assert.equal(door.opened, false);
  const first = door.park;
  assert.equal(door.opened, true);
  assert.equal(door.park, first);
  door.close();
});

test('with every coordinator down each call ends in its time with NO_COORDINATOR', async () => {
  const door = await lonely();
  await refused(door.park.get('locks', 'nightly'));
  await refused(door.park.put('locks', 'nightly', 1));
  await refused(door.park.session());
  door.close();
});

test('a handler that is still running when the server stops gets NO_COORDINATOR, and no link is opened', async () => {
  const door = await lonely();
  door.close();
  await refused(door.park.get('locks', 'nightly'));
});
