/**
 * From a file, or a text, to a validated `ClusterConfig`, or to everything that is wrong with it and where.
 *
 * L1: what comes out `ok` has passed the schema and the rules between fields, and has every default filled in.
 * L2: at most PROBLEMS_MAX problems come out, in the order of the file; one more entry says how many there were besides.
 * L3: a file is read to its limit at most, whatever it is.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { checkSchema } from '../schema-check.ts';
import { clusterRuleProblems } from './cluster-rules.ts';
import { type ClusterConfig, clusterSchema } from './cluster-schema.ts';
import { type PlacedProblem, pathText, schemaProblems } from './schema-problems.ts';
import { parseYaml, type YamlSource } from './yaml-source.ts';

export interface ConfigProblem {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 code units. */
  readonly column: number;
  /** e.g. `groups[0].appServers[1].listen`; '' for the whole file, and for what is no YAML. */
  readonly path: string;
  /** What was expected and what came. */
  readonly message: string;
}

export type ConfigResult =
  | {
      readonly ok: true;
      readonly config: ClusterConfig;
      /** As it was read. */
      readonly text: string;
    }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

/** A cluster of 100 groups × 64 app servers, every key written out, has 0.6 MiB. */
export const CONFIG_BYTES_MAX = 1024 * 1024;
/** Nobody reads further before mending the first ones. */
export const PROBLEMS_MAX = 50;

/** @param file named in the problems; not read */
export function parseClusterConfig(text: string, file: string): ConfigResult {
  if (text.length > CONFIG_BYTES_MAX || Buffer.byteLength(text) > CONFIG_BYTES_MAX) return refused(file, tooLarge());
  const yaml = parseYaml(text);
  if (!yaml.ok)
    return { ok: false, problems: arranged(yaml.problems.map((problem) => ({ file, path: '', ...problem }))) };
  const input = yaml.source.value;
  const parsed = checkSchema(clusterSchema, input);
  if (parsed === undefined) return refused(file, 'expected a config, came a value that cannot be compared with any');
  const placed = parsed.success ? clusterRuleProblems(parsed.data) : schemaProblems(parsed.error.issues, input);
  if (parsed.success && placed.length === 0) return { ok: true, config: parsed.data, text }; // L1
  return { ok: false, problems: arranged(placed.map((problem) => located(problem, yaml.source, file))) };
}

/** A file that cannot be read is a problem too. */
export async function readClusterConfigFile(file: string): Promise<ConfigResult> {
  let bytes: Uint8Array;
  try {
    const handle = await open(file, 'r');
    try {
      bytes = await readAtMost(handle, CONFIG_BYTES_MAX + 1); // L3
    } finally {
      await handle.close();
    }
  } catch (error) {
    return refused(file, unreadable(error as NodeJS.ErrnoException));
  }
  if (bytes.length > CONFIG_BYTES_MAX) return refused(file, tooLarge());
  try {
    return parseClusterConfig(new TextDecoder('utf-8', { fatal: true }).decode(bytes), file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_ENCODING_INVALID_ENCODED_DATA') throw error;
    return refused(file, 'expected UTF-8 text, came other bytes; save the file as UTF-8');
  }
}

/** `file:line:column: path: message`, a line each. */
export function formatConfigProblems(problems: readonly ConfigProblem[]): string {
  return problems
    .map(
      ({ file, line, column, path, message }) =>
        `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`,
    )
    .join('\n');
}

async function readAtMost(handle: FileHandle, bytesMax: number): Promise<Uint8Array> {
  const bytes = Buffer.alloc(bytesMax);
  let filled = 0;
  while (filled < bytesMax) {
    const { bytesRead } = await handle.read(bytes, filled, bytesMax - filled, null);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

function unreadable(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ENOENT':
      return 'expected a file, there is none; copy deploy/clusters/local.yaml to begin with';
    case 'EISDIR':
      return 'expected a file, came a folder';
    case 'EACCES':
    case 'EPERM':
      return 'expected a file that this user may read, came one that it may not';
    default:
      return `expected a file that can be read: ${error.message}`;
  }
}

function tooLarge(): string {
  return `expected at most ${CONFIG_BYTES_MAX} bytes, came more`;
}

function refused(file: string, message: string): ConfigResult {
  return { ok: false, problems: [{ file, line: 1, column: 1, path: '', message }] };
}

function located({ path, anchor, message }: PlacedProblem, source: YamlSource, file: string): ConfigProblem {
  return { file, ...source.positionOf(path, anchor), path: pathText(path), message };
}

/** In the order of the file, each once, no more than a reader takes in. */
function arranged(problems: readonly ConfigProblem[]): ConfigProblem[] {
  const once = new Map(
    problems.map((problem) => [`${problem.line}:${problem.column}:${problem.path}:${problem.message}`, problem]),
  );
  const sorted = [...once.values()].sort((a, b) => a.line - b.line || a.column - b.column);
  const first = sorted[PROBLEMS_MAX];
  if (first === undefined) return sorted;
  const more = { ...first, path: '', message: `and ${sorted.length - PROBLEMS_MAX} more problems from here on` };
  return [...sorted.slice(0, PROBLEMS_MAX), more]; // L2
}
