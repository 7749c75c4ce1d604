/**
 * Loopback ports for servers that tests start.
 *
 * Each process claims a block of ports by listening on its first one for as long as it lives; the rest of the block is
 * its own to give out. So test files that run beside each other never get the same port, and a killed one leaves nothing.
 */
import { createServer, type Server } from 'node:net';
import { systemRandom } from '../../shared/random.ts';

/** Below the range systems give to outgoing connections, so that nobody is given one between the check and its use. */
const FIRST_PORT = 20_000;
const LAST_PORT = 31_999;
const BLOCK_PORTS = 60;
const BLOCKS = Math.floor((LAST_PORT - FIRST_PORT + 1) / BLOCK_PORTS);

let nextPort = 0;
let blockEnd = 0;

/** @returns ports that nobody else is given, each free a moment ago */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    if (nextPort >= blockEnd) await claimBlock();
    const port = nextPort++;
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port as number;
}

export async function freeAddress(): Promise<string> {
  return `127.0.0.1:${await freePort()}`;
}

async function claimBlock(): Promise<void> {
  const start = Math.floor(systemRandom.float() * BLOCKS);
  for (let tried = 0; tried < BLOCKS; tried++) {
    const claimPort = FIRST_PORT + ((start + tried) % BLOCKS) * BLOCK_PORTS;
    const claim = await listenOn(claimPort);
    if (claim === undefined) continue;
    claim.unref(); // held until this process ends
    nextPort = claimPort + 1;
    blockEnd = claimPort + BLOCK_PORTS;
    return;
  }
  throw new Error(`expected a free block of ports in ${FIRST_PORT}..${LAST_PORT}, all are claimed`);
}

async function isFree(port: number): Promise<boolean> {
  const probe = await listenOn(port);
  if (probe === undefined) return false;
  await new Promise((resolve) => probe.close(resolve));
  return true;
}

function listenOn(port: number): Promise<Server | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(undefined));
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => resolve(server));
  });
}
