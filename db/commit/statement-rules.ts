/**
 * Which SQL a handler may run, decided from its text alone; the same on every kind of replica.
 *
 * S1: one statement a call. node:sqlite would silently run only the first of several.
 * S2: nothing that ends or nests the transaction, changes the schema or the connection.
 * S3: nothing in a write whose effect could differ between replicas, which each run it for themselves.
 */
import { PlatformError } from '../../shared/errors.ts';
import { STATEMENT_CACHE_MAX } from '../limits.ts';

export type StatementKind = 'read' | 'write';

const READ_WORDS: ReadonlySet<string> = new Set(['SELECT', 'WITH']);
const WRITE_WORDS: ReadonlySet<string> = new Set(['INSERT', 'UPDATE', 'DELETE', 'REPLACE']);

/** Functions and variables that give another result on another replica or at another time. */
const VOLATILE =
  /\b(?:NOW|RAND|RANDOM|RANDOMBLOB|UUID|UUID_SHORT|SYSDATE|CURDATE|CURTIME|UNIX_TIMESTAMP|UTC_TIMESTAMP|UTC_DATE|UTC_TIME|LAST_INSERT_ID|LAST_INSERT_ROWID|CONNECTION_ID|CHANGES|TOTAL_CHANGES|VERSION|USER|SESSION_USER|SYSTEM_USER|SLEEP|GET_LOCK|RELEASE_LOCK|DATE|TIME|DATETIME|JULIANDAY|UNIXEPOCH|STRFTIME|LOCALTIME|LOCALTIMESTAMP)\s*\(|\b(?:CURRENT_TIMESTAMP|CURRENT_TIME|CURRENT_DATE|CURRENT_USER)\b|@/i;

/** Literals, quoted names and comments, none of which decide anything here. `--` is one everywhere only before a space. */
const LITERAL_OR_COMMENT = /'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|--(?=\s|$)[^\n]*|\/\*[\s\S]*?\*\//g;

/** Comments whose content MySQL and MariaDB run. */
const RUN_COMMENT = /\/\*M?!/;

const verdicts = new Map<string, StatementKind | PlatformError>();

/** @returns whether the statement reads or writes. @throws PlatformError STATEMENT_FAILED when it is not allowed. */
export function statementKind(sql: string): StatementKind {
  let verdict = verdicts.get(sql);
  if (verdict === undefined) {
    verdict = judge(sql);
    if (verdicts.size >= STATEMENT_CACHE_MAX) verdicts.clear();
    verdicts.set(sql, verdict);
  }
  if (verdict instanceof PlatformError) throw refused(verdict.detail);
  return verdict;
}

function judge(sql: string): StatementKind | PlatformError {
  if (RUN_COMMENT.test(sql)) return refused('expected no /*! comment: only MySQL would run what is in it');
  const bare = sql
    .replace(LITERAL_OR_COMMENT, (part) => (/^['"`]/.test(part) ? ' ? ' : ' '))
    .trim()
    .replace(/;$/, '');
  if (bare.includes(';')) return refused('expected one statement a call, found several: make one call for each'); // S1
  const word = /^[A-Za-z]+/.exec(bare)?.[0].toUpperCase() ?? '';
  if (READ_WORDS.has(word)) return judgeRead(word, bare);
  if (WRITE_WORDS.has(word)) return judgeWrite(bare);
  const found = word === '' ? 'no SQL word' : word;
  // S2
  return refused(
    `expected SELECT, WITH … SELECT, INSERT, UPDATE, DELETE or REPLACE, found ${found}; tables belong in the service's schema, transactions are the platform's`,
  );
}

function judgeRead(word: string, bare: string): StatementKind | PlatformError {
  if (word === 'WITH' && /\b(?:INSERT|UPDATE|DELETE|REPLACE)\b(?!\s*\()/i.test(bare)) {
    return refused('WITH is for reading here: write INSERT, UPDATE or DELETE without it, MariaDB knows no other');
  }
  return 'read';
}

function judgeWrite(bare: string): StatementKind | PlatformError {
  const volatile = VOLATILE.exec(bare);
  if (volatile !== null) {
    // S3
    return refused(
      `${volatile[0].replace(/\s*\($/, '')} may differ between replicas: pass tx.now(), tx.uuid() or tx.random() as a parameter instead`,
    );
  }
  if (/\bLIMIT\b/i.test(bare) && !/\bORDER\s+BY\b/i.test(bare)) {
    return refused('LIMIT without ORDER BY in a write may pick other rows on another replica: add ORDER BY'); // S3
  }
  return 'write';
}

function refused(detail: string): PlatformError {
  return new PlatformError('STATEMENT_FAILED', detail);
}
