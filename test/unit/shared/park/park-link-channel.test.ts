/** The way to coordinators that are only listeners here, so that they can fall silent, go away and say anything. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { PlatformError } from '../../../../shared/errors.ts';
import { FRAME_TYPE } from '../../../../shared/link/frame.ts';
import type { Link } from '../../../../shared/link/link.ts';
import { LinkListener } from '../../../../shared/link/link-listener.ts';
import { silentLogger } from '../../../../shared/log.ts';
import type { Asker } from '../../../../shared/park/park-channel.ts';
import { ParkLinkChannel } from '../../../../shared/park/park-link-channel.ts';
import { PARK_TOPIC, type ParkRequest } from '../../../../shared/park/park-protocol.ts';
import { eventually } from '../../../support/eventually.ts';
import { identity, TEST_SETTINGS, writeText } from '../../../support/link-pair.ts';

const GET: ParkRequest = { op: 'get', domain: 'd', node: 'n', seen: 0 };

interface Listening {
  readonly address: string;
  readonly links: Set<Link>;
  readonly requests: string[];
  readonly heard: unknown[];
  /** What each request is answered with; undefined: not at all. */
  answer: string | undefined;
  close(): void;
}

let listening: Listening[];
let channel: ParkLinkChannel;
/** What the channel's listener was told, in order. */
let told: string[];

async function coordinator(serverId: string): Promise<Listening> {
  const links = new Set<Link>();
  const requests: string[] = [];
  const heard: unknown[] = [];
  const listener = new LinkListener({
    address: '127.0.0.1:0',
    identity: identity({ role: 'coordinator', serverId, incarnation: `00000000000000${serverId}` }),
    acceptRoles: ['dispatcher'],
    settings: TEST_SETTINGS,
    log: silentLogger,
    handlers: {
      onOpen: (link) => void links.add(link),
      onClosed: (link) => void links.delete(link),
      onRequest(link, streamId, message, start, end) {
        requests.push(message.toString('utf8', start + 16, end));
        link.releaseReceived(end - start);
        if (one.answer !== undefined) writeText(link, FRAME_TYPE.REPLY, streamId, one.answer);
      },
      onNotice: (_link, topic, value) => void (topic === PARK_TOPIC.heard && heard.push(value)),
    },
  });
  const address = await listener.listen();
  const one: Listening = { address, links, requests, heard, answer: '{"one":1}', close: () => listener.close() };
  listening.push(one);
  return one;
}

function open(...coordinators: readonly Listening[]): void {
  channel = new ParkLinkChannel({
    coordinators: coordinators.map(({ address }) => address),
    identity: identity(),
    settings: TEST_SETTINGS,
    log: silentLogger,
  });
  channel.start({
    onUp: () => void told.push('up'),
    onDown: () => void told.push('down'),
    onRoom: () => {},
    onEvents: (batches) => void told.push(`events ${batches.length}`),
    onWatchEnded: () => void told.push('watch ended'),
  });
}

/** Asks, and notes all that the asker hears. */
function ask(request: ParkRequest = GET): { readonly heard: string[]; cancel(): void } {
  const heard: string[] = [];
  const asker: Asker = {
    onAnswer: (value) => void heard.push(`answer ${JSON.stringify(value)}`),
    onError: (error: PlatformError) => void heard.push(error.code),
    onLost: () => void heard.push('lost'),
  };
  const asked = channel.ask(request, asker);
  assert.ok(asked !== undefined, 'the channel takes it');
  return { heard, cancel: () => asked.cancel() };
}

const isUp = (): Promise<true | undefined> => eventually('the channel is up', () => channel.up || undefined);

/** The one coordinator that requests go to now. */
async function used(): Promise<Listening> {
  const counts = listening.map(({ requests }) => requests.length);
  ask();
  return await eventually('a request arrives', () =>
    listening.find(({ requests }, index) => requests.length > (counts[index] ?? 0)),
  );
}

