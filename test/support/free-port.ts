/** Loopback ports that were free a moment ago, for servers that have to come back on the same one. */
import { createServer } from 'node:net';

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => {
        if (address !== null && typeof address === 'object') resolve(address.port);
        else reject(new Error('expected a TCP address'));
      });
    });
  });
}

export async function freeAddress(): Promise<string> {
  return `127.0.0.1:${await freePort()}`;
}
