/**
 * What zod found wrong, in words for whoever wrote the file: what was expected there, what came, what was meant.
 *
 * W1: a value under `token` or `password` is never shown: somebody may have written the secret itself there.
 * W2: what is shown of the file is cut short and escaped: it ends up in terminals and logs.
 */
import type { z } from 'zod';
import { clusterJsonSchema, type SchemaNode } from './cluster-json-schema.ts';
import { nearMiss } from './near-miss.ts';
import type { Anchor } from './yaml-source.ts';

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

export interface PlacedProblem {
  readonly path: Path;
  readonly anchor: Anchor;
  readonly message: string;
}

const SHOWN_CHARS_MAX = 60;
const SECRET_KEYS: ReadonlySet<PropertyKey> = new Set(['token', 'password']);
/** What zod says of a union whose schema says nothing itself. */
const UNION_WITHOUT_WORDS = 'Invalid input';

/** @param input the value that was checked */
export function schemaProblems(issues: readonly Issue[], input: unknown): PlacedProblem[] {
  return issues.flatMap((issue) => problemsOf(issue, issue.path, input));
}

/** `groups[0].appServers[1].listen`; '' is the whole file. */
export function pathText(path: Path): string {
  const steps = path.map((step) => {
    if (typeof step === 'number') return `[${step}]`;
    const name = String(step);
    return /^[\w-]{1,64}$/.test(name) ? `.${name}` : `[${shown(name)}]`;
  });
  return steps.join('').replace(/^\./, '');
}

/** A value of the file in a few characters, on one line (W2). */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= SHOWN_CHARS_MAX ? text : `${text.slice(0, SHOWN_CHARS_MAX)}…`;
}

/** @param path of the issue in the whole file: inside a union, zod's own begins at the union */
function problemsOf(issue: Issue, path: Path, input: unknown): PlacedProblem[] {
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKey([...path, key], namesAt(path, input)));
    case 'invalid_key':
      return [
        {
          path,
          anchor: 'key',
          message: `${issue.issues[0]?.message ?? 'expected another key'}, came ${shown(path.at(-1))}`,
        },
      ];
    case 'invalid_union':
      return issue.discriminator === undefined
        ? unionProblems(issue, path, input)
        : [discriminatorProblem(issue, path, input)];
    case 'custom':
    case 'invalid_format':
      return [{ path, anchor: 'value', message: `${issue.message}, came ${came(path, input)}` }];
    default:
      return [valueProblem(path, input)];
  }
}

function unknownKey(path: Path, names: readonly string[]): PlacedProblem {
  const meant = nearMiss(String(path.at(-1)), names);
  const question = meant === undefined ? '' : `; did you mean \`${meant}\`?`;
  const expected =
    names.length === 0 ? 'expected no key here' : `expected ${names.length === 1 ? '' : 'one of '}${names.join(', ')}`;
  return { path, anchor: 'key', message: `unknown key: ${expected}${question}` };
}

/** Of a value that is missing, of the wrong type, or out of its range. */
function valueProblem(path: Path, input: unknown): PlacedProblem {
  const node = nodeAt(path, input);
  if (path.length > 0 && valueAt(path, input) === undefined) return missing(path, expectedOf(node), node?.description);
  return {
    path,
    anchor: 'value',
    message: `expected ${expectedOf(node)}, came ${came(path, input)}${hintOf(path, input, node)}`,
  };
}

function missing(path: Path, expected: string, description?: string): PlacedProblem {
  const meaning = description === undefined ? '' : ` (${description})`;
  return { path, anchor: 'parent', message: `missing: expected ${expected}${meaning}, came nothing` };
}

function discriminatorProblem(
  issue: Extract<Issue, { code: 'invalid_union' }>,
  path: Path,
  input: unknown,
): PlacedProblem {
  const options = 'options' in issue ? (issue.options ?? []) : [];
  const node: SchemaNode = { enum: options };
  if (valueAt(path, input) === undefined) return missing(path, expectedOf(node));
  return {
    path,
    anchor: 'value',
    message: `expected ${expectedOf(node)}, came ${came(path, input)}${hintOf(path, input, node)}`,
  };
}

/** Our unions of mappings differ by their one key: what is wrong is said of the alternative whose key is there. */
function unionProblems(issue: Extract<Issue, { code: 'invalid_union' }>, path: Path, input: unknown): PlacedProblem[] {
  const value = valueAt(path, input);
  const node = nodeAt(path, input);
  const expected = issue.message === UNION_WITHOUT_WORDS ? `expected ${expectedOf(node)}` : issue.message;
  if (value === undefined) return [missing(path, expected.replace(/^expected /, ''), node?.description)];
  const whole: PlacedProblem = { path, anchor: 'value', message: `${expected}, came ${came(path, input)}` };
  if (!isMapping(value)) return [whole];
  const alternatives = (node?.anyOf ?? []).map((option) => Object.keys(option.properties ?? {}));
  const names = alternatives.flat();
  const given = Object.keys(value);
  const unknown = given.filter((key) => !names.includes(key));
  if (unknown.length > 0) return unknown.map((key) => unknownKey([...path, key], names));
  if (given.length !== 1) return [whole];
  const chosen = alternatives.findIndex((keys) => keys.includes(given[0] ?? ''));
  return (issue.errors[chosen] ?? []).flatMap((inner) => problemsOf(inner, [...path, ...inner.path], input));
}

