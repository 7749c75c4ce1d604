/**
 * Names of our prepared transactions on a MySQL server.
 *
 * X1: `group:epoch:leader:connection-random@database`: the connection is the leader session that decides it, the
 *     database keeps replicas on one server apart. XA RECOVER lists the transactions of everybody on the server.
 * X2: only names of exactly this form, of our group and database, are ever touched.
 */
import { createHash } from 'node:crypto';

/** "TLN": marks our transactions; others use other numbers, mostly 1. */
const FORMAT_ID = 0x544c4e;

/** Bytes of each of the two parts of a server's xid. */
const PART_BYTES = 64;

const OUR_XID = /^[a-z0-9-]+:\d+:[a-z0-9-]+:\d+-[0-9a-f]+$/;

/** X1. As XA statements want it: `'…','…',5524558`. @param xid of commit/write-all.ts, at most 114 characters */
export function xaName(xid: string, database: string): string {
  if (!OUR_XID.test(xid)) throw new Error(`not a transaction name: ${xid}`);
  const text = xid + databaseMark(database);
  return `'${text.slice(0, PART_BYTES)}','${text.slice(PART_BYTES)}',${FORMAT_ID}`;
}

/** X2. @param row of XA RECOVER @returns the xid, or undefined when it is not ours */
export function xidOfRecovered(
  row: Readonly<Record<string, unknown>>,
  groupId: string,
  database: string,
): string | undefined {
  const text = String(row['data']);
  const mark = databaseMark(database);
  if (Number(row['formatID']) !== FORMAT_ID || !text.endsWith(mark) || !text.startsWith(`${groupId}:`))
    return undefined;
  const xid = text.slice(0, -mark.length);
  return OUR_XID.test(xid) ? xid : undefined;
}

/** Id of the leader's connection that decides the transaction. */
export function leaderConnectionOf(xid: string): number {
  return Number(/:(\d+)-[0-9a-f]+$/.exec(xid)?.[1] ?? 0);
}

function databaseMark(database: string): string {
  return `@${createHash('sha256').update(database).digest('hex').slice(0, 12)}`;
}
