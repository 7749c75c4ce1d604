/** What the journal asks of a file system, so that a test can give it one that tears, fills up and fails. */
import { mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { JournalLock } from './journal-lock.ts';

export interface JournalFile {
  /** @returns bytes read, fewer than asked for at the end of the file only */
  read(into: Uint8Array, at: number, length: number, position: number): Promise<number>;
  /** @returns bytes written, ≥ 1, maybe fewer than asked for */
  write(from: Uint8Array, at: number, length: number, position: number): Promise<number>;
  size(): Promise<number>;
  truncate(length: number): Promise<void>;
  /** Content and size are on the disk when this resolves. */
  datasync(): Promise<void>;
  close(): Promise<void>;
}

export interface JournalFiles {
  /** `r`: to read; `r+`: to write an existing one; `w`: new and empty. */
  open(path: string, flags: 'r' | 'r+' | 'w'): Promise<JournalFile>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Names, in any order. */
  list(folder: string): Promise<string[]>;
  makeFolder(folder: string): Promise<void>;
  /** Keeps the folder to one journal until it is released. @throws PlatformError USAGE when another one has it */
  lock(folder: string): { release(): void };
  /** What was made, renamed or unlinked in the folder stays so when this resolves. */
  syncFolder(folder: string): Promise<void>;
}

export const systemFiles: JournalFiles = {
  async open(path, flags) {
    const handle = await open(path, flags === 'w' ? 'w+' : flags, 0o600); // what is written is read again to be checked
    return {
      read: async (into, at, length, position) => (await handle.read(into, at, length, position)).bytesRead,
      write: async (from, at, length, position) => (await handle.write(from, at, length, position)).bytesWritten,
      size: async () => (await handle.stat()).size,
      truncate: (length) => handle.truncate(length),
      datasync: () => handle.datasync(),
      close: () => handle.close(),
    };
  },
  rename,
  unlink,
  list: (folder) => readdir(folder),
  makeFolder: async (folder) => void (await mkdir(folder, { recursive: true, mode: 0o700 })),
  lock: (folder) => JournalLock.take(folder),
  async syncFolder(folder) {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
};

/** A disk, a quota or a file is full: what there is stays sound, and space may come back. */
const SPACE_CODES = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

export function isSpaceError(thrown: unknown): boolean {
  return SPACE_CODES.has((thrown as NodeJS.ErrnoException | undefined)?.code ?? '');
}

/** @returns where the next byte goes */
export async function writeAll(
  file: JournalFile,
  bytes: Uint8Array,
  length: number,
  position: number,
): Promise<number> {
  let written = 0;
  while (written < length) written += await file.write(bytes, written, length - written, position + written);
  return position + length;
}

/** @returns bytes read, fewer than `length` at the end of the file only */
export async function readAll(file: JournalFile, into: Uint8Array, length: number, position: number): Promise<number> {
  let read = 0;
  while (read < length) {
    const count = await file.read(into, read, length - read, position + read);
    if (count === 0) break;
    read += count;
  }
  return read;
}

/** For what is only tidied up: a file that is left behind is found again at the next start. */
export async function unlinkIfThere(files: JournalFiles, path: string): Promise<void> {
  await files.unlink(path).catch(() => undefined);
}
