/**
 * The file a server's output goes to. The server writes to it directly, so a dead parent loses nothing; this side only
 * keeps it bounded: `x.log` up to LOG_BYTES_MAX and one older part, `x.log.1`.
 */
import fs from 'node:fs';
import path from 'node:path';

/** A few hours of a busy server; ten servers then hold at most 640 MiB. */
export const LOG_BYTES_MAX = 32 * 1024 * 1024;

export class ServerLog {
  readonly file: string;
  readonly #bytesMax: number;
  readonly fd: number;

  constructor(file: string, bytesMax: number = LOG_BYTES_MAX) {
    this.file = file;
    this.#bytesMax = bytesMax;
    fs.mkdirSync(path.dirname(file), { recursive: true });
    if (fs.existsSync(file)) fs.renameSync(file, `${file}.1`);
    this.fd = fs.openSync(file, 'a');
  }

  /**
   * Moves what is there to the older part once it is over the bound. The server's descriptor stays the same (it appends,
   * so it goes on at the new end); lines written between the copy and the cut are lost, which a log can bear.
   */
  trim(): void {
    if (fs.fstatSync(this.fd).size <= this.#bytesMax) return;
    fs.copyFileSync(this.file, `${this.file}.1`);
    fs.ftruncateSync(this.fd);
  }

  close(): void {
    fs.closeSync(this.fd);
  }
}
