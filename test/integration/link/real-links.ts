/** Listeners and dialers on loopback, closed after the test file that made them. */
import { after } from 'node:test';
import type { Clock } from '../../../shared/clock.ts';
import { FRAME_TYPE } from '../../../shared/link/frame.ts';
import type { LinkIdentity } from '../../../shared/link/greeting.ts';
import type { Link, LinkHandlers } from '../../../shared/link/link.ts';
import { LinkDialer } from '../../../shared/link/link-dialer.ts';
import { LinkListener } from '../../../shared/link/link-listener.ts';
import { silentLogger } from '../../../shared/log.ts';
import { eventually } from '../../support/eventually.ts';
import { APP, identity, RecordingOwner, sendText, TEST_SETTINGS, writeText } from '../../support/link-pair.ts';

const toClose: { close(): void }[] = [];
after(() => {
  for (const one of toClose.reverse()) one.close();
});

/** Closes it when the file is done; closing it before that is fine. */
export function closedLater<T extends { close(): void }>(one: T): T {
  toClose.push(one);
  return one;
}

export interface RealListener {
  readonly listener: LinkListener;
  readonly address: string;
  /** Reasons of links that closed, greeted or not. */
  readonly closed: string[];
  opened: number;
}

export interface ListenOptions {
  readonly address?: string;
  readonly identity?: LinkIdentity;
  readonly handlers?: LinkHandlers;
  readonly clock?: Clock;
}

/** A server of role `app` that answers every request with its own text. */
export async function listen(options: ListenOptions = {}): Promise<RealListener> {
  const closed: string[] = [];
  const listener = new LinkListener({
    address: options.address ?? '127.0.0.1:0',
    identity: options.identity ?? APP,
    acceptRoles: ['dispatcher'],
    settings: TEST_SETTINGS,
    log: silentLogger,
    ...(options.clock === undefined ? {} : { clock: options.clock }),
    handlers: {
      onRequest(link, streamId, message, start, end) {
        link.releaseReceived(end - start);
        writeText(link, FRAME_TYPE.REPLY, streamId, message.toString('latin1', start + 16, end));
      },
      ...options.handlers,
      onOpen: () => void real.opened++,
      onClosed: (_link, reason) => void closed.push(reason.code),
    },
  });
  const real: RealListener = { listener, address: await listener.listen(), closed, opened: 0 };
  return real;
}

export interface RealDialer {
  readonly dialer: LinkDialer;
  /** Links that opened, in order. */
  readonly links: Link[];
  readonly closed: string[];
}

export interface DialSettings {
  readonly identity?: LinkIdentity;
  readonly expectServerId?: string;
  readonly clock?: Clock;
}

export function dial(address: string, options: DialSettings = {}): RealDialer {
  const links: Link[] = [];
  const closed: string[] = [];
  const dialer = new LinkDialer({
    address,
    identity: options.identity ?? identity(),
    expectRole: 'app',
    ...(options.expectServerId === undefined ? {} : { expectServerId: options.expectServerId }),
    ...(options.clock === undefined ? {} : { clock: options.clock }),
    settings: TEST_SETTINGS,
    log: silentLogger,
    handlers: {
      onOpen: (link) => void links.push(link),
      onClosed: (_link, reason) => void closed.push(reason.code),
    },
  });
  dialer.start();
  return { dialer: closedLater(dialer), links, closed };
}

export async function opened(real: RealDialer): Promise<Link> {
  return eventually('the link is open', () => real.dialer.link);
}

/** Asks over a link and waits for the answer. @returns what the owner heard */
export async function ask(link: Link, text: string): Promise<RecordingOwner['heard']> {
  const owner = new RecordingOwner();
  sendText(link, owner, text);
  await eventually('an answer', () => owner.heard.length > 0);
  return owner.heard;
}
