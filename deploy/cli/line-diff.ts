/** What differs between two texts, line by line, for people. Pure. */
import { diff } from 'node:util';

/** Lines shown around a difference. */
const AROUND = 2;
/** Nobody reads more at a terminal. */
export const DIFF_LINES_MAX = 200;

/** @returns lines that begin with `- `, `+ ` or two spaces, `…` for what is left out; none when the texts are equal */
export function lineDiff(before: string, after: string): string[] {
  const entries = diff(before.split('\n'), after.split('\n'));
  const near = new Set<number>();
  for (const [index, [kind]] of entries.entries()) {
    if (kind === 0) continue;
    for (let at = index - AROUND; at <= index + AROUND; at++) near.add(at);
  }
  const lines: string[] = [];
  let skipped = false;
  for (const [index, [kind, line]] of entries.entries()) {
    if (!near.has(index)) {
      skipped = true;
      continue;
    }
    if (skipped) lines.push('…');
    skipped = false;
    lines.push(`${MARKS[kind]} ${line}`);
  }
  if (lines.length <= DIFF_LINES_MAX) return lines;
  return [...lines.slice(0, DIFF_LINES_MAX), `… and ${lines.length - DIFF_LINES_MAX} lines more`];
}

/** `diff` calls 1 what only `before` has. */
const MARKS = { [-1]: '+', 0: ' ', 1: '-' } as const;
