/**
 * What a user would write without a platform: mysql2 behind a bare uWebSockets.js server, on one MariaDB.
 *
 * Reads are one prepared statement, by hand. Writes run the very handlers of the accounts service, each in a plain
 * transaction. Started with its address and a database, as JSON.
 */
import { createPool, type Pool, type PoolConnection, type ResultSetHeader, type RowDataPacket } from 'mysql2/promise';
import type { Reply } from '../../../app-server/sdk/reply.ts';
import type { Context, RouteDefinition, SqlValue, WriteTransaction } from '../../../app-server/sdk/sdk.ts';
import { service } from '../../../app-server/services/accounts/service.ts';
import { PlatformError } from '../../../shared/errors.ts';
import { createWebApp, listenExclusive, type WebResponse } from '../../../shared/web-server.ts';
import type { Database } from '../support/databases.ts';

/** The best of 4, 8, 16, 32 and 64 for writes at 64 clients, and as good as any for reads. */
const CONNECTIONS = 64;
/** ER_LOCK_DEADLOCK */
const DEADLOCK = 1213;
const ATTEMPTS_MAX = 10;

const [address = '', database = ''] = process.argv.slice(2);
const pool = createPool({ ...(JSON.parse(database) as Database), connectionLimit: CONNECTIONS });
for (const sql of service.schema) await pool.query(sql);

async function read(account: string): Promise<{ account: string; balance: number } | undefined> {
  const [rows] = await pool.execute<RowDataPacket[]>('SELECT balance FROM accounts WHERE account = ?', [account]);
  return rows[0] === undefined ? undefined : { account, balance: Number(rows[0]['balance']) };
}

/** `ctx.db.write` on one database: tried again after a deadlock, as the server asks. */
async function write<T>(from: Pool, run: (tx: WriteTransaction) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await writeOnce(from, run);
    } catch (thrown) {
      if ((thrown as { errno?: number }).errno !== DEADLOCK || attempt === ATTEMPTS_MAX) throw thrown;
    }
  }
}

async function writeOnce<T>(from: Pool, run: (tx: WriteTransaction) => Promise<T>): Promise<T> {
  const connection = await from.getConnection();
  try {
    await connection.beginTransaction();
    const value = await run(transactionOn(connection));
    await connection.commit();
    return value;
  } catch (thrown) {
    await connection.rollback();
    throw thrown;
  } finally {
    connection.release();
  }
}

function transactionOn(connection: PoolConnection): WriteTransaction {
  type Values = Parameters<PoolConnection['execute']>[1];
  const values = (params: readonly SqlValue[]): Values => params as Values;
  return {
    query: async (sql, params = []) => (await connection.execute<RowDataPacket[]>(sql, values(params)))[0],
    execute: async (sql, params = []) => {
      const [result] = await connection.execute<ResultSetHeader>(sql, values(params));
      return { changes: result.affectedRows };
    },
    now: () => Date.now(),
    uuid: () => crypto.randomUUID(),
    random: () => Math.random(),
  };
}

function routeOf(method: string, path: string): RouteDefinition {
  const found = service.routes.find((route) => route.method === method && route.path === path);
  if (found === undefined) throw new Error(`the accounts service has no ${method} ${path}`);
  return found;
}

/** @param text the request's body, '' for none */
async function handled(route: RouteDefinition, account: string, text: string): Promise<[status: number, json: string]> {
  const context = { account, db: { write: (run: never) => write(pool, run) } } as unknown as Context;
  const body = route.body?.parse(text === '' ? undefined : JSON.parse(text));
  const { status, value } = (await route.handler(context, { params: {}, query: {}, body })) as Reply<unknown>;
  return [status, JSON.stringify(route.reply?.parse(value))];
}

/** Sends what `answer` makes, unless the client is gone. */
function answering(response: WebResponse, answer: (text: string) => Promise<[status: number, json: string]>): void {
  let gone = false;
  let text = '';
  response.onAborted(() => {
    gone = true;
  });
  const send = ([status, json]: [status: number, json: string]): void => {
    if (gone) return;
    response.cork(() => {
      response.writeStatus(String(status)).writeHeader('content-type', 'application/json').end(json);
    });
  };
  response.onData((chunk, isLast) => {
    text += Buffer.from(chunk).toString();
    if (!isLast) return;
    answer(text).then(send, (thrown: unknown) => {
      const status = thrown instanceof PlatformError ? thrown.status : 500;
      send([status, JSON.stringify({ detail: String(thrown) })]);
    });
  });
}

const app = createWebApp();
const handlerFor = (method: string, path: string): Parameters<typeof app.any>[1] => {
  const route = routeOf(method, path);
  return (response, request) => {
    const account = request.getParameter('account') ?? '';
    answering(response, (text) => handled(route, account, text));
  };
};
app.get('/accounts/:account', (response, request) => {
  const account = request.getParameter('account') ?? '';
  answering(response, async () => {
    const found = await read(account);
    return found === undefined ? [404, '{}'] : [200, JSON.stringify(found)];
  });
});
app.put('/accounts/:account', handlerFor('PUT', '/accounts/:account'));
app.post('/accounts/:account/deposits', handlerFor('POST', '/accounts/:account/deposits'));
app.any('/*', (response) => {
  response.writeStatus('404').end();
});
await listenExclusive(app, address);
