/** The name somebody probably meant when they wrote another: for 'did you mean' in messages. */

/** Longer words are no near miss of any name here, and comparing costs their length squared. */
const WORD_CHARS_MAX = 64;

/**
 * @returns the nearest of `names`, or undefined when none is near: case, `-` and `_` never count,
 * and up to a third of the letters (at most 2) may be wrong, missing, extra or swapped
 */
export function nearMiss(word: string, names: readonly string[]): string | undefined {
  if (word.length > WORD_CHARS_MAX) return undefined;
  const plainWord = plain(word);
  let nearest: string | undefined;
  let nearestEdits = Number.POSITIVE_INFINITY;
  for (const name of names) {
    const plainName = plain(name);
    const editsMax = Math.min(2, Math.floor(plainName.length / 3));
    if (Math.abs(plainName.length - plainWord.length) > editsMax) continue;
    const edits = editsBetween(plainWord, plainName);
    if (edits <= editsMax && edits < nearestEdits) {
      nearest = name;
      nearestEdits = edits;
    }
  }
  return nearest;
}

function plain(word: string): string {
  return word.toLowerCase().replaceAll(/[-_]/g, '');
}

/** Letters put in, left out, replaced, or swapped with the next one (optimal string alignment). */
function editsBetween(from: string, to: string): number {
  const width = to.length + 1;
  const cells = new Array<number>((from.length + 1) * width).fill(0);
  const cell = (row: number, column: number): number => cells[row * width + column] ?? 0;
  for (let row = 0; row <= from.length; row += 1) {
    for (let column = 0; column <= to.length; column += 1) {
      cells[row * width + column] = row === 0 || column === 0 ? row + column : leastEdits(from, to, row, column, cell);
    }
  }
  return cell(from.length, to.length);
}

function leastEdits(
  from: string,
  to: string,
  row: number,
  column: number,
  cell: (row: number, column: number) => number,
): number {
  const same = from[row - 1] === to[column - 1];
  const edits = Math.min(
    cell(row - 1, column) + 1,
    cell(row, column - 1) + 1,
    cell(row - 1, column - 1) + (same ? 0 : 1),
  );
  const swapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
  return swapped ? Math.min(edits, cell(row - 2, column - 2) + 1) : edits;
}
