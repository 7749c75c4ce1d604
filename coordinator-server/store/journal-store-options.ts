/** What a journal's store is opened with. */
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import type { Random } from '../../shared/random.ts';
import type { JournalFiles } from '../journal/journal-files.ts';

export interface JournalStoreOptions {
  readonly folder: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly flushEveryMs?: number | undefined;
  /** Domains whose writes are answered before they are durable: names, or beginnings of names and `*`. */
  readonly asyncDomains?: readonly string[] | undefined;
  /** Journal bytes after which a snapshot is made. */
  readonly snapshotAfterBytes?: number | undefined;
  /** Default: the system's. */
  readonly files?: JournalFiles | undefined;
  /** As the journal's: what is to become of an error after which nobody knows what is on the disk. */
  readonly onFatal?: ((error: Error) => void) | undefined;
}
