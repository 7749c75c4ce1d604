/** Repeats on a follower what requests did on the leader, and notices when it does something else. */
import { PlatformError, toPlatformError } from '../../shared/errors.ts';
import type { LogEntry, ReplicaSession } from '../replica.ts';

/**
 * W2: statements and log rows of a batch, in order. Affected rows must be those of the leader.
 * @throws PlatformError REPLICAS_DIVERGED when a statement fails or affects another number of rows here
 */
export async function replay(session: ReplicaSession, entries: readonly LogEntry[]): Promise<void> {
  for (const entry of entries) {
    for (const { sql, params, changes } of entry.statements) {
      let found: number;
      try {
        found = await session.execute(sql, params);
      } catch (thrown) {
        const error = toPlatformError(thrown);
        if (error.code !== 'STATEMENT_FAILED') throw error;
        throw diverged(entry, sql, `it failed here: ${error.detail}`);
      }
      if (found !== changes) throw diverged(entry, sql, `it affected ${changes} rows on the leader, ${found} here`);
    }
  }
  await session.copyLog(entries);
}

function diverged(entry: LogEntry, sql: string, detail: string): PlatformError {
  const statement = sql.replace(/\s+/g, ' ').trim().slice(0, 120);
  return new PlatformError('REPLICAS_DIVERGED', `replaying "${statement}" of request ${entry.requestId}: ${detail}`);
}
