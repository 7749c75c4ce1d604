/**
 * A server's process that does nothing but live: what starts, stops and supervises servers is tested with it.
 * STAND_IN_BEHAVIOURS, a JSON object of server id → behaviour, makes one misbehave.
 */
import { createServer, type Server } from 'node:http';
import { PlatformError } from '../../../shared/errors.ts';
import { runServerProcess } from '../../../shared/server-main.ts';
import type { RunningServer, ServerOptions, Tier } from '../../../shared/server-process.ts';
import { splitAddress } from '../../../shared/web-server.ts';

type Behaviour = 'well' | 'port-taken' | 'service-invalid' | 'throws-later' | 'hangs-on-stop' | 'fails-to-stop';

const behaviours = JSON.parse(process.env['STAND_IN_BEHAVIOURS'] ?? '{}') as Record<string, Behaviour>;
const tier = process.argv[2] as Tier;
process.argv.splice(2, 1);
await runServerProcess(tier, startStandIn);

async function startStandIn(options: ServerOptions): Promise<RunningServer> {
  const { serverId, config } = options;
  const behaviour = behaviours[serverId] ?? 'well';
  if (behaviour === 'port-taken') throw new PlatformError('PORT_TAKEN', `Port 1 is taken, says ${serverId}`);
  if (behaviour === 'service-invalid')
    throw new PlatformError('SERVICE_INVALID', `a service is wrong, says ${serverId}`);
  const address = addressOf(config, serverId);
  const server = createServer((request, response) => {
    response.end(`${serverId} ${process.pid}\n`);
    if (behaviour === 'throws-later' && request.url === '/throw') setImmediate(() => unexpected());
  });
  await listen(server, address);
  const stop = async (): Promise<void> => {
    if (behaviour === 'hangs-on-stop') await new Promise(() => {});
    if (behaviour === 'fails-to-stop') throw new Error('cannot stop');
    server.closeAllConnections();
    await new Promise((resolve) => void server.close(resolve));
  };
  return { serverId, tier, listen: address, admin: address, stop };
}

function addressOf(config: ServerOptions['config'], serverId: string): string {
  const servers = [
    ...config.coordinator.servers,
    ...config.interface.servers,
    ...config.dispatcher.servers,
    ...config.groups.flatMap((group) => group.appServers),
  ];
  return servers.find((server) => server.id === serverId)?.listen ?? '';
}

function listen(server: Server, address: string): Promise<void> {
  const { host, port } = splitAddress(address);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, resolve);
  });
}

function unexpected(): never {
  throw new Error('nobody expects this');
}
