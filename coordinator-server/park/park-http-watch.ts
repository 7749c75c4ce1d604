/** Watches over HTTP: as server-sent events, and as a question that waits for its answer. */
import type { AdminExchange, AdminStream } from '../../shared/admin-exchange.ts';
import type { Clock } from '../../shared/clock.ts';
import { toPlatformError } from '../../shared/errors.ts';
import type { ParkEvent, ParkNode } from '../../shared/park/park-model.ts';
import type { ParkStore, WatchRequest } from '../store/park-store.ts';
import { wireNode } from './park-wire.ts';

/** Under the ten seconds after which a silent connection is closed. */
const HEARTBEAT_EVERY_MS = 5_000;

/** Answers with what changes, until the client goes away. Each event's id is a revision to go on after. */
export function streamChanges(exchange: AdminExchange, store: ParkStore, request: WatchRequest, clock: Clock): void {
  let stream: AdminStream | undefined;
  /** What is told before the answer has begun. */
  const early: string[] = [];
  let isEnded = false;
  const say = (text: string): void => {
    if (stream === undefined) early.push(text);
    else stream.write(text);
  };
  const watch = store.watch(request, {
    onEvents: (events, upTo) => {
      for (const event of events) say(eventText(event));
      if (events.length === 0) say(`event: progress\nid: ${upTo}\ndata: {"revision":${upTo}}\n\n`);
    },
    onEnd: (reason) => {
      const { code, detail } = toPlatformError(reason);
      say(`event: ended\ndata: ${JSON.stringify({ code, detail })}\n\n`);
      isEnded = true;
      stream?.close();
    },
  });
  stream = exchange.beginStream('text/event-stream');
  const heartbeat = clock.every(HEARTBEAT_EVERY_MS, () => stream?.write(': \n\n'));
  stream.onClosed(() => {
    heartbeat.cancel();
    watch.close();
  });
  stream.write('retry: 500\n\n');
  for (const text of early) stream.write(text);
  if (isEnded) stream.close();
}

/** A line of JSON never holds a line end, so one `data:` is enough. */
function eventText(event: ParkEvent): string {
  return `event: ${event.kind}\nid: ${event.revision}\ndata: ${JSON.stringify(eventData(event))}\n\n`;
}

function eventData(event: ParkEvent): unknown {
  if (event.kind === 'put') return { revision: event.revision, ...wireNode(event.node) };
  if (event.kind === 'removed') return { revision: event.revision, domain: event.domain, node: event.node };
  return { revision: event.revision, nodes: event.nodes.map(wireNode) };
}

/**
 * Waits until a node is another one than at `revision`.
 * @param revision modRevision that the caller has; 0: it has none
 * @returns the node; undefined: it is not there; 'unchanged' when the time ran out
 */
export function untilChanged(
  exchange: AdminExchange,
  store: ParkStore,
  at: { readonly domain: string; readonly node: string; readonly revision: number },
  waitMs: number,
  clock: Clock,
): Promise<ParkNode | undefined | 'unchanged'> {
  const { domain, node, revision } = at;
  return new Promise((resolve, reject) => {
    let settled = false;
    let close = (): void => {};
    const settle = (settleWith: () => void): void => {
      if (settled) return;
      settled = true;
      timer.cancel();
      close();
      settleWith();
    };
    const timer = clock.after(waitMs, () => settle(() => resolve('unchanged')));
    exchange.onGone(() => settle(() => resolve('unchanged')));
    const hear = (event: ParkEvent): void => {
      if (event.kind === 'removed') settle(() => resolve(undefined));
      const found = event.kind === 'put' ? event.node : undefined;
      if (found !== undefined && found.modRevision > revision) settle(() => resolve(found));
      if (event.kind !== 'content') return;
      const [there] = event.nodes;
      if (there === undefined && revision > 0) settle(() => resolve(undefined));
      if (there !== undefined && there.modRevision > revision) settle(() => resolve(there));
    };
    try {
      const handle = store.watch(
        { domain, node, afterRevision: 0 },
        {
          onEvents: (events) => events.forEach(hear),
          onEnd: (reason) => settle(() => reject(reason)),
        },
      );
      close = () => handle.close();
      if (settled) handle.close();
    } catch (thrown) {
      settle(() => reject(thrown));
    }
  });
}
