/** How a MariaDB server of `up --mariadb` is run, and what its accounts may do. Pure. */
import { userInfo } from 'node:os';
import path from 'node:path';
import type { MysqlReplicaConfig } from '../../shared/config/cluster-schema.ts';
import { splitAddress } from '../../shared/web-server.ts';

/** What the writer needs on its own database: data, and the tables of services and of ours. */
const WRITER_RIGHTS = 'SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX';

/** Every app server of a group has its connections on every replica. */
const CONNECTIONS_MAX = 400;

export interface MariadbPlaces {
  /** Holds `data`. */
  readonly folder: string;
  readonly logFile: string;
  /** SQL that is run at every start. */
  readonly accountsFile: string;
}

/** For a laptop: little memory, and every commit on disk before it is acknowledged (docs/replicas.md). */
export function mariadbArguments({ address }: MysqlReplicaConfig, places: MariadbPlaces): string[] {
  const { host, port } = splitAddress(address);
  return [
    '--no-defaults',
    `--user=${userInfo().username}`,
    `--datadir=${path.join(places.folder, 'data')}`,
    '--socket=mariadb.sock', // in the data folder, and short: a socket's path has 107 characters at most
    '--pid-file=mariadb.pid',
    `--log-error=${places.logFile}`,
    `--init-file=${places.accountsFile}`,
    `--bind-address=${host === 'localhost' ? '127.0.0.1' : host}`,
    `--port=${port}`,
    '--skip-log-bin',
    '--skip-name-resolve',
    '--innodb-flush-log-at-trx-commit=1',
    '--innodb-buffer-pool-size=64M',
    '--innodb-log-file-size=48M',
    '--key-buffer-size=1M',
    '--performance-schema=OFF',
    `--max-connections=${CONNECTIONS_MAX}`,
  ];
}

/**
 * Makes the database and both accounts, or gives them the passwords that the files hold now.
 * @param replica its database's name has only letters, digits and `_`
 */
export function accountsSql(replica: MysqlReplicaConfig, writerPassword: string, readerPassword: string): string {
  const { database, writer, reader = writer } = replica;
  const users = [
    { user: writer.user, password: writerPassword, rights: WRITER_RIGHTS },
    ...(reader.user === writer.user ? [] : [{ user: reader.user, password: readerPassword, rights: 'SELECT' }]),
  ];
  const lines = [`CREATE DATABASE IF NOT EXISTS ${database} CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin`];
  for (const { user, password, rights } of users) {
    const name = `${quoted(user)}@'127.0.0.1'`;
    lines.push(`CREATE USER IF NOT EXISTS ${name}`);
    lines.push(`ALTER USER ${name} IDENTIFIED BY ${quoted(password)}`);
    lines.push(`GRANT ${rights} ON ${database}.* TO ${name}`);
  }
  // A file that MariaDB runs at its start has one statement a line.
  return lines.map((line) => `${line};\n`).join('');
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}
