/**
 * A peer that floods a listener with one message over and over, from a thread of its own: the test's own thread would
 * be too busy flooding to see how others fare.
 */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type { LinkIdentity } from '../../shared/link/greeting.ts';
import { HostilePeer } from './hostile-peer.ts';

export interface Flood {
  readonly address: string;
  readonly identity: LinkIdentity;
  /** One whole message. */
  readonly message: Uint8Array;
  readonly forMs: number;
  /** Whether the peer reads what it is sent meanwhile. */
  readonly reads: boolean;
}

export interface Flooded {
  readonly messages: number;
  /** How the link ended; undefined when it was still open. */
  readonly closeCode: number | undefined;
}

/** How long a link that was cut off may take to say so. */
const LAST_WORD_MS = 500;

/** Floods until the time is up or the link is gone. */
export async function flood(options: Flood): Promise<Flooded> {
  const worker = new Worker(new URL('./flood.ts', import.meta.url), { workerData: options });
  const [flooded] = (await once(worker, 'message')) as [Flooded];
  await worker.terminate();
  return flooded;
}

async function run({ address, identity, message, forMs, reads }: Flood): Promise<Flooded> {
  const peer = await HostilePeer.dial(address, identity);
  if (!reads) peer.webSocket.stopReading();
  const messages = await peer.flood(message, forMs);
  peer.webSocket.readOn();
  let timer: NodeJS.Timeout | undefined;
  const stillOpen = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), LAST_WORD_MS);
  });
  const close = await Promise.race([peer.closed, stillOpen]);
  clearTimeout(timer);
  return { messages, closeCode: close?.code };
}

if (!isMainThread) parentPort?.postMessage(await run(workerData as Flood));
