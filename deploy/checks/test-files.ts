/** Which files are tests, and which of them a person asked for. */
import fs from 'node:fs';
import path from 'node:path';

/** Run in this order. Files of one folder run beside each other as far as the machine allows. */
export const TEST_FOLDERS = ['test/unit', 'test/integration', 'test/fault'] as const;

/** @returns paths relative to `root`, with '/', sorted; `test/tidy.test.ts` and its like included */
export function findTestFiles(root: string): string[] {
  const inFolder = (folder: string, recursive: boolean): string[] =>
    fs.existsSync(path.join(root, folder))
      ? fs
          .readdirSync(path.join(root, folder), { recursive, encoding: 'utf8' })
          .filter((name) => name.endsWith('.test.ts'))
          .map((name) => `${folder}/${name.split(path.sep).join('/')}`)
      : [];
  return [...inFolder('test', false), ...TEST_FOLDERS.flatMap((folder) => inFolder(folder, true))].sort();
}

/** What gives a test its length: what imports it is longer in a soak. */
const LENGTH_GIVERS = ['/support/soak.ts', '/support/property-runs.ts'];

/** Of `files`, those that belong to a soak: all fault tests, and what else has two lengths, such as property tests. */
export function soakFiles(root: string, files: readonly string[]): string[] {
  return files.filter((file) => {
    if (file.startsWith('test/fault/')) return true;
    const text = fs.readFileSync(path.join(root, file), 'utf8');
    return LENGTH_GIVERS.some((giver) => new RegExp(`(from|import) '[./]+${giver}'`).test(text));
  });
}

/** @param patterns parts of paths, e.g. `shared/queue` or `test/unit/shared/queue.test.ts`; none: every file */
export function matchingFiles(files: readonly string[], patterns: readonly string[]): string[] {
  if (patterns.length === 0) return [...files];
  const parts = patterns.map((pattern) => pattern.replace(/^\.\//, ''));
  return files.filter((file) => parts.some((part) => file.includes(part)));
}
