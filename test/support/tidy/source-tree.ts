/** The project's own files, read once, with what the house rules ask of them: code without comments, imports, heads. */
import fs from 'node:fs';
import path from 'node:path';
import { blankComments, blankCommentsAndStrings } from './blank-code.ts';

export interface ImportedModule {
  readonly specifier: string;
  /** `import type`, or only `type` names: gone at run time. */
  readonly typeOnly: boolean;
}

export interface SourceFile {
  /** Relative to the root, with '/'. */
  readonly path: string;
  readonly text: string;
  /** The text with comments and the insides of strings blanked. */
  readonly code: string;
  readonly imports: readonly ImportedModule[];
  /** Relative `.ts` paths in strings (`new URL('./worker.ts', …)`), resolved like imports. */
  readonly mentionedFiles: readonly string[];
}

const NOT_OURS = new Set(['node_modules', '.git', '.runtime', 'data']);

/** @returns every file of the project, relative to `root` */
export function listFiles(root: string, folder = ''): string[] {
  return fs.readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) return NOT_OURS.has(entry.name) ? [] : listFiles(root, name);
    return entry.isFile() ? [name] : [];
  });
}

export function readSources(root: string): SourceFile[] {
  return listFiles(root)
    .filter((file) => file.endsWith('.ts'))
    .map((file) => sourceFile(file, fs.readFileSync(path.join(root, file), 'utf8')));
}

export function sourceFile(file: string, text: string): SourceFile {
  const withStrings = blankComments(text);
  return {
    path: file,
    text,
    code: blankCommentsAndStrings(text),
    imports: importsOf(withStrings),
    mentionedFiles: [...withStrings.matchAll(/['"`](\.{0,2}\/?[\w./-]+\.ts)['"`]/g)].map((match) => match[1] ?? ''),
  };
}

function importsOf(code: string): ImportedModule[] {
  const statements = code.matchAll(
    /^\s*(?:import|export)\s+((?:type\s+)?(?:[\w*{][^;'"]*?\sfrom\s+)?)['"]([^'"]+)['"]/gm,
  );
  const calls = code.matchAll(/\b(?:import|requirePackage)\(\s*['"]([^'"]+)['"]\s*\)/g);
  return [
    ...[...statements].map(([, clause = '', specifier = '']) => ({ specifier, typeOnly: isTypeOnly(clause) })),
    ...[...calls].map(([, specifier = '']) => ({ specifier, typeOnly: false })),
  ];
}

function isTypeOnly(clause: string): boolean {
  if (clause.startsWith('type ')) return true;
  const names = /^\{([^}]*)\}/.exec(clause.trim())?.[1];
  if (names === undefined) return false;
  const list = names.split(',').map((name) => name.trim());
  return list.every((name) => name === '' || name.startsWith('type '));
}

/** Path, relative to the root, of a relative or `#sdk` specifier; undefined for packages. */
export function resolveImport(from: string, specifier: string): string | undefined {
  if (specifier === '#sdk') return 'app-server/sdk/sdk.ts';
  if (!specifier.startsWith('.')) return undefined;
  return path.posix.normalize(path.posix.join(path.posix.dirname(from), specifier));
}

/** Package of a specifier: `mysql2/promise` → `mysql2`; undefined for node:, relative and '#' ones. */
export function packageOf(specifier: string): string | undefined {
  if (/^(node:|\.|#)/.test(specifier)) return undefined;
  const parts = specifier.split('/');
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0];
}
