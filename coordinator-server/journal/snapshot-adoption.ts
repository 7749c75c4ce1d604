/**
 * Takes over a snapshot that was made elsewhere: its file is written beside the others, checked whole, and only then gets
 * its name.
 */
import path from 'node:path';
import { PlatformError } from '../../shared/errors.ts';
import { type JournalFile, type JournalFiles, unlinkIfThere, writeAll } from './journal-files.ts';
import { FOLLOWER_CHUNK_BYTES } from './journal-limits.ts';
import { encodeHead, HEAD_BYTES } from './record-codec.ts';
import { snapshotName } from './segment-file.ts';
import { BASELINE_FLAG, checkSnapshot, type SnapshotContent } from './snapshot-file.ts';

/** A file's path, or its bytes. */
export type SnapshotSource = string | AsyncIterable<Uint8Array>;

export class AdoptedSnapshot {
  readonly content: SnapshotContent;
  readonly #files: JournalFiles;
  readonly #folder: string;
  readonly #temporary: string;
  readonly #file: JournalFile;

  private constructor(
    files: JournalFiles,
    folder: string,
    temporary: string,
    file: JournalFile,
    content: SnapshotContent,
  ) {
    this.#files = files;
    this.#folder = folder;
    this.#temporary = temporary;
    this.#file = file;
    this.content = content;
  }

  /** @throws PlatformError REQUEST_INVALID when it is not whole, or another one than was said */
  static async receive(
    files: JournalFiles,
    folder: string,
    source: SnapshotSource,
    fromSequence: number,
  ): Promise<AdoptedSnapshot> {
    const temporary = path.join(folder, `adopted.${snapshotName(fromSequence)}.tmp`);
    const file = await files.open(temporary, 'w');
    try {
      let at = 0;
      const chunks = typeof source === 'string' ? chunksOf(files, source) : source;
      for await (const chunk of chunks) at = await writeAll(file, chunk, chunk.length, at);
      const content = await checkSnapshot(file);
      if (typeof content === 'string') throw refused(content);
      if (content.head.sequence !== fromSequence) {
        throw refused(`expected it to begin at record ${fromSequence}, it says ${content.head.sequence}`);
      }
      return new AdoptedSnapshot(files, folder, temporary, file, content);
    } catch (thrown) {
      await file.close().catch(() => undefined);
      await unlinkIfThere(files, temporary);
      throw thrown;
    }
  }

  /** It counts once this returns. */
  async install(isBaseline: boolean): Promise<void> {
    const { head } = this.content;
    const flags = isBaseline ? BASELINE_FLAG : 0;
    await writeAll(this.#file, encodeHead('snapshot', { ...head, flags }), HEAD_BYTES, 0);
    await this.#file.datasync();
    await this.#file.close();
    await this.#files.rename(this.#temporary, path.join(this.#folder, snapshotName(head.sequence)));
    await this.#files.syncFolder(this.#folder);
  }

  async abandon(): Promise<void> {
    await this.#file.close().catch(() => undefined);
    await unlinkIfThere(this.#files, this.#temporary);
  }
}

export function refused(why: string): PlatformError {
  return new PlatformError('REQUEST_INVALID', `The snapshot was refused: ${why}. Make another one and send that.`);
}

async function* chunksOf(files: JournalFiles, source: string): AsyncGenerator<Buffer> {
  const file = await files.open(source, 'r');
  try {
    for (let at = 0; ; ) {
      const chunk = Buffer.allocUnsafeSlow(FOLLOWER_CHUNK_BYTES);
      const read = await file.read(chunk, 0, chunk.length, at);
      if (read === 0) return;
      at += read;
      yield chunk.subarray(0, read);
    }
  } finally {
    await file.close();
  }
}
