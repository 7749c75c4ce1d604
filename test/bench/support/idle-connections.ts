/** What clients cost that are connected and ask nothing. */
import { connect, type Socket } from 'node:net';
import { systemClock } from '../../../shared/clock.ts';
import { splitAddress } from '../../../shared/web-server.ts';
import type { Sample } from './figures.ts';
import { echoGets } from './load-requests.ts';
import { rssKib, rssMiB } from './process-figures.ts';
import { startTrunkline } from './trunkline-cluster.ts';
import { runWrk } from './wrk.ts';

/** Sockets opened at once: below every listener's backlog. */
const OPENING_MAX = 100;
/** Memory has its size by then; well below the 10 s after which uWebSockets.js closes an idle connection. */
const SETTLE_MS = 1_500;
const REQUEST = 'GET /echo?account=alice HTTP/1.1\r\nHost: bench\r\n\r\n';

/**
 * Memory of an interface server that holds keep-alive connections which had one answer and ask no more, and what it took
 * for each. Of a fresh cluster each time, warmed up: a process seldom gives back what it took once.
 */
export async function costOfIdleConnections(count: number): Promise<Sample> {
  const server = await startTrunkline({ name: 'idle connections' });
  const sockets: Socket[] = [];
  try {
    const { listen, id } = server.running.config.interface.servers[0] as { listen: string; id: string };
    const pid = server.running.cluster.pid(id) as number;
    await runWrk({ url: server.url, requests: echoGets(), connections: 64, seconds: 2 });
    await systemClock.sleep(SETTLE_MS);
    const before = rssKib([pid]);
    await openIdle(listen, count, sockets);
    await systemClock.sleep(SETTLE_MS);
    const after = rssKib([pid]);
    const open = sockets.filter((socket) => socket.readyState === 'open').length;
    if (open < count) throw new Error(`only ${open} of ${count} idle connections were still open`);
    return { rssMiB: rssMiB([pid]), kibPerConnection: (after - before) / count };
  } finally {
    for (const socket of sockets) socket.destroy();
    await server.close();
  }
}

async function openIdle(address: string, count: number, sockets: Socket[]): Promise<void> {
  const opener = async (): Promise<void> => {
    while (sockets.length < count) {
      const socket = connect(splitAddress(address));
      sockets.push(socket);
      await answered(socket);
    }
  };
  await Promise.all(Array.from({ length: OPENING_MAX }, opener));
}

/** Asks once. Resolves with the reply's first bytes; the rest is read and dropped. */
function answered(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('connect', () => socket.write(REQUEST));
    socket.on('data', () => resolve());
  });
}
