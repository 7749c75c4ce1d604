/** Links over real sockets: what a listener and a dialer promise each other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../shared/clock.ts';
import { FRAME_TYPE } from '../../../shared/link/frame.ts';
import type { Link } from '../../../shared/link/link.ts';
import { eventually } from '../../support/eventually.ts';
import { fastClock } from '../../support/fast-clock.ts';
import { freeAddress } from '../../support/free-ports.ts';
import { FreezingProxy } from '../../support/freezing-proxy.ts';
import { identity, RecordingOwner, sendText, writeText } from '../../support/link-pair.ts';
import { ask, closedLater, dial, listen, opened } from './real-links.ts';

const MIB = 1024 * 1024;

test('a request of any size is answered over real sockets', async () => {
  const { listener, address } = await listen();
  closedLater(listener);
  const link = await opened(dial(address));
  for (const text of ['', 'hello', 'x'.repeat(4 * MIB)]) {
    assert.deepEqual(await ask(link, text), [{ kind: 'reply', text }]);
  }
});

test('many requests at once, more bytes than the window, all come back to their owners', async () => {
  const { listener, address } = await listen();
  closedLater(listener);
  const link = await opened(dial(address));
  const owners: RecordingOwner[] = [];
  for (let index = 0; index < 400; index++) {
    await eventually('room in the window', () => link.writable);
    const owner = new RecordingOwner();
    sendText(link, owner, `${index} ${'x'.repeat(64 * 1024)}`);
    owners.push(owner);
  }
  await eventually('all answered', () => link.inFlight === 0);
  for (const [index, { heard }] of owners.entries()) {
    assert.deepEqual([heard.length, heard[0]?.text.split(' ')[0]], [1, String(index)]);
  }
});

test('a server that comes back on its address is linked again, as a new peer', async () => {
  const address = await freeAddress();
  const first = await listen({ address });
  const dialer = dial(address);
  const link = await opened(dialer);
  const owner = new RecordingOwner();
  first.listener.close();
  sendText(link, owner, 'too late?');
  await eventually('the loss is told', () => owner.heard.length > 0);
  await eventually('a try has failed', () => dialer.dialer.lastRefusal !== '' && dialer.dialer.link === undefined);
  const second = await listen({
    address,
    identity: identity({ role: 'app', serverId: 'a1', incarnation: '00000000000000a2' }),
  });
  closedLater(second.listener);
  const again = await opened(dialer);
  assert.equal(again.peer.incarnation, '00000000000000a2');
  assert.deepEqual(await ask(again, 'hello'), [{ kind: 'reply', text: 'hello' }]);
  assert.deepEqual([dialer.links.length, dialer.dialer.lastRefusal], [2, '']);
});

test('both ends of a link that is closed learn the typed reason', async () => {
  const server = await listen();
  closedLater(server.listener);
  const dialer = dial(server.address);
  (await opened(dialer)).close('LINK_BACKPRESSURE', 'a test');
  await eventually('the listener hears of it', () => server.closed.length > 0);
  assert.deepEqual([server.closed, dialer.closed], [['LINK_BACKPRESSURE'], ['LINK_BACKPRESSURE']]);
  const link = await opened(dialer);
  const far = await eventually('the listener’s end is open', () => server.listener.links[0]);
  far.close('LINK_WINDOW_OVERRUN', 'a test');
  await eventually('the dialer hears of it', () => dialer.closed.length > 1);
  assert.deepEqual([link.state.kind, dialer.closed[1]], ['closed', 'LINK_WINDOW_OVERRUN']);
});

test('a peer that greets while the server drains is told so too', async () => {
  const { listener, address } = await listen();
  closedLater(listener);
  void listener.announceDrain();
  const link = await opened(dial(address));
  await eventually('it knows', () => link.state.kind === 'draining');
  assert.equal(link.writable, false);
});

test('a draining server is told to its peers, and answers what is in flight', async () => {
  const waiting: { link: Link; streamId: number }[] = [];
  const server = await listen({ handlers: { onRequest: (link, streamId) => void waiting.push({ link, streamId }) } });
  closedLater(server.listener);
  const link = await opened(dial(server.address));
  const owner = new RecordingOwner();
  sendText(link, owner, 'x');
  const { link: far, streamId } = await eventually('the request is there', () => waiting[0]);
  void server.listener.announceDrain();
  await eventually('the dialer knows', () => !link.writable);
  writeText(far, FRAME_TYPE.REPLY, streamId, 'done');
  await eventually('an answer', () => owner.heard.length > 0);
  assert.deepEqual([owner.heard, link.open], [[{ kind: 'reply', text: 'done' }], true]);
});

test('a server that drains knows when all have heard, and that what crossed it has come by then', async () => {
  let came = 0;
  const server = await listen({ handlers: { onRequest: () => void came++ } });
  closedLater(server.listener);
  const links = [await opened(dial(server.address)), await opened(dial(server.address))];
  const heard = server.listener.announceDrain();
  for (const link of links) sendText(link, new RecordingOwner(), 'crosses it');
  await heard;
  assert.deepEqual([came, links.map((link) => link.state.kind)], [2, ['draining', 'draining']]);
});

test('two listeners on one port: the second one is told by the number', async () => {
  const { listener, address } = await listen();
  closedLater(listener);
  await assert.rejects(listen({ address }), (thrown) => {
    assert.ok(thrown instanceof Error && 'code' in thrown);
    assert.equal(thrown.code, 'PORT_TAKEN');
    assert.match(thrown.message, new RegExp(`Port ${address.split(':')[1]} `));
    return true;
  });
});

test('a closed dialer stays closed, whatever it was doing', async () => {
  const server = await listen();
  closedLater(server.listener);
  const linked = dial(server.address);
  const link = await opened(linked);
  linked.dialer.close();
  const dialing = dial(server.address);
  dialing.dialer.close();
  const waiting = dial(await freeAddress());
  await eventually('its first try failed', () => waiting.dialer.lastRefusal !== '');
  waiting.dialer.close();
  for (const { dialer } of [linked, dialing, waiting]) {
    dialer.start();
    assert.equal(dialer.link, undefined);
  }
  assert.deepEqual([link.open, linked.closed], [false, ['LINK_CLOSED']]);
  await eventually('the listener has no link left', () => server.listener.links.length === 0);
});

test('a peer that hangs is left for a new connection, and the end of the old one changes nothing', async () => {
  const server = await listen();
  closedLater(server.listener);
  const proxy = closedLater(await FreezingProxy.listen(server.address));
  const dialer = dial(proxy.address, { clock: fastClock(20) });
  const first = await opened(dialer);
  proxy.freeze();
  await eventually('a second link', () => dialer.links.length === 2);
  assert.equal(first.state.kind === 'closed' && first.state.code, 'LINK_PEER_SILENT');
  await eventually('the hung connection is given up', () => proxy.open === 1);
  const untilMs = systemClock.nowMs() + 200; // several of the dialer's longest pauses
  await eventually('nothing more to happen', () => systemClock.nowMs() > untilMs);
  assert.deepEqual([dialer.links.length, proxy.taken, dialer.dialer.link], [2, 2, dialer.links[1]]);
  assert.deepEqual(await ask(dialer.links[1] as Link, 'hello'), [{ kind: 'reply', text: 'hello' }]);
});
