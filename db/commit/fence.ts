/**
 * Fencing: a write that says by which token it holds something is refused once a newer token has been seen. The newest
 * token of each name is kept on every replica, in `tl_fence_tokens`, beside the data.
 *
 * F1: a write's token is looked at before its own statements, in the same transaction and savepoint: a refused write has
 *     run none of them, and one that is undone raises nothing.
 * F2: tokens only grow. The leader locks the name's row until the commit, and every replica's UPDATE says it again: one
 *     that has a newer token affects another number of rows than the leader did, and has diverged.
 * F3: a name's row is never dropped by the platform: whoever holds an old token may be asleep for as long as it likes.
 */
import { PlatformError } from '../../shared/errors.ts';
import { FENCE_NAME_CHARS_MAX } from '../limits.ts';
import type { Row, SqlValue } from '../replica.ts';

/** What a write holds, or held. */
export interface Fence {
  /** What is protected, e.g. a lock's `domain/node`: 1..FENCE_NAME_CHARS_MAX printable ASCII characters, no space. */
  readonly name: string;
  /** Given out with the lock or the leadership, greater each time: a safe integer ≥ 1. */
  readonly token: number;
}

// F3: no column tells when a row was last used
export const SQLITE_FENCE_TABLE = `CREATE TABLE IF NOT EXISTS tl_fence_tokens (
  name TEXT NOT NULL PRIMARY KEY, token INTEGER NOT NULL) STRICT, WITHOUT ROWID`;

export const MYSQL_FENCE_TABLE = `CREATE TABLE IF NOT EXISTS tl_fence_tokens (
  name VARCHAR(${FENCE_NAME_CHARS_MAX}) NOT NULL PRIMARY KEY, token BIGINT NOT NULL) ENGINE=InnoDB`;

const FIND_TOKEN_SQL = 'SELECT token FROM tl_fence_tokens WHERE name = ?';
const FIRST_TOKEN_SQL = 'INSERT INTO tl_fence_tokens (name, token) VALUES (?, ?)';
// F2
const RAISE_TOKEN_SQL = 'UPDATE tl_fence_tokens SET token = ? WHERE name = ? AND token < ?';

const FENCE_NAME = new RegExp(`^[\\x21-\\x7e]{1,${FENCE_NAME_CHARS_MAX}}$`);

/** Where the statements go: the open request of a batch, on the leader. */
export interface FencedTransaction {
  query(sql: string, params: readonly SqlValue[]): Promise<Row[]>;
  execute(sql: string, params: readonly SqlValue[]): Promise<number>;
}

/** @throws PlatformError STATEMENT_FAILED when it is not one */
export function requireFence(fence: Fence): void {
  const { name, token } = fence;
  if (typeof name !== 'string' || !FENCE_NAME.test(name)) {
    const expected = `1 to ${FENCE_NAME_CHARS_MAX} printable ASCII characters without spaces`;
    const came = typeof name === 'string' ? `${name.length} characters` : typeof name;
    throw new PlatformError('STATEMENT_FAILED', `expected a fence's name of ${expected}, ${came} came`);
  }
  if (Number.isSafeInteger(token) && token >= 1) return;
  throw new PlatformError(
    'STATEMENT_FAILED',
    `expected the token of fence ${name} to be a safe integer >= 1, ${String(token)} came`,
  );
}

/**
 * F1. Passes an equal or newer token, and keeps a newer one.
 * @throws PlatformError FENCE_OUTDATED for an older one
 */
export async function passFence(transaction: FencedTransaction, { name, token }: Fence): Promise<void> {
  const [row] = await transaction.query(FIND_TOKEN_SQL, [name]);
  const newest = row === undefined ? 0 : Number(row['token']);
  if (token < newest) {
    throw new PlatformError(
      'FENCE_OUTDATED',
      `expected a token of ${name} of at least ${newest}, ${token} came: somebody else holds it now; take it anew`,
    );
  }
  if (row === undefined) await transaction.execute(FIRST_TOKEN_SQL, [name, token]);
  else if (token > newest) await transaction.execute(RAISE_TOKEN_SQL, [token, name, token]);
}
