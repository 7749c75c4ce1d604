/** The programs of ../peers/ as processes: the least that could answer the same. */
import path from 'node:path';
import { freeAddress } from '../../support/free-ports.ts';
import type { Mariadb } from '../../support/mariadb.ts';
import { databaseOf } from './databases.ts';
import type { LoadedServer } from './loaded-server.ts';
import { PeerProcess } from './peer-process.ts';

export const BARE = 'bare uWebSockets.js';

export function startBareEcho(): Promise<LoadedServer> {
  return startBare(BARE, '../peers/bare-echo.ts', []);
}

/** One MariaDB behind mysql2 behind a bare server; the database's process counts too. */
export async function startBareAccounts(name: string, mariadb: Mariadb): Promise<LoadedServer> {
  const server = await startBare(name, '../peers/bare-accounts.ts', [JSON.stringify(databaseOf(mariadb))]);
  return { ...server, pids: () => [...server.pids(), mariadb.pid] };
}

async function startBare(name: string, file: string, args: readonly string[]): Promise<LoadedServer> {
  const address = await freeAddress();
  const nodeArgs = [...process.execArgv, path.join(import.meta.dirname, file), address, ...args];
  const peer = await PeerProcess.start(process.execPath, nodeArgs, `http://${address}/`);
  return { name, url: `http://${address}`, pids: () => peer.pids(), close: () => peer.close() };
}
