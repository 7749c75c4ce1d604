/**
 * A published state on disk, as the coordinator and every other server keep one: whole or not at all.
 *
 * Two lines of JSON: a head `{ format, version, checksum }`, then the content; the checksum is the SHA-256 of the
 * version's digits, a line end, and the second line's bytes. `<file>.previous` is the generation before, `<file>.tmp` one being written.
 *
 * D1: a reader finds the old content or the new, never a mixture: a temporary file is written and synced, then renamed
 *     over the file, then the folder is synced. When `write` returns, the content survives a loss of power.
 * D2: content whose checksum or shape is wrong is never used. A damaged file is set aside as `<file>.damaged` (the newest
 *     one only) and the previous generation is used if that one is whole.
 * D3: a whole file of another format version is left where it is: the version that wrote it can still read it.
 */
import { createHash } from 'node:crypto';
import { readFileSync, renameSync } from 'node:fs';
import { copyFile, mkdir, open, rename } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { toPlatformError } from './errors.ts';

const FORMAT = 'trunkline-published-state';
const FORMAT_VERSION = 1;

export type StateFileContent<T> =
  | { readonly kind: 'absent' }
  | { readonly kind: 'whole'; readonly value: T }
  /** The newest generation was damaged; this is the one before. */
  | { readonly kind: 'previous'; readonly value: T; readonly reason: string }
  | { readonly kind: 'damaged'; readonly reason: string }
  | { readonly kind: 'foreign'; readonly reason: string };

/** Where a server keeps it. */
export function publishedStatePath(rootFolder: string, dataFolder: string, serverId: string): string {
  return resolve(rootFolder, dataFolder, serverId, 'published-state.json');
}

type Generation<T> = Extract<StateFileContent<T>, { kind: 'absent' | 'whole' | 'damaged' | 'foreign' }>;

export class PublishedStateFile<T> {
  readonly file: string;
  readonly #parse: (value: unknown) => T;
  #writing: Promise<void> = Promise.resolve();
  #closed = false;

  /** @param parse throws when the content has another shape */
  constructor(file: string, parse: (value: unknown) => T) {
    this.file = file;
    this.#parse = parse;
  }

  /** For the start of a server: blocks for as long as reading one small file takes. */
  read(): StateFileContent<T> {
    return this.#newestWhole((reason) => `${reason}; it was set aside as ${this.#setAside()}`); // D2
  }

  /** The same for those who do not keep the file: what is damaged stays for its keeper to find. */
  peek(): StateFileContent<T> {
    return this.#newestWhole((reason) => reason);
  }

  #newestWhole(onDamage: (reason: string) => string): StateFileContent<T> {
    const newest = this.#readGeneration(this.file);
    if (newest.kind === 'whole' || newest.kind === 'foreign') return newest;
    const previous = this.#readGeneration(`${this.file}.previous`);
    if (newest.kind === 'absent') {
      if (previous.kind !== 'whole') return newest;
      return { ...previous, kind: 'previous', reason: `${this.file} is gone` };
    }
    const reason = onDamage(newest.reason);
    return previous.kind === 'whole' ? { ...previous, kind: 'previous', reason } : { kind: 'damaged', reason };
  }

  /** Writes are done one after the other, in the order of the calls (D1). */
  write(value: T): Promise<void> {
    const written = this.#writing.then(() => this.#writeOnce(value));
    this.#writing = written.catch(() => undefined);
    return written;
  }

  /** No write begins after this; resolves when the one under way has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#writing;
  }

  #readGeneration(file: string): Generation<T> {
    let bytes: Buffer;
    try {
      bytes = readFileSync(file);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return { kind: 'absent' };
      return { kind: 'foreign', reason: `${file} cannot be read: ${(thrown as Error).message}` };
    }
    const lineEnd = bytes.indexOf('\n');
    const head = jsonOf(bytes.subarray(0, Math.max(lineEnd, 0))) as Record<string, unknown> | null | undefined;
    if (head?.['format'] !== FORMAT)
      return { kind: 'damaged', reason: `${file} does not begin with the head of a ${FORMAT} file` };
    const content = bytes.subarray(lineEnd + 1);
    const { version, checksum } = head;
    if (typeof version !== 'number' || checksum !== checksumOf(version, content))
      return { kind: 'damaged', reason: `${file} does not match its checksum` };
    const foreign = `${file} was written by another version of Trunkline`;
    if (version !== FORMAT_VERSION) {
      return {
        kind: 'foreign',
        reason: `${foreign}: expected format ${FORMAT_VERSION}, got ${version}`,
      }; // D3
    }
    try {
      return { kind: 'whole', value: this.#parse(JSON.parse(content.toString('utf8'))) };
    } catch (thrown) {
      return { kind: 'foreign', reason: `${foreign}: ${toPlatformError(thrown).message}` }; // D3
    }
  }

  #setAside(): string {
    const aside = `${this.file}.damaged`;
    renameSync(this.file, aside);
    return aside;
  }

  async #writeOnce(value: T): Promise<void> {
    if (this.#closed) return;
    const folder = dirname(this.file);
    const content = Buffer.from(JSON.stringify(value));
    const head = { format: FORMAT, version: FORMAT_VERSION, checksum: checksumOf(FORMAT_VERSION, content) };
    await mkdir(folder, { recursive: true });
    const temporary = `${this.file}.tmp`;
    const handle = await open(temporary, 'w', 0o600);
    try {
      await handle.writeFile(Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), content]));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await copyFile(this.file, `${this.file}.previous`).catch(ignoreAbsent);
    await rename(temporary, this.file);
    await syncFolder(folder);
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function ignoreAbsent(thrown: unknown): void {
  if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown;
}

function checksumOf(version: number, content: Uint8Array): string {
  return createHash('sha256').update(`${version}\n`).update(content).digest('hex');
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
