/**
 * Turns a stream of JSON strings, one a line, into a stream of answers, one a line, as fast as they come.
 *
 * N1: memory stays flat whatever comes: a block of input at a time, lines up to LINE_BYTES_MAX, and the reader waits
 *     for the writer.
 * N2: every well-formed line has its answer, in order, whatever the others are.
 */
import type { Readable, Writable } from 'node:stream';

/** A key of 256 characters takes 1.5 KiB when every one is an escape. */
export const LINE_BYTES_MAX = 1024 * 1024;
/** Malformed lines that are named; the rest is counted. */
export const COMPLAINTS_MAX = 20;

export interface LineProblems {
  readonly count: number;
  /** The first ones, e.g. `line 7: expected …`. */
  readonly lines: readonly string[];
}

const NEWLINE = 0x0a;

/**
 * @param answer called with each key; gives the line to write, without its newline
 * @throws what `output` fails with, unless its reader has simply gone (`| head`)
 */
export async function routeLines(
  input: Readable,
  output: Writable,
  answer: (key: string) => string,
): Promise<LineProblems> {
  const reader = new KeyLines(answer);
  let failure: NodeJS.ErrnoException | undefined;
  let wake = (): void => {};
  const onRoom = (): void => wake();
  const onError = (error: NodeJS.ErrnoException): void => {
    failure = error;
    wake();
  };
  output.on('error', onError).on('drain', onRoom);
  for await (const block of input) {
    const isRoomLeft = output.write(reader.take(block as Buffer));
    if (!isRoomLeft && failure === undefined) await new Promise<void>((resolve) => (wake = resolve)); // N1
    if (failure !== undefined) break;
  }
  // The last write ends after all others: whatever fails has failed by then.
  if (failure === undefined) failure = await written(output, reader.end());
  if (failure !== undefined && failure.code !== 'EPIPE') throw failure;
  return reader.problems;
}

function written(output: Writable, text: string): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => output.write(text, (error) => resolve(error ?? undefined)));
}

class KeyLines {
  readonly #answer: (key: string) => string;
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  readonly #problemLines: string[] = [];
  #problemCount = 0;
  #lineNumber = 0;
  /** The beginning of a line whose end has not come yet, in pieces. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;

  constructor(answer: (key: string) => string) {
    this.#answer = answer;
  }

  get problems(): LineProblems {
    return { count: this.#problemCount, lines: this.#problemLines };
  }

  /** @returns the answers to every line that ends in this block */
  take(block: Buffer): string {
    const lastNewline = block.lastIndexOf(NEWLINE);
    if (lastNewline === -1) {
      this.#keep(block);
      return '';
    }
    const lines =
      this.#pendingBytes === 0 ? block.subarray(0, lastNewline + 1) : this.#joined(block.subarray(0, lastNewline + 1));
    const answers = this.#answers(lines);
    this.#keep(block.subarray(lastNewline + 1));
    return answers;
  }

  /** @returns the answer to a last line without a newline */
  end(): string {
    return this.#pendingBytes === 0 ? '' : this.#answers(this.#joined(Buffer.of(NEWLINE)));
  }

  #keep(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#pendingBytes += piece.length;
    // Of a line that is too long nothing more is needed than that it is (N1).
    if (this.#pendingBytes <= LINE_BYTES_MAX) this.#pending.push(piece);
    else this.#pending = [];
  }

  #joined(piece: Buffer): Buffer {
    const isTooLong = this.#pendingBytes > LINE_BYTES_MAX;
    const whole = isTooLong ? piece.subarray(piece.indexOf(NEWLINE) + 1) : Buffer.concat([...this.#pending, piece]);
    if (isTooLong) {
      this.#lineNumber += 1;
      this.#complain(`expected at most ${LINE_BYTES_MAX} bytes, came more`);
    }
    this.#pending = [];
    this.#pendingBytes = 0;
    return whole;
  }

  /** @param lines whole ones, each with its newline */
  #answers(lines: Buffer): string {
    if (lines.length === 0) return '';
    let text: string;
    try {
      text = this.#utf8.decode(lines);
    } catch {
      return this.#answersOneByOne(lines);
    }
    const answers: string[] = [];
    for (let from = 0; from < text.length; ) {
      const to = text.indexOf('\n', from);
      this.#answerInto(answers, text.slice(from, to));
      from = to + 1;
    }
    return answers.join('');
  }

  /** Somewhere in these lines is what is no UTF-8: finds out in which. */
  #answersOneByOne(lines: Buffer): string {
    const answers: string[] = [];
    for (let from = 0; from < lines.length; ) {
      const to = lines.indexOf(NEWLINE, from);
      let line: string | undefined;
      try {
        line = this.#utf8.decode(lines.subarray(from, to));
      } catch {
        this.#lineNumber += 1;
        this.#complain('expected UTF-8, came other bytes; write a lone surrogate as an escape, e.g. "\\ud800"');
      }
      if (line !== undefined) this.#answerInto(answers, line);
      from = to + 1;
    }
    return answers.join('');
  }

  #answerInto(answers: string[], line: string): void {
    this.#lineNumber += 1;
    let key: unknown;
    try {
      key = JSON.parse(line);
    } catch {
      this.#complain(
        line.trim() === '' ? 'expected a JSON string, came an empty line' : `expected a JSON string, came ${cut(line)}`,
      );
      return;
    }
    // N2
    if (typeof key === 'string') answers.push(this.#answer(key), '\n');
    else this.#complain(`expected a JSON string, came ${cut(line)}`);
  }

  #complain(message: string): void {
    this.#problemCount += 1;
    if (this.#problemLines.length < COMPLAINTS_MAX) this.#problemLines.push(`line ${this.#lineNumber}: ${message}`);
  }
}

/** A line as it may be shown in a terminal. */
function cut(line: string): string {
  const shown = JSON.stringify(line.length > 60 ? `${line.slice(0, 60)}…` : line);
  return shown.slice(1, -1).replaceAll('\\"', '"');
}
