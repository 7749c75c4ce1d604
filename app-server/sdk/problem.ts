/** A service's own refusals, e.g. "insufficient funds". */
import { PlatformError } from '../../shared/errors.ts';

const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
const NAME_LENGTH_MAX = 64;
const TITLE_LENGTH_MAX = 128;
/** Room for an explanation, not for a document: problems are logged and carried between servers. */
const DETAIL_LENGTH_MAX = 1024;

/**
 * A refusal that the client sees as RFC 9457 `application/problem+json`. Throw it (inside `ctx.db.write` it rolls the
 * transaction back) or return it.
 * @param status 400..599
 * @param name kebab-case, the last part of the problem's `type`, e.g. `insufficient-funds`; never change it later
 * @param title short, the same for every occurrence
 * @param detail what was expected, what came, what to do; cut at 1,024 characters
 */
export function problem(status: number, name: string, title: string, detail: string): PlatformError {
  if (!Number.isInteger(status) || status < 400 || status > 599) {
    return new PlatformError('REPLY_INVALID', `expected a problem's status to be 400..599, got ${String(status)}`);
  }
  if (typeof name !== 'string' || name.length > NAME_LENGTH_MAX || !NAME.test(name)) {
    const got = JSON.stringify(String(name).slice(0, NAME_LENGTH_MAX));
    return new PlatformError('REPLY_INVALID', `expected a problem's name in kebab-case, got ${got}`);
  }
  return new PlatformError('SERVICE_PROBLEM', String(detail).slice(0, DETAIL_LENGTH_MAX).toWellFormed(), {
    status,
    title: String(title).slice(0, TITLE_LENGTH_MAX).toWellFormed(),
    problem: name,
  });
}