// ---- what stands at a path, in the schema and in the file

function nodeAt(path: Path, input: unknown): SchemaNode | undefined {
  let node: SchemaNode | undefined = clusterJsonSchema();
  let value = input;
  for (const step of path) {
    if (node === undefined) return undefined;
    node = childOf(alternativeOf(node, value), step);
    value = stepInto(value, step);
  }
  return node;
}

function childOf(node: SchemaNode, step: PropertyKey): SchemaNode | undefined {
  if (typeof step === 'number') return node.items;
  const name = String(step);
  if (node.properties !== undefined && Object.hasOwn(node.properties, name)) return node.properties[name];
  return typeof node.additionalProperties === 'object' ? node.additionalProperties : undefined;
}

/** Of alternatives, the one that the file's mapping means: by a constant such as `kind`, else by a key it has. */
function alternativeOf(node: SchemaNode, value: unknown): SchemaNode {
  const options = node.oneOf ?? node.anyOf;
  if (options === undefined || !isMapping(value)) return node;
  const sameKind = ({ properties = {} }: SchemaNode): boolean =>
    Object.entries(properties).some(([key, child]) => child.const !== undefined && child.const === value[key]);
  const sharesKey = ({ properties = {} }: SchemaNode): boolean =>
    Object.keys(properties).some((key) => Object.hasOwn(value, key));
  return options.find(sameKind) ?? options.find(sharesKey) ?? node;
}

function namesAt(path: Path, input: unknown): string[] {
  const node = nodeAt(path, input);
  return node === undefined ? [] : Object.keys(alternativeOf(node, valueAt(path, input)).properties ?? {});
}

function valueAt(path: Path, input: unknown): unknown {
  return path.reduce(stepInto, input);
}

function stepInto(value: unknown, step: PropertyKey): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, step)
    ? Reflect.get(value, step)
    : undefined;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

// ---- words

/** e.g. `a whole number from 1 to 100`, `"round-robin", "random" or "least-loaded"`. */
function expectedOf(node: SchemaNode | undefined): string {
  if (node === undefined) return 'nothing';
  if (node.const !== undefined) return shown(node.const);
  if (node.enum !== undefined) return eitherOf(node.enum.map(shown));
  const options = node.anyOf ?? node.oneOf;
  if (options !== undefined) return eitherOf(options.map(expectedOf));
  switch (node.type) {
    case 'integer':
      return `a whole number${rangeText(node.minimum, node.maximum, 'from')}`;
    case 'number':
      return `a number${rangeText(node.minimum ?? node.exclusiveMinimum, node.maximum, node.minimum === undefined ? 'above' : 'from')}`;
    case 'string':
      return `text${rangeText(node.minLength, node.maxLength, 'of', ' characters')}`;
    case 'array':
      return `a list${rangeText(node.minItems, node.maxItems, 'of', ' entries')}`;
    case 'boolean':
      return 'true or false';
    default:
      return 'a mapping';
  }
}

function rangeText(
  least: number | undefined,
  most: number | undefined,
  word: 'from' | 'above' | 'of',
  unit = '',
): string {
  const hasMost = most !== undefined && most < Number.MAX_SAFE_INTEGER; // zod's own limit says nothing to a reader
  if (least !== undefined && hasMost) return ` ${word} ${least} to ${most}${unit}`;
  if (least !== undefined) return ` of at least ${least}${unit}`;
  return hasMost ? ` of at most ${most}${unit}` : '';
}

function eitherOf(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

function came(path: Path, input: unknown): string {
  const value = valueAt(path, input);
  if (value === undefined) return 'an empty file';
  if (value === null) return 'no value';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`;
  if (isMapping(value)) {
    const keys = Object.keys(value);
    return keys.length === 0 ? 'an empty mapping' : `a mapping of ${shown(keys.join(', '))}`;
  }
  if (path.some((step) => SECRET_KEYS.has(step))) return `a ${typeof value} (not shown)`; // W1
  return typeof value === 'string' ? `text ${shown(value)}` : shown(value);
}

function hintOf(path: Path, input: unknown, node: SchemaNode | undefined): string {
  const value = valueAt(path, input);
  if (typeof value !== 'string' || node === undefined) return '';
  const meant = node.enum === undefined ? undefined : nearMiss(value, node.enum.map(String));
  if (meant !== undefined) return `; did you mean \`${meant}\`?`;
  const isNumeric = value.trim() !== '' && Number.isFinite(Number(value));
  return isNumeric && (node.type === 'integer' || node.type === 'number') ? '; write it without quotes' : '';
}
