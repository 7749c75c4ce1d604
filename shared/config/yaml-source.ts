/**
 * Door to the `yaml` package: the text of a config file as a plain value, and where each part of it stands.
 *
 * Y1: hostile text costs bounded time and memory: its values are counted with every alias written out, and its depth
 *     too, before anything walks it without counting.
 * Y2: nothing is guessed: an unknown tag, a key that stands twice, a second document are problems, never ignored.
 * Y3: no message quotes the text around a mistake, for there may be a secret in it.
 */
import type { Alias, Document, Node, Pair, YAMLMap, LineCounter as YamlLineCounter } from 'yaml';
import { requirePackage } from '../require-package.ts';

const yaml = requirePackage('yaml') as typeof import('yaml');
const { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } = yaml;

/** A cluster of 100 groups × 64 app servers has some 60,000 values. */
const VALUES_MAX = 200_000;
/** The schema is 6 deep. Also what ends the walk through an alias that contains itself. */
const DEPTH_MAX = 32;
/** Long messages of the parser quote names from the text: enough to see which. */
const SYNTAX_MESSAGE_CHARS_MAX = 200;

export interface Position {
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 code units. */
  readonly column: number;
}

export interface YamlProblem extends Position {
  readonly message: string;
}

/** What of a place in the file is meant: its key, its value, or, of something missing, what it is missing from. */
export type Anchor = 'key' | 'value' | 'parent';

export type YamlResult = { ok: true; source: YamlSource } | { ok: false; problems: YamlProblem[] };

type Pairs = ReadonlyMap<string, Pair<Node, Node | null>>;

export function parseYaml(text: string): YamlResult {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    schema: 'core', // whatever a %YAML line says: in 1.1, `no` is a boolean and 1:20 is a number
    resolveKnownTags: false, // Y2
    stringKeys: true,
    uniqueKeys: false, // theirs compares every key with every other; ours is in the walk below
    prettyErrors: false, // Y3
    logLevel: 'error',
  });
  const source = new YamlSource(document, lines);
  const found = [...document.errors, ...document.warnings];
  // A text too deep for the parser ends its own walk early; what it says after that is noise.
  const tooDeep = found.find(({ code }) => code === 'RESOURCE_EXHAUSTION');
  const syntax = (tooDeep === undefined ? found : [tooDeep]).map(({ code, message, pos }) => ({
    ...source.positionAt(pos[0]),
    message: syntaxMessage(code, message),
  }));
  const problems = syntax.length > 0 ? syntax : source.walk();
  return problems.length > 0 ? { ok: false, problems } : { ok: true, source };
}

function syntaxMessage(code: string, message: string): string {
  const firstLine = message.split('\n', 1)[0] ?? '';
  switch (code) {
    case 'RESOURCE_EXHAUSTION':
      return `expected at most ${DEPTH_MAX} levels of nesting, came far more`;
    case 'NON_STRING_KEY':
      return 'expected a plain name as key, came a list, a mapping or an alias';
    case 'MULTIPLE_DOCS':
      return 'expected one document, came a second one after `---`';
    case 'TAG_RESOLVE_FAILED':
      return 'expected a value without a tag, came one with a `!tag`';
    default:
      return `not YAML: ${firstLine.slice(0, SYNTAX_MESSAGE_CHARS_MAX)}`;
  }
}

export class YamlSource {
  readonly #document: Document.Parsed;
  readonly #lines: YamlLineCounter;
  readonly #targets = new Map<Alias, Node>();
  readonly #pairs = new Map<YAMLMap, Pairs>();

  constructor(document: Document.Parsed, lines: YamlLineCounter) {
    this.#document = document;
    this.#lines = lines;
  }

  /** The file as plain lists, objects and scalars; undefined for an empty file. */
  get value(): unknown {
    // -1: the walk has counted what the aliases come to (Y1).
    return this.#document.contents === null ? undefined : this.#document.toJS({ maxAliasCount: -1 });
  }

