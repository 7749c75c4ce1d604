/**
 * Which DDL a service may bring. Every replica runs it at every open, before anything is replayed, so each statement
 * must be one that changes nothing when it has been run before.
 */
import { PlatformError } from '../../shared/errors.ts';
import { OWN_TABLE_PREFIX } from '../commit/transaction-log.ts';

/** Values that each replica would choose for itself. */
const CHOSEN_BY_REPLICA =
  /\b(?:AUTO_?INCREMENT|CURRENT_TIMESTAMP|CURRENT_DATE|CURRENT_TIME)\b|\b(?:NOW|RANDOM|RAND|UUID)\s*\(/i;

const ALLOWED =
  /^\s*CREATE\s+(TABLE|(?:UNIQUE\s+)?INDEX)\s+IF\s+NOT\s+EXISTS\s+["`]?(\w+)["`]?(?:\s+ON\s+["`]?(\w+))?/i;

/** @throws PlatformError SERVICE_INVALID naming the statement and what was expected */
export function checkSchema(schema: readonly string[]): void {
  for (const statement of schema) {
    const match = ALLOWED.exec(statement);
    if (match === null) {
      throw invalid(statement, 'expected CREATE TABLE IF NOT EXISTS … or CREATE [UNIQUE] INDEX IF NOT EXISTS …');
    }
    const named = [match[2], match[3]].filter((name) => name !== undefined);
    if (named.some((name) => name.toLowerCase().startsWith(OWN_TABLE_PREFIX))) {
      throw invalid(statement, `names starting with ${OWN_TABLE_PREFIX} are the platform's: choose another name`);
    }
    const chosen = CHOSEN_BY_REPLICA.exec(statement);
    if (chosen !== null) {
      throw invalid(
        statement,
        `${chosen[0]} may differ between replicas: give the value in the INSERT, e.g. tx.uuid()`,
      );
    }
    if (/;\s*\S/.test(statement)) throw invalid(statement, 'expected one statement an entry of the schema');
  }
}

function invalid(statement: string, detail: string): PlatformError {
  return new PlatformError('SERVICE_INVALID', `schema statement "${statement.trim().slice(0, 80)}": ${detail}`);
}
