/** Reads what tests compare with the code out of our Markdown: sections, tables, fenced blocks. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

const CHECKOUT = path.resolve(import.meta.dirname, '../..');

/** @param file relative to the checkout */
export function readDocument(file: string): string {
  return fs.readFileSync(path.join(CHECKOUT, file), 'utf8');
}

/** Text under a heading, up to the next one of the same or a higher level. @param heading with its `#` marks */
export function sectionOf(text: string, heading: string): string {
  const lines = text.split('\n');
  const first = lines.indexOf(heading);
  assert.notEqual(first, -1, `expected a heading "${heading}"`);
  const level = /^#+/.exec(heading)?.[0].length ?? 0;
  const rest = lines.slice(first + 1);
  const end = rest.findIndex((line) => /^#+ /.test(line) && line.indexOf(' ') <= level);
  return rest.slice(0, end === -1 ? undefined : end).join('\n');
}

/** Rows of the one table whose first heading cells are these; cells without white space around and without backticks. */
export function tableOf(text: string, headings: readonly string[]): string[][] {
  const tables = text.split('\n').reduce<string[][][]>(
    (found, line) => {
      if (!line.startsWith('|')) found.push([]);
      else found.at(-1)?.push(cellsOf(line));
      return found;
    },
    [[]],
  );
  const matching = tables.filter((table) => headings.every((heading, column) => table[0]?.[column] === heading));
  assert.equal(matching.length, 1, `expected one table with the headings ${headings.join(', ')}`);
  return matching[0]?.slice(2) ?? [];
}

function cellsOf(line: string): string[] {
  return line
    .replace(/^\|/, '')
    .replace(/\|\s*$/, '')
    .split('|')
    .map((cell) => cell.trim().replaceAll('`', ''));
}

export interface Fence {
  /** What stands behind the opening backticks, e.g. `ts title=services/greeting/service.ts`. */
  readonly info: string;
  readonly text: string;
  /** Of its opening line, from 1. */
  readonly line: number;
}

/** Fenced blocks, also those that are indented in a list: their text is without the indent. */
export function fencesOf(text: string): Fence[] {
  const fences: Fence[] = [];
  let open: { info: string; line: number; indent: string; lines: string[] } | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const [, indent = '', info] = /^( *)```(.*)$/.exec(line) ?? [];
    if (open === undefined) {
      if (info !== undefined) open = { info: info.trim(), line: index + 1, indent, lines: [] };
    } else if (line === `${open.indent}\`\`\``) {
      fences.push({ info: open.info, line: open.line, text: open.lines.map((one) => `${one}\n`).join('') });
      open = undefined;
    } else {
      open.lines.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line);
    }
  }
  assert.equal(open, undefined, `the fence of line ${open?.line} has no end`);
  return fences;
}

const UNITS: Readonly<Record<string, number>> = { '': 1, ms: 1, s: 1000, KiB: 1024, MiB: 1024 * 1024 };

/** e.g. `16,384`, `8 MiB` or `3 s`, in bytes or milliseconds. */
export function amountOf(value: string): number {
  const [number = '', unit = ''] = value.replaceAll(',', '').split(' ');
  assert.ok(unit in UNITS, `unit of ${value}`);
  return Number(number) * (UNITS[unit] ?? Number.NaN);
}
