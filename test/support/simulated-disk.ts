/**
 * A file system in memory that a test may fill up, make fail, and cut the power of: then what was not synced is there in
 * parts, a few bytes at a time, in any order.
 */
import path from 'node:path';
import type { JournalFile, JournalFiles } from '../../coordinator-server/journal/journal-files.ts';
import type { Random } from '../../shared/random.ts';

/** What a crash keeps or loses as one; less than any real disk's. */
const TORN_BYTES = 24;

interface Content {
  synced: Buffer;
  now: Buffer;
  /** What it was since the last sync: the disk may have been given any of it. */
  since: Buffer[];
}

type Names = Map<string, Content>;

function fault(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: simulated, ${what}`), { code });
}

export class SimulatedDisk implements JournalFiles {
  /** Bytes of all files together. */
  capacityBytes = Number.POSITIVE_INFINITY;
  /** Operations so far that changed something. */
  steps = 0;
  /** The power goes before this step: it and everything after it fails. */
  crashAtStep = Number.POSITIVE_INFINITY;
  /** Called before each of them; throws what is to fail. */
  onStep: (operation: string, name: string) => void = () => {};
  #names: Names;
  #syncedNames: Names;
  /** Changes of names that no sync has covered. */
  #unsynced: ((names: Names) => void)[] = [];
  #isLocked = false;

  constructor(files: ReadonlyMap<string, Buffer> = new Map()) {
    const contents = [...files].map(([name, bytes]): [string, Content] => [
      name,
      { synced: bytes, now: bytes, since: [] },
    ]);
    this.#names = new Map(contents);
    this.#syncedNames = new Map(contents);
  }

  /** As programs see them. */
  get files(): Map<string, Buffer> {
    return new Map([...this.#names].map(([name, { now }]) => [name, now]));
  }

  /** What a disk may hold after a loss of power. */
  crashed(random: Random): SimulatedDisk {
    const names: Names = new Map(this.#syncedNames);
    const keptShare = random.float();
    for (const change of this.#unsynced) if (random.float() < keptShare) change(names);
    return new SimulatedDisk(new Map([...names].map(([name, content]) => [name, torn(content, random)])));
  }

  /** What a disk holds after the process was killed: all that was written. */
  killed(): SimulatedDisk {
    return new SimulatedDisk(this.files);
  }

  async open(file: string, flags: 'r' | 'r+' | 'w'): Promise<JournalFile> {
    const name = path.basename(file);
    if (flags === 'w') {
      this.#step('open', name);
      const made: Content = { synced: Buffer.alloc(0), now: Buffer.alloc(0), since: [] };
      this.#change((names) => void names.set(name, made));
    }
    const content = this.#names.get(name);
    if (content === undefined) throw fault('ENOENT', name);
    return this.#handle(name, content);
  }

  async rename(from: string, to: string): Promise<void> {
    this.#step('rename', path.basename(to));
    const content = this.#names.get(path.basename(from));
    if (content === undefined) throw fault('ENOENT', from);
    this.#change((names) => {
      names.delete(path.basename(from));
      names.set(path.basename(to), content);
    });
  }

  async unlink(file: string): Promise<void> {
    this.#step('unlink', path.basename(file));
    if (!this.#names.has(path.basename(file))) throw fault('ENOENT', file);
    this.#change((names) => void names.delete(path.basename(file)));
  }

  async list(): Promise<string[]> {
    return [...this.#names.keys()];
  }

  async makeFolder(): Promise<void> {}

  async syncFolder(folder: string): Promise<void> {
    this.#step('syncFolder', path.basename(folder));
    this.#syncedNames = new Map(this.#names);
    this.#unsynced = [];
  }

  lock(): { release(): void } {
    if (this.#isLocked) throw new Error('the folder is locked');
    this.#isLocked = true;
    return {
      release: () => {
        this.#isLocked = false;
      },
    };
  }

  #handle(name: string, content: Content): JournalFile {
    return {
      read: async (into, at, length, position) => content.now.copy(into, at, position, position + length),
      write: async (from, at, length, position) => {
        this.#step('write', name);
        const used = [...this.files.values()].reduce((sum, bytes) => sum + bytes.length, 0);
        const room = Math.max(0, content.now.length + this.capacityBytes - used - position);
        const written = Math.min(length, room);
        if (written <= 0) throw fault('ENOSPC', name);
        const grown = Buffer.alloc(Math.max(content.now.length, position + written));
        content.now.copy(grown);
        grown.set(from.subarray(at, at + written), position);
        content.since.push(content.now);
        content.now = grown;
        return written;
      },
      size: async () => content.now.length,
      truncate: async (length) => {
        this.#step('truncate', name);
        content.since.push(content.now);
        content.now = Buffer.from(content.now.subarray(0, length));
      },
      datasync: async () => {
        this.#step('datasync', name);
        content.synced = content.now;
        content.since = [];
      },
      close: async () => {},
    };
  }

  #change(change: (names: Names) => void): void {
    change(this.#names);
    this.#unsynced.push(change);
  }

  #step(operation: string, name: string): void {
    this.steps += 1;
    if (this.steps >= this.crashAtStep) throw fault('EIO', 'the power is gone');
    this.onStep(operation, name);
  }
}

function torn({ synced, now: latest, since }: Content, random: Random): Buffer {
  if (synced === latest) return synced;
  const now = since[Math.floor(random.float() * 2 * since.length)] ?? latest;
  const [short, long] = [Math.min(synced.length, now.length), Math.max(synced.length, now.length)];
  const bytes = Buffer.alloc(short + Math.floor(random.float() * (long - short + 1)));
  const isWhole = random.float() < 0.2;
  for (let at = 0; at < bytes.length; at += TORN_BYTES) {
    const source = isWhole || random.float() < 0.7 ? now : synced;
    if (at < source.length) source.copy(bytes, at, at, at + TORN_BYTES);
  }
  return bytes;
}
