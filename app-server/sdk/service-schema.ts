/**
 * Checks the DDL a service brings: it must mean the same on SQLite and on MySQL/MariaDB, and be safe to run at every
 * start.
 *
 * D1: each statement is one `CREATE TABLE IF NOT EXISTS name (...)`, or one `CREATE [UNIQUE] INDEX IF NOT EXISTS name
 *     ON table (...)` on a table of the same service, after it.
 * D2: nothing in it differs between replicas: no generated ids, times or chance.
 */
import { PlatformError } from '../../shared/errors.ts';

const STATEMENTS_MAX = 64;
const STATEMENT_LENGTH_MAX = 16 * 1024;

const CREATE_TABLE = /^\s*CREATE\s+TABLE\s+IF\s+NOT\s+EXISTS\s+([^\s(]+)\s*\(([\s\S]*)\)\s*;?\s*$/i;
const CREATE_INDEX =
  /^\s*CREATE\s+(?:UNIQUE\s+)?INDEX\s+IF\s+NOT\s+EXISTS\s+([^\s(]+)\s+ON\s+([^\s(]+)\s*\(([\s\S]*)\)\s*;?\s*$/i;
const NAME = /^[a-z][a-z0-9_]{0,47}$/;

/** What only one of the databases takes, or what differs between replicas; each with what to do instead. */
const REFUSED: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/\bAUTO_?INCREMENT\b/i, 'number rows from a counter column that the same transaction updates'],
  [/\bCURRENT_(TIMESTAMP|TIME|DATE)\b|\bNOW\s*\(/i, 'store tx.now()'],
  [/\b(RANDOM|RAND|UUID|RANDOMBLOB)\s*\(/i, 'store tx.random() or tx.uuid()'],
  [/\bWITHOUT\s+ROWID\b|\bSTRICT\s*;?\s*$/i, 'leave it out: only SQLite takes it'],
  [/\bENGINE\s*=|\bCHARSET\b|\bCHARACTER\s+SET\b|\bCOLLATE\b/i, 'leave it out: text compares byte by byte everywhere'],
  [/\bTRIGGER\b/i, 'write both rows in the handler'],
  [/\bSELECT\b/i, 'fill the table from a handler'],
  [/--|\/\*|#/, 'put the comment into the TypeScript'],
  [/;\s*\S/, 'make it two statements of the list'],
];

function invalid(service: string, statement: string, message: string): PlatformError {
  const start = statement.trim().replace(/\s+/g, ' ').slice(0, 80);
  return new PlatformError('SERVICE_INVALID', `service '${service}', schema statement "${start}": ${message}`);
}

/**
 * @returns the names of the tables, in order
 * @throws PlatformError SERVICE_INVALID, naming the statement and what to write instead
 */
export function checkServiceSchema(service: string, schema: readonly string[]): string[] {
  if (!Array.isArray(schema) || schema.some((statement) => typeof statement !== 'string')) {
    throw new PlatformError('SERVICE_INVALID', `service '${service}': expected schema to be a list of SQL strings`);
  }
  if (schema.length > STATEMENTS_MAX) {
    const expected = `at most ${STATEMENTS_MAX} schema statements, got ${schema.length}`;
    throw new PlatformError('SERVICE_INVALID', `service '${service}': expected ${expected}`);
  }
  const tables: string[] = [];
  for (const statement of schema) {
    checkPortable(service, statement);
    const index = CREATE_INDEX.exec(statement);
    const name = checkName(service, statement, index?.[1] ?? CREATE_TABLE.exec(statement)?.[1]);
    if (index === null) {
      if (tables.includes(name)) throw invalid(service, statement, `table '${name}' is there twice`);
      tables.push(name);
    } else if (!tables.includes(index[2] ?? '')) {
      throw invalid(service, statement, `expected an index on a table created above it, got '${index[2]}'`);
    }
  }
  return tables;
}

function checkPortable(service: string, statement: string): void {
  if (statement.length > STATEMENT_LENGTH_MAX) {
    throw invalid(service, statement, `expected at most ${STATEMENT_LENGTH_MAX} characters, got ${statement.length}`);
  }
  for (const [pattern, instead] of REFUSED) {
    const found = pattern.exec(statement)?.[0];
    if (found !== undefined) throw invalid(service, statement, `'${found.trim()}' is not portable; ${instead}`); // D2
  }
}

function checkName(service: string, statement: string, name: string | undefined): string {
  if (name === undefined) {
    const expected = 'CREATE TABLE IF NOT EXISTS name (…) or CREATE INDEX IF NOT EXISTS name ON table (…)';
    throw invalid(service, statement, `expected ${expected}, which may run at every start`); // D1
  }
  if (!NAME.test(name)) throw invalid(service, statement, `expected a name of at most 48 a-z 0-9 _, got '${name}'`);
  if (/^(tl_|sqlite_)/.test(name)) {
    throw invalid(service, statement, `names that start with tl_ or sqlite_ are taken, got '${name}'`);
  }
  return name;
}
