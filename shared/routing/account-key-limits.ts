/** What an account key may be: it travels in every envelope, and is an index column in every replica. */

/** UTF-16 code units. */
export const ACCOUNT_KEY_CHARS_MAX = 256;
/** In UTF-8. Two a character on average; what fits MySQL's narrowest index beside the platform's own columns. */
export const ACCOUNT_KEY_BYTES_MAX = 512;

/** @returns why no request can carry this key, or '' when one can */
export function accountKeyComplaint(key: string): string {
  if (key.length === 0) return 'an account key has at least 1 character, came none';
  if (key.length > ACCOUNT_KEY_CHARS_MAX) {
    return `an account key has at most ${ACCOUNT_KEY_CHARS_MAX} characters (UTF-16 code units), came ${key.length}`;
  }
  const bytes = Buffer.byteLength(key);
  if (bytes > ACCOUNT_KEY_BYTES_MAX)
    return `an account key has at most ${ACCOUNT_KEY_BYTES_MAX} bytes in UTF-8, came ${bytes}`;
  if (!key.isWellFormed()) return 'an account key is made of whole Unicode characters, came a lone surrogate';
  if (/[\0-\x1f\x7f]/.test(key)) return 'an account key has no control characters, came one';
  return '';
}
