/** Whether every address of a cluster can be listened on, asked before anything starts: one clear message, not nine. */
import { createServer } from 'node:net';
import type { ClusterServer } from '../../shared/cluster-servers.ts';
import { PlatformError } from '../../shared/errors.ts';
import { splitAddress } from '../../shared/web-server.ts';

interface Wanted {
  readonly address: string;
  /** e.g. `interface server i1` or `admin listener of i1`. */
  readonly by: string;
}

/** @throws PlatformError PORT_TAKEN naming every address that cannot be had, who wanted it and what to do */
export async function requireFreePorts(servers: readonly ClusterServer[]): Promise<void> {
  const wanted = servers.flatMap(({ serverId, tier, listen, admin }): Wanted[] => [
    { address: listen, by: `${tier} server ${serverId}` },
    { address: admin, by: `admin listener of ${serverId}` },
  ]);
  const complaints = (await Promise.all(wanted.map(complaintAbout))).filter((complaint) => complaint !== '');
  if (complaints.length === 0) return;
  complaints.push('Stop what listens there (`ss -ltnp` on Linux names it), or change the address in the config.');
  throw new PlatformError('PORT_TAKEN', complaints.join('\n'));
}

/** @returns '' when the address is free. Without SO_REUSEPORT here, a sharing listener elsewhere is noticed too. */
function complaintAbout({ address, by }: Wanted): Promise<string> {
  const { host, port } = splitAddress(address);
  const probe = createServer();
  return new Promise((resolve) => {
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(complaintOf(error, host, port, by)));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve('')));
  });
}

function complaintOf(error: NodeJS.ErrnoException, host: string, port: number, by: string): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return `Port ${port} on ${host} is taken; the ${by} wants it.`;
    case 'EACCES':
      return `Port ${port} on ${host} may not be opened by this user (below 1024?); the ${by} wants it.`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${host} is no address of this machine; the ${by} wants port ${port} there.`;
    default:
      return `Port ${port} on ${host} cannot be opened (${error.message}); the ${by} wants it.`;
  }
}
