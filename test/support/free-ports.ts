/** Loopback ports for servers that tests start. */
import { createServer } from 'node:net';
import { systemRandom } from '../../shared/random.ts';

/** Below the range systems give to outgoing connections, so that nobody is given one between the check and its use. */
const FIRST_PORT = 20_000;
const LAST_PORT = 31_999;

/** @returns ports that could be listened on a moment ago; random, so that test files beside each other differ */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = FIRST_PORT + Math.floor(systemRandom.float() * (LAST_PORT - FIRST_PORT + 1));
    if (!ports.has(port) && (await isFree(port))) ports.add(port);
  }
  return [...ports];
}

function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  return new Promise((resolve) => {
    probe.once('error', () => resolve(false));
    probe.listen({ host: '127.0.0.1', port, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