beforeEach(() => {
  listening = [];
  told = [];
});

afterEach(() => {
  channel.close();
  for (const one of listening) one.close();
});

test('requests are answered; what an answer means is for the asker', async () => {
  const c1 = await coordinator('c1');
  open(c1);
  assert.equal(channel.ask(GET, {} as Asker), undefined, 'nothing is taken while down');
  await isUp();
  const first = ask();
  await eventually('an answer', () => first.heard.length > 0);
  assert.deepEqual(first.heard, ['answer {"one":1}']);
  assert.deepEqual(JSON.parse(c1.requests[0] ?? ''), GET);
  c1.answer = 'no JSON';
  const second = ask();
  await eventually('an answer', () => second.heard.length > 0);
  assert.deepEqual(second.heard, ['answer undefined']);
});

test('C1: one word for each request, and none after its cancel', async () => {
  const c1 = await coordinator('c1');
  open(c1);
  await isUp();
  c1.answer = undefined;
  const [waits, cancelled] = [ask(), ask()];
  cancelled.cancel();
  await eventually('both arrive', () => c1.requests.length === 2);
  for (const link of c1.links) link.close('LINK_CLOSED', 'gone');
  await eventually('the loss is told', () => waits.heard.length > 0);
  assert.deepEqual(waits.heard, ['lost']);
  assert.deepEqual(cancelled.heard, []);
});

test('B1, C2: a link that is lost is told of before the next is used, and nothing is asked over two', async () => {
  const [c1, c2] = [await coordinator('c1'), await coordinator('c2')];
  open(c1, c2);
  await isUp();
  await eventually('both links', () => c1.links.size + c2.links.size === 2);
  const first = await used();
  first.close();
  await eventually('the other one', () => (told.length >= 3 ? told : undefined));
  assert.deepEqual(told, ['up', 'down', 'up']);
  const other = first === c1 ? c2 : c1;
  assert.equal(await used(), other);
});

test('a coordinator that cannot serve is left for the other one', async () => {
  const [c1, c2] = [await coordinator('c1'), await coordinator('c2')];
  open(c1, c2);
  await isUp();
  await eventually('both links', () => c1.links.size + c2.links.size === 2);
  const first = await used();
  channel.refuse('it does not lead');
  await isUp();
  assert.notEqual(await used(), first);
});

test('B2: doubt alone leaves nobody for nobody', async () => {
  const c1 = await coordinator('c1');
  open(c1);
  await isUp();
  channel.doubt('it is slow');
  assert.equal(channel.up, true);
  assert.equal(await used(), c1);
});

test('B3: events that were taken up are acknowledged', async () => {
  const c1 = await coordinator('c1');
  open(c1);
  await isUp();
  const [link] = c1.links;
  link?.notify(PARK_TOPIC.events, [{ watch: 1, upTo: 5, events: [] }]);
  await eventually('the acknowledgement', () => c1.heard.length > 0);
  assert.deepEqual(c1.heard, [{ count: 1 }]);
  assert.deepEqual(told, ['up', 'events 1']);
});

test('what is no batch of events closes the link with a typed reason', async () => {
  const c1 = await coordinator('c1');
  open(c1);
  await isUp();
  const [link] = c1.links;
  link?.notify(PARK_TOPIC.events, { no: 'batch' });
  await eventually('down and up again', () => told.join() === 'up,down,up');
});

test('a request that no coordinator would take is refused here', async () => {
  const c1 = await coordinator('c1');
  open(c1);
  await isUp();
  const value = 'x'.repeat(6 * 1024 * 1024);
  const large = ask({ op: 'write', writes: [{ op: 'put', domain: 'd', node: 'n', value }] });
  await eventually('the refusal', () => large.heard.length > 0);
  assert.deepEqual(large.heard, ['PARK_REQUEST_INVALID']);
  assert.equal(c1.requests.length, 0);
});
