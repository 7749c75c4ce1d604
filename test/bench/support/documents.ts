/** The figures in our documents: blocks between markers that are written from results, never by hand. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type BenchResult, headlinesMarkdown, newestResults, resultMarkdown } from './result.ts';

const CHECKOUT = path.resolve(import.meta.dirname, '../../..');

/** Document → name of the block → what stands in it. */
export function documentBlocks(results: readonly BenchResult[]): Map<string, Map<string, string>> {
  return new Map([
    ['docs/performance.md', new Map(results.map((result) => [result.part, resultMarkdown(result)]))],
    ['README.md', new Map([['speed', headlinesMarkdown(results)]])],
  ]);
}

/** @returns the text with `content` between `<!-- name -->` and `<!-- /name -->` */
export function replaceBlock(text: string, name: string, content: string): string {
  const [first, last] = [`<!-- ${name} -->\n`, `<!-- /${name} -->`];
  const [from, to] = [text.indexOf(first), text.indexOf(last)];
  assert.ok(from !== -1 && to > from, `expected the markers ${first.trim()} and ${last}`);
  return text.slice(0, from + first.length) + content + text.slice(to);
}

/** The document as it should be; the same as it is when nothing was measured since. */
export function documentText(file: string, blocks: ReadonlyMap<string, string>): string {
  let text = fs.readFileSync(path.join(CHECKOUT, file), 'utf8');
  for (const [name, content] of blocks) text = replaceBlock(text, name, content);
  return text;
}

export function updateDocuments(): void {
  for (const [file, blocks] of documentBlocks(newestResults())) {
    fs.writeFileSync(path.join(CHECKOUT, file), documentText(file, blocks));
  }
}
