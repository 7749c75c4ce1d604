/** MariaDB servers for measuring: as durable as a group's replicas must be, with room to work in. */
import { MARIADB_COLLATION, type Mariadb, startMariadb } from '../../support/mariadb.ts';

export interface Database {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

const NAME = 'bench';

/** Beyond what tests need; the same for everybody who is measured. Every commit is on disk: the default, and a must. */
const OPTIONS = ['--innodb-buffer-pool-size=256M', '--innodb-log-file-size=128M', '--max-connections=300'];

/** With an empty database. */
export async function startDatabase(): Promise<Mariadb & { close(): Promise<void> }> {
  const server = await startMariadb(OPTIONS);
  await server.query(`CREATE DATABASE ${NAME} CHARACTER SET utf8mb4 COLLATE ${MARIADB_COLLATION}`);
  return Object.assign(server, { close: () => server.stop() });
}

export function databaseOf({ host, port, user, password }: Mariadb): Database {
  return { host, port, user, password, database: NAME };
}
