/**
 * Reads the secrets that a config only names, and makes the cluster token of a new local cluster.
 *
 * X1: a secret stands in no message and no log line; its source does.
 * X2: a secret file is whole or absent: written aside, then linked to its name, never over one that is there.
 */
import { closeSync, existsSync, linkSync, mkdirSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { PlatformError } from '../errors.ts';
import { type Random, systemRandom } from '../random.ts';
import type { SecretSource } from './cluster-schema.ts';

const SECRET_BYTES = 32;
/** Longer than any token or password; a wrong path may name a database file. */
const SECRET_BYTES_MAX = 4096;

/**
 * @param rootFolder what a relative path starts at
 * @returns one line, without the white space around it
 * @throws PlatformError CONFIG_INVALID that says where it was looked for and how to make it
 */
export function readSecret(source: SecretSource, rootFolder: string): string {
  const text =
    'env' in source ? process.env[source.env] : readSecretFile(path.resolve(rootFolder, source.file), source.file);
  const secret = (text ?? '').trim();
  if (secret === '') throw missingSecret(source, text === undefined ? 'it is not set' : 'it is empty');
  if (secret.length > SECRET_BYTES_MAX) throw missingSecret(source, `it is longer than ${SECRET_BYTES_MAX} bytes`);
  if (/[\u0000-\u001f\u007f]/.test(secret)) throw missingSecret(source, 'it is not one line of text');
  return secret;
}

/** Creates the file of a `{ file }` source, random and readable by its owner only, unless there is one. */
export function ensureSecretFile(source: SecretSource, rootFolder: string, random: Random = systemRandom): void {
  if (!('file' in source)) return;
  const file = path.resolve(rootFolder, source.file);
  if (existsSync(file)) return;
  const aside = `${file}.${random.uuid()}.new`;
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(aside, `${random.bytes(SECRET_BYTES).toString('hex')}\n`, { mode: 0o600, flag: 'wx' });
    try {
      linkSync(aside, file); // X2
    } finally {
      rmSync(aside);
    }
  } catch (error) {
    // Somebody else was faster: theirs is the secret.
    if (existsSync(file)) return;
    const message = `expected to create the secret file ${source.file}: ${(error as Error).message}`;
    throw new PlatformError('CONFIG_INVALID', message, { cause: error });
  }
}

function readSecretFile(file: string, name: string): string | undefined {
  try {
    const handle = openSync(file, 'r');
    try {
      const bytes = Buffer.alloc(SECRET_BYTES_MAX + 64);
      return bytes.toString('utf8', 0, readSync(handle, bytes));
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw missingSecret({ file: name }, `it cannot be read (${code ?? message})`);
  }
}

/** Is given the source and the reason, never what was read (X1). */
function missingSecret(source: SecretSource, why: string): PlatformError {
  const [where, make] =
    'env' in source
      ? [`environment variable ${source.env}`, `export ${source.env}="$(openssl rand -hex ${SECRET_BYTES})"`]
      : [`file ${source.file}`, `(umask 077; openssl rand -hex ${SECRET_BYTES} > '${source.file}')`];
  return new PlatformError(
    'CONFIG_INVALID',
    `expected a secret in the ${where}: ${why}. Make one with: ${make}. All servers of the cluster need the same one`,
  );
}
