/**
 * Clients that hold connections and give nothing for them, in a thread of their own so that they do not slow down the
 * well-behaved clients whose times are measured. Runs as a worker: told what to open, it says `opened`; asked, it says
 * how many of each kind the server has closed, and when the last of them was.
 */
import { connect, type Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { inParallel } from './in-parallel.ts';
import { SHAPES } from './smuggling-shapes.ts';

export interface HostileData {
  /** host:port */
  readonly address: string;
  /** How many of each kind; the kinds are the keys of KINDS, and `waits`: the shapes that keep the parser waiting. */
  readonly counts: Readonly<Record<string, number>>;
}

/** By kind. */
export type HostileReport = Readonly<Record<string, { readonly open: number; readonly lastClosedAfterMs: number }>>;

const HEAD = 'POST /echo?account=hostile HTTP/1.1\r\nhost: x\r\n';
const BODY = 'x'.repeat(250_000);
const POST_LARGE = `${HEAD}content-length: ${BODY.length}\r\n\r\n${BODY}`;
/** Answered as a small reply is, and all the same a few hundred fill what the system holds for a connection. */
const SMALL_BODY = 'x'.repeat(16_000);
const POST_SMALL = `${HEAD}content-length: ${SMALL_BODY.length}\r\n\r\n${SMALL_BODY}`;
const PAGE = 'GET /-/errors HTTP/1.1\r\nhost: x\r\n\r\n';

/** As slow as may be without being taken for silent. */
const DROP_EVERY_MS = 1_000;
/** Connections being made at once: fewer than a listener's queue holds. */
const CONNECTING_MAX = 100;
/** Between requests whose replies nobody looks at: time to answer, for one sent sooner ends its connection. */
const LARGE_EVERY_MS = 100;
const SMALL_EVERY_MS = 30;
/** Until they begin: while thousands connect an answer takes longer. */
const NEVER_READS_AFTER_MS = 1_000;

/** Sends the start, then a byte now and then. */
function drops(start: string, drop: string): (socket: Socket) => void {
  return (socket) => {
    socket.write(start);
    const timer = setInterval(() => socket.write(drop), DROP_EVERY_MS);
    socket.on('close', () => clearInterval(timer));
  };
}

function stops(start: string): (socket: Socket) => void {
  return (socket) => {
    if (start !== '') socket.write(start, 'latin1');
  };
}

/** Sends this as often as the server lets it, or so many times, and reads nothing. */
function neverReads(text: string, timesMax: number, everyMs: number): (socket: Socket) => void {
  return (socket) => {
    socket.pause();
    let times = 0;
    let timer: NodeJS.Timeout | undefined;
    const send = (): void => {
      if (times === timesMax || socket.writableNeedDrain) return;
      times++;
      socket.write(text);
    };
    const start = setTimeout(() => {
      timer = setInterval(send, everyMs);
    }, NEVER_READS_AFTER_MS);
    socket.on('close', () => {
      clearTimeout(start);
      clearInterval(timer);
    });
  };
}

const KINDS: Readonly<Record<string, (socket: Socket) => void>> = {
  'head in drops': drops('GET /echo?account=hostile HTTP/1.1\r\nhost: x\r\nx: ', 'x'),
  'headers in drops': drops('GET /echo?account=hostile HTTP/1.1\r\nhost: x\r\n', 'x: y\r\n'),
  'second head in drops': drops('GET /-/health HTTP/1.1\r\nhost: x\r\n\r\nGET /', 'x'),
  'body in drops': drops(`${HEAD}content-length: 1000\r\n\r\n`, 'x'),
  'chunks in drops': drops(`${HEAD}transfer-encoding: chunked\r\n\r\n`, '1\r\nx\r\n'),
  'a chunk size in drops': drops(`${HEAD}transfer-encoding: chunked\r\n\r\n`, '0'),
  'nothing at all': stops(''),
  'half a head': stops('GET /echo?acc'),
  'half a body': stops(`${HEAD}content-length: 1000\r\n\r\nhalf`),
  'half a chunk': stops(`${HEAD}transfer-encoding: chunked\r\n\r\nff\r\nhalf`),
  'one request, then nothing': stops('GET /-/health HTTP/1.1\r\nhost: x\r\n\r\n'),
  'the end of the connection in the middle of a head': (socket) => socket.end('GET /echo?acc'),
  'large replies, never read': neverReads(POST_LARGE, 32, LARGE_EVERY_MS),
  'ever more large replies, never read': neverReads(POST_LARGE, Number.POSITIVE_INFINITY, LARGE_EVERY_MS),
  'ever more small replies, never read': neverReads(POST_SMALL, Number.POSITIVE_INFINITY, SMALL_EVERY_MS),
  'ever more pages, never read': neverReads(PAGE.repeat(20), Number.POSITIVE_INFINITY, SMALL_EVERY_MS),
};

class HostileClients {
  readonly #startedAt = performance.now();
  readonly #open = new Map<string, Set<Socket>>();
  readonly #lastClosedAfterMs = new Map<string, number>();

  async open({ address, counts }: HostileData): Promise<void> {
    const colon = address.lastIndexOf(':');
    const place = { host: address.slice(0, colon), port: Number(address.slice(colon + 1)), noDelay: true };
    const wanted = Object.entries(counts).flatMap(([kind, count]) => Array.from({ length: count }, () => kind));
    const waiting = SHAPES.filter(({ fate }) => fate === 'waits');
    let shape = 0;
    await inParallel(wanted, CONNECTING_MAX, async (kind) => {
      const bytes = waiting[shape % waiting.length]?.bytes('hostile', 'hostile') ?? '';
      if (kind === 'waits') shape++;
      const behave = kind === 'waits' ? stops(bytes) : KINDS[kind];
      if (behave === undefined) throw new Error(`expected a kind of hostile client, got ${kind}`);
      await this.#connect(kind, place, behave);
    });
  }

  #connect(
    kind: string,
    place: { readonly host: string; readonly port: number },
    behave: (socket: Socket) => void,
  ): Promise<void> {
    return new Promise((resolve) => {
      const socket = connect({ ...place, allowHalfOpen: true });
      const open = this.#open.get(kind) ?? new Set();
      this.#open.set(kind, open.add(socket));
      socket.on('data', () => undefined);
      socket.on('error', () => undefined); // a reset: 'close' follows
      socket.on('end', () => socket.destroy()); // the server's end
      socket.on('close', () => {
        open.delete(socket);
        this.#lastClosedAfterMs.set(kind, performance.now() - this.#startedAt);
        resolve();
      });
      socket.on('connect', () => {
        behave(socket);
        resolve();
      });
    });
  }

  /** A client that does not read does not see the end of its connection either: now it looks. */
  look(): void {
    for (const open of this.#open.values()) for (const socket of open) socket.resume();
  }

  report(): HostileReport {
    const kinds = [...this.#open].map(([kind, open]) => {
      return [kind, { open: open.size, lastClosedAfterMs: this.#lastClosedAfterMs.get(kind) ?? 0 }] as const;
    });
    return Object.fromEntries(kinds);
  }
}

const clients = new HostileClients();
await clients.open(workerData as HostileData);
parentPort?.postMessage('opened');
parentPort?.on('message', (message: 'look' | 'report') => {
  if (message === 'look') clients.look();
  parentPort?.postMessage(clients.report());
});
