/** Asks servers whether they are ready, over HTTP as anybody would. */
import http from 'node:http';
import { type Clock, systemClock } from '../../shared/clock.ts';
import { splitAddress } from '../../shared/web-server.ts';

/** A server that takes longer to say it is ready is not. */
const ANSWER_MS_MAX = 500;
const ASK_AGAIN_MS = 30;
/** Its state comes first; what else it says does not matter. */
const READY_CHARS_MAX = 1_000;
const TAKEN_OUT = /^\{"status":"(drain|maint)"/;

/** Where to reach, on this machine, a server that listens on `address`. */
export function reachableAddress(address: string): string {
  const { host, port } = splitAddress(address);
  if (host === '0.0.0.0') return `127.0.0.1:${port}`;
  return host === '::' ? `[::1]:${port}` : address;
}

/** Whether it says that it is ready, or that an operator has taken it out: then it is as it should be. */
export function isReady(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const url = `http://${reachableAddress(address)}/-/ready`;
    const request = http.get(url, { agent: false, timeout: ANSWER_MS_MAX }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        if (body.length < READY_CHARS_MAX) body += chunk;
      });
      response.on('end', () => resolve(response.statusCode === 200 || TAKEN_OUT.test(body)));
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
    request.on('close', () => resolve(false));
  });
}

/**
 * Waits until every address says it is ready.
 * @param stillWorthIt asked before each round; false ends the waiting
 * @returns whether they are all ready
 */
export async function untilReady(
  addresses: readonly string[],
  timeoutMs: number,
  stillWorthIt: () => boolean = () => true,
  clock: Clock = systemClock,
): Promise<boolean> {
  const giveUpAtMs = clock.nowMs() + timeoutMs;
  while (stillWorthIt() && clock.nowMs() < giveUpAtMs) {
    const answers = await Promise.all(addresses.map(isReady));
    if (answers.every((ready) => ready)) return true;
    await clock.sleep(ASK_AGAIN_MS);
  }
  return false;
}
