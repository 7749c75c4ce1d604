/**
 * Puts a text in place of a file that a person edits.
 *
 * F1: the file is replaced by a rename, whole or not at all; what it held stays beside it.
 * F2: only a file that still holds what the caller saw is replaced.
 * F3: both files may be read by whoever could read the file, and by nobody else.
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
    const mode = fs.statSync(real).mode & 0o777;
    write(copy, expected, mode);
    write(written, text, mode);
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

/** F3: its mode before its text. */
function write(file: string, text: string, mode: number): void {
  const handle = fs.openSync(file, 'w', 0o600);
  try {
    fs.fchmodSync(handle, mode);
    fs.writeFileSync(handle, text);
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
}
