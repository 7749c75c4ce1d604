/**
 * Puts a text in place of a file that a person edits.
 *
 * F1: the file is replaced by a rename, whole or not at all; what it held stays beside it.
 * F2: only a file that still holds what the caller saw is replaced.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { PlatformError } from '../../shared/errors.ts';

const COPY_DIGITS = 12;

/**
 * @returns the file that keeps what was replaced
 * @throws PlatformError USAGE when the file is another one by now, or cannot be replaced
 */
export function replaceFile(file: string, expected: string, text: string): string {
  const real = fs.realpathSync(file); // a link to it stays a link
  const digest = createHash('sha256').update(expected).digest('hex').slice(0, COPY_DIGITS);
  const copy = `${real}.replaced-${digest}`;
  const written = `${real}.rollback`;
  try {
    fs.writeFileSync(copy, expected);
    const handle = fs.openSync(written, 'w', fs.statSync(real).mode & 0o777);
    try {
      fs.writeFileSync(handle, text);
      fs.fsyncSync(handle);
    } finally {
      fs.closeSync(handle);
    }
    if (fs.readFileSync(real, 'utf8') !== expected)
      throw new PlatformError('USAGE', `${file} was edited meanwhile: look at the difference again`); // F2
    fs.renameSync(written, real); // F1
  } catch (thrown) {
    fs.rmSync(written, { force: true });
    if (thrown instanceof PlatformError) throw thrown;
    const detail = `${file} cannot be replaced (${(thrown as Error).message}): \`config history EPOCH\` prints the older one, to be put where this file comes from`;
    throw new PlatformError('USAGE', detail);
  }
  return copy;
}
