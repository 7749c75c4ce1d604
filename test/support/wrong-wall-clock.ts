/**
 * Preloaded into a server's process by a test (`node --import`): its wall clock is wrong by as many milliseconds as the
 * file named for the server says, from the start or from one moment to the next. The monotonic clock is left alone, as
 * by a system whose time is set.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';

/** The folder with one file for each server whose clock is wrong. */
export const WRONG_CLOCKS_FOLDER = 'TRUNKLINE_TEST_WRONG_CLOCKS';

const LOOK_EVERY_MS = 10;

const folder = process.env[WRONG_CLOCKS_FOLDER];
const serverId = process.argv[process.argv.indexOf('--id') + 1];
if (folder !== undefined && serverId !== undefined && process.argv.includes('--id')) {
  setWrong(path.join(folder, serverId));
}

function setWrong(file: string): void {
  let offsetMs = 0;
  const look = (): void => {
    try {
      offsetMs = Number(readFileSync(file, 'utf8'));
    } catch {
      offsetMs = 0; // right, or being written
    }
  };
  look();
  setInterval(look, LOOK_EVERY_MS).unref();
  const RightDate = globalThis.Date;
  class WrongDate extends RightDate {
    constructor(...given: readonly unknown[]) {
      super(...((given.length === 0 ? [RightDate.now() + offsetMs] : given) as [number]));
    }

    static override now(): number {
      return RightDate.now() + offsetMs;
    }
  }
  globalThis.Date = WrongDate as DateConstructor;
}
