/** The house rules no linter knows. Each takes files and returns complaints, one sentence each; none means tidy. */
import path from 'node:path';
import { packageOf, resolveImport, type SourceFile } from './source-tree.ts';

export type Complaint = string;

/** Files longer than this hold a second idea. The aim is 300; this is where it stops being a matter of taste. */
export const LINES_MAX = 400;

const isTest = (file: SourceFile): boolean => file.path.startsWith('test/');

/**
 * Doors: outside test/, an npm package with I/O is imported at run time by exactly the file named for it.
 * @param doors package → its one file; '*' → any file (no I/O in it)
 */
export function doorComplaints(files: readonly SourceFile[], doors: Readonly<Record<string, string>>): Complaint[] {
  return files
    .filter((file) => !isTest(file))
    .flatMap((file) =>
      file.imports
        .filter((imported) => !imported.typeOnly)
        .flatMap(({ specifier }) => {
          const name = packageOf(specifier);
          if (name === undefined) return [];
          const door = doors[name];
          if (door === undefined) return [`${file.path} imports ${name}, which has no door in test/tidy.test.ts`];
          return door === '*' || door === file.path ? [] : [`${file.path} imports ${name}; its door is ${door}`];
        }),
    );
}

const TIME_AND_CHANCE: readonly (readonly [pattern: RegExp, what: string])[] = [
  [/\bDate\s*\.\s*now\b|\bnew\s+Date\s*\(\s*\)|(?<!new\s)\bDate\s*\(/, 'the date'],
  [/(?<![.#\w])(setTimeout|setInterval|setImmediate)\s*\(/, 'a timer'],
  [/\bperformance\s*\.\s*now\b|\bhrtime\b/, 'the time'],
  [/\bMath\s*\.\s*random\b|(?<![.#\w])(randomBytes|randomUUID|randomInt|getRandomValues)\s*\(/, 'randomness'],
];

/** Time and chance come from shared/clock.ts and shared/random.ts, so that they can be replaced. */
export function clockComplaints(files: readonly SourceFile[]): Complaint[] {
  const allowed = ['shared/clock.ts', 'shared/random.ts'];
  return files
    .filter((file) => !isTest(file) && !allowed.includes(file.path))
    .flatMap((file) => [
      ...TIME_AND_CHANCE.filter(([pattern]) => pattern.test(file.code)).map(
        ([, what]) => `${file.path} asks the system for ${what}; ask a Clock or a Random`,
      ),
      ...file.imports
        .filter(({ specifier }) => /^node:timers/.test(specifier))
        .map(() => `${file.path} imports node:timers; ask a Clock`),
    ]);
}

const HEAD = /^(?:#![^\n]*\n)?\s*\/\*\*[\s\S]*?\*\//;
const LISTED = /^\s*\*\s+([A-Z]{1,2}\d{1,2}):\s/gm;

/**
 * An invariant listed in a file's head is cited by the lines that keep it: in the file, or in a file that imports it and
 * lists none of that name itself.
 */
export function invariantComplaints(files: readonly SourceFile[]): Complaint[] {
  return files.flatMap((file) => {
    const head = HEAD.exec(file.text)?.[0] ?? '';
    const keepers = files.filter((other) => importsFile(other, file.path)).map((other) => other.text);
    const rest = file.text.slice(head.length);
    return [...head.matchAll(LISTED)].flatMap(([, name = '']) => {
      const cites = new RegExp(`\\b${name}\\b`);
      const listsItself = new RegExp(`^\\s*\\*\\s+${name}:`, 'm');
      const isCited = cites.test(rest) || keepers.some((text) => cites.test(text) && !listsItself.test(text));
      return isCited ? [] : [`${file.path} lists ${name} in its head, and no line cites it`];
    });
  });
}

function importsFile(from: SourceFile, target: string): boolean {
  return from.imports.some(({ specifier }) => resolveImport(from.path, specifier) === target);
}

export function lengthComplaints(files: readonly SourceFile[]): Complaint[] {
  return files
    .map((file) => ({ file, lines: file.text.split('\n').length - 1 }))
    .filter(({ lines }) => lines > LINES_MAX)
    .map(({ file, lines }) => `${file.path} has ${lines} lines, over ${LINES_MAX}: look for the second idea in it`);
}

/** @param roots files that something outside the source starts: programs, tests, services found by folder */
export function unreachedComplaints(files: readonly SourceFile[], roots: (file: string) => boolean): Complaint[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const reached = new Set(files.map(({ path }) => path).filter(roots));
  for (const filePath of reached) {
    const file = byPath.get(filePath);
    if (file === undefined) continue;
    for (const target of targetsOf(file)) if (byPath.has(target)) reached.add(target);
  }
  return files
    .filter((file) => !reached.has(file.path))
    .map((file) => `${file.path} is reached by no program and no test`);
}

function targetsOf(file: SourceFile): string[] {
  const imported = file.imports.map(({ specifier }) => resolveImport(file.path, specifier) ?? '');
  const mentioned = file.mentionedFiles.flatMap((name) => [
    path.posix.normalize(name),
    path.posix.normalize(path.posix.join(path.posix.dirname(file.path), name)),
  ]);
  return [...imported, ...mentioned];
}

const KEBAB = /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|d))?\.ts$/;
const KEBAB_FOLDER = /^[a-z0-9]+(-[a-z0-9]+)*$/;
const VAGUE = /^(utils?|helpers?|managers?|commons?|misc|stuff|lib)$/;

/** @param filePaths of `.ts` files */
export function nameComplaints(filePaths: readonly string[]): Complaint[] {
  return filePaths.flatMap((filePath) => {
    const folders = filePath.split('/');
    const base = folders.pop() ?? '';
    const isKebab = KEBAB.test(base) && folders.every((folder) => KEBAB_FOLDER.test(folder));
    const vague = [...folders, base.replace(/\..*$/, '')]
      .flatMap((name) => name.split('-'))
      .filter((word) => VAGUE.test(word));
    return [
      ...(isKebab ? [] : [`${filePath}: expected kebab-case names`]),
      ...vague.map((word) => `${filePath}: '${word}' says nothing; name what it defines`),
    ];
  });
}

/**
 * A file with logic has a test: one at the mirrored path, one that imports it, or, for what only runs as a process of
 * its own, the one named for it. A part is tested through the file of its own room that is built from it.
 * @param processes file → the test that runs it as a process
 */
export function untestedComplaints(
  files: readonly SourceFile[],
  processes: Readonly<Record<string, string>>,
): Complaint[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const testPaths = new Set([...byPath.keys()].filter((file) => file.endsWith('.test.ts')));
  const hasMirror = (file: string): boolean =>
    ['unit', 'integration', 'fault'].some((kind) => testPaths.has(`test/${kind}/${file.replace(/\.ts$/, '.test.ts')}`));
  const partsOf = (file: string): string[] => {
    const source = byPath.get(file);
    return source === undefined ? [] : targetsOf(source);
  };
  const tested = new Set([...byPath.keys()].filter((file) => hasMirror(file) || testPaths.has(processes[file] ?? '')));
  for (const test of testPaths) for (const file of partsOf(test)) tested.add(file);
  for (const file of tested) for (const part of partsOf(file)) if (roomOf(part) === roomOf(file)) tested.add(part);
  return [
    ...files
      .filter((file) => !isTest(file) && hasLogic(file) && !tested.has(file.path))
      .map((file) => `${file.path} has no test: expected test/unit/${file.path.replace(/\.ts$/, '.test.ts')}`),
    ...Object.entries(processes)
      .filter(([file, test]) => !byPath.has(file) || !testPaths.has(test))
      .map(([file, test]) => `${file} is said to be run by ${test}: one of them does not exist`),
  ];
}

function roomOf(file: string): string {
  return file.split('/')[0] ?? '';
}

const TYPES_ONLY = /^(export )?(interface\b[\s\S]*?^\}|type\b[^=]*=\s*(\{[\s\S]*?^\}|[^;]*);?)/gm;

function hasLogic(file: SourceFile): boolean {
  return /\bfunction\b|\bclass\b|=>/.test(file.code.replace(TYPES_ONLY, ''));
}

/** A test that does not run says why. */
export function silencedTestComplaints(files: readonly SourceFile[]): Complaint[] {
  return files
    .filter(isTest)
    .flatMap((file) => [
      ...(/\b(test|it|describe|suite)\.only\b|\bonly:\s*true/.test(file.code)
        ? [`${file.path} runs only some tests (.only)`]
        : []),
      ...(/\b(test|it|describe|suite)\.(skip|todo)\b|\b(skip|todo):\s*true/.test(file.code)
        ? [`${file.path} silences a test without a reason: use { skip: 'why, and what makes it run' }`]
        : []),
    ]);
}

/** Somebody's own folders do not belong into the project. */
export function machinePathComplaints(texts: readonly { path: string; text: string }[]): Complaint[] {
  const machinePath = /(?:^|[\s'"`(=:])(\/(?:home|Users|work|tmp)\/[\w.-]+|\/root\/\.\w+)/m;
  return texts.flatMap(({ path, text }) => {
    const found = machinePath.exec(text)?.[1];
    return found === undefined ? [] : [`${path} names ${found}: a folder of one machine`];
  });
}
