/**
 * What a client is told of a failed handler, and what the log keeps of it.
 *
 * F1: the text of a defect (an exception, a reply the schema refuses, a database's message) goes to the log only.
 */
import { ERROR_KINDS, type ErrorCode, PlatformError } from '../shared/errors.ts';
import { shown } from './handler-input.ts';

const STACK_LENGTH_MAX = 4096;

/** Codes whose detail may quote source, SQL or data that is not the client's. */
const DEFECTS: ReadonlySet<ErrorCode> = new Set([
  'INTERNAL',
  'HANDLER_FAILED',
  'REPLY_INVALID',
  'STATEMENT_FAILED',
  'REPLICAS_DIVERGED',
]);

export interface HandlerFailure {
  readonly error: PlatformError;
  /** For the log, bounded; undefined when the error says it all and is the client's to read. */
  readonly defect: string | undefined;
}

/** @param label of the route, e.g. `POST /accounts/:account/deposits` */
export function handlerFailure(thrown: unknown, label: string): HandlerFailure {
  if (thrown instanceof PlatformError && !DEFECTS.has(thrown.code)) return { error: thrown, defect: undefined };
  const code = thrown instanceof PlatformError ? thrown.code : 'HANDLER_FAILED';
  const kind = ERROR_KINDS[code].title.toLowerCase();
  const detail = `${label}: ${kind}; the app server's log says more under this request id`;
  return { error: new PlatformError(code, detail, { cause: thrown }), defect: textOf(thrown) }; // F1
}

/** Anything can be thrown, an object that throws when looked at included. */
function textOf(thrown: unknown): string {
  try {
    const text = thrown instanceof Error ? (thrown.stack ?? String(thrown)) : `thrown: ${shown(thrown)}`;
    return text.slice(0, STACK_LENGTH_MAX);
  } catch {
    return 'thrown: a value that cannot be shown';
  }
}