  positionAt(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  /** Where `path` stands; of a path that the file does not have, the deepest part that it does have. */
  positionOf(path: readonly PropertyKey[], anchor: Anchor): Position {
    let node = this.#resolved(this.#document.contents);
    let keyAt = startOf(node);
    let valueAt = keyAt;
    const wanted = anchor === 'parent' ? path.slice(0, -1) : path;
    for (const step of wanted) {
      const pair = isMap(node) ? this.#pairs.get(node)?.get(String(step)) : undefined;
      const child = isSeq(node) ? (node.items[Number(step)] as Node | undefined) : pair?.value;
      if (pair === undefined && child === undefined) return this.positionAt(keyAt);
      keyAt = pair === undefined ? startOf(child) : startOf(pair.key);
      valueAt = child === null || child === undefined ? keyAt : startOf(child);
      node = this.#resolved(child);
    }
    return this.positionAt(anchor === 'value' ? valueAt : keyAt);
  }

  /** Keeps Y1 and Y2 for what the parser let pass, and notes keys and anchors for later look-ups. */
  walk(): YamlProblem[] {
    const problems: YamlProblem[] = [];
    const anchors = new Map<string, Node>();
    const waiting: { node: Node; depth: number }[] = [];
    if (isNode(this.#document.contents)) waiting.push({ node: this.#document.contents, depth: 1 });
    let values = 0;
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const { node, depth } = next;
      values += 1;
      if (values > VALUES_MAX) {
        return [this.#problemAt(node, `expected at most ${VALUES_MAX} values, aliases written out, came more`)]; // Y1
      }
      if (depth > DEPTH_MAX) {
        const came = 'came more, or an alias that contains itself';
        return [this.#problemAt(node, `expected at most ${DEPTH_MAX} levels of nesting, ${came}`)]; // Y1
      }
      // Last first, so that they are taken up in the order of the text, as anchors need it.
      for (const child of this.#childrenOf(node, anchors, problems).reverse())
        waiting.push({ node: child, depth: depth + 1 });
    }
    return problems;
  }

  #childrenOf(node: Node, anchors: Map<string, Node>, problems: YamlProblem[]): Node[] {
    if (isAlias(node)) {
      // What it meant where it stands: an anchor may be set again further down.
      const target = this.#targets.get(node) ?? anchors.get(node.source);
      if (target === undefined) {
        problems.push(
          this.#problemAt(node, `expected an alias of an earlier anchor, there is no \`&${node.source.slice(0, 64)}\``),
        );
        return [];
      }
      this.#targets.set(node, target);
      return [target];
    }
    if (node.anchor !== undefined) anchors.set(node.anchor, node);
    if (isMap(node)) {
      const pairs = this.#pairs.get(node) ?? this.#notePairs(node as YAMLMap<Node, Node | null>, problems);
      return [...pairs.values()].map((pair) => pair.value).filter(isNode);
    }
    return isSeq(node) ? node.items.filter(isNode) : [];
  }

  #notePairs(map: YAMLMap<Node, Node | null>, problems: YamlProblem[]): Pairs {
    const pairs = new Map<string, Pair<Node, Node | null>>();
    for (const pair of map.items) {
      const key = isScalar(pair.key) ? String(pair.key.value) : '';
      const first = pairs.get(key);
      if (first === undefined) {
        pairs.set(key, pair);
        continue;
      }
      const { line } = this.positionAt(startOf(first.key));
      problems.push(
        this.#problemAt(pair.key, `expected each key once, came \`${key.slice(0, 64)}\` again (first in line ${line})`),
      ); // Y2
    }
    this.#pairs.set(map, pairs);
    return pairs;
  }

  #problemAt(node: Node, message: string): YamlProblem {
    return { ...this.positionAt(startOf(node)), message };
  }

  #resolved(node: Node | null | undefined): Node | null | undefined {
    return isAlias(node) ? this.#targets.get(node) : node;
  }
}

function startOf(node: Node | null | undefined): number {
  return node?.range?.[0] ?? 0;
}
