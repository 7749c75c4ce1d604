/**
 * Door to find-my-way: which route a method and a path belong to. Shared by every tier that routes, so that all of
 * them agree on every odd path.
 *
 * Patterns: `/`, or segments of letters, digits and `. _ ~ -`; `:name` takes one whole segment; `*`, last only, takes
 * the rest of the path, slashes included, under the name `*`.
 *
 * R1: a table never changes; a new set of routes is a new table.
 * R2: matching is case-sensitive and a trailing slash counts. A `:name` never takes an empty segment.
 * R3: parameters are percent-decoded once; an encoded slash stays inside its parameter. A path that does not decode
 *     as UTF-8 is `malformed`, never a guess. Control characters pass: the caller's rules for the value decide.
 * R4: the more specific pattern wins; among equal patterns a named method wins over `*`. HEAD takes a GET route where
 *     no HEAD route stands at the same pattern.
 */
import { PlatformError } from '../errors.ts';
import { requirePackage } from '../require-package.ts';

const createRouter = requirePackage('find-my-way') as typeof import('find-my-way');

export interface RouteTableEntry<T> {
  /** Upper-case method, or `*` for every method there is. */
  readonly method: string;
  readonly pattern: string;
  readonly value: T;
}

/** Decoded parameters by name; without a prototype, so any name is safe to look up. */
export type RouteParams = Readonly<Record<string, string>>;

export type RouteMatch<T> =
  | { readonly kind: 'found'; readonly value: T; readonly params: RouteParams }
  | { readonly kind: 'none' }
  | { readonly kind: 'malformed' };

/** More than any path can hold (`limits.targetBytesMax` is at most 16 KiB), so that length is judged elsewhere. */
const PARAM_LENGTH_MAX = 16 * 1024;

const METHOD = /^[A-Z][A-Z-]{0,31}$/;
const LITERAL_SEGMENT = /^[A-Za-z0-9._~-]{1,128}$/;
const PARAM_SEGMENT = /^:[A-Za-z][A-Za-z0-9_]{0,63}$/;

const SLASH = 47;
const NO_PARAMS: RouteParams = Object.freeze(Object.create(null));
const NONE = { kind: 'none' } as const;
const MALFORMED = { kind: 'malformed' } as const;

/** What find-my-way is asked with; one object per tree, as lookups are synchronous. */
interface Question {
  method: 'GET';
  url: string;
}

/** find-my-way's `lookup`, which returns what the matched handler returned. Its own types know only node:http. */
interface Lookup<T> {
  lookup(question: Question, reply: null): RouteMatch<T>;
  on(method: 'GET', pattern: string, handler: (q: Question, r: null, params: RouteParams) => RouteMatch<T>): void;
  compile(): void;
}

/** Names of the `:name` parameters of a pattern, in order; a final `*` is not among them. */
export function paramNamesOf(pattern: string): string[] {
  return pattern
    .split('/')
    .filter((segment) => segment.startsWith(':'))
    .map((segment) => segment.slice(1));
}

/** @returns what is wrong with a pattern and what was expected, or undefined when it is sound. */
export function patternProblem(pattern: string): string | undefined {
  if (pattern === '/') return undefined;
  if (!pattern.startsWith('/')) return `expected a pattern that starts with '/', got '${pattern}'`;
  const segments = pattern.slice(1).split('/');
  for (const [index, segment] of segments.entries()) {
    if (segment === '*' && index === segments.length - 1) continue;
    if (LITERAL_SEGMENT.test(segment) || PARAM_SEGMENT.test(segment)) continue;
    return `expected segments of letters, digits and . _ ~ -, or :name, or a final *; got '${segment}' in '${pattern}'`;
  }
  const names = paramNamesOf(pattern);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  return twice === undefined ? undefined : `expected every parameter once, got :${twice} twice in '${pattern}'`;
}

/** Equal for two patterns that match the same paths: parameter names left out. */
export function patternShape(pattern: string): string {
  return pattern.replace(/:[^/]+/g, ':');
}

function checkEntry(entry: RouteTableEntry<unknown>): void {
  if (entry.method !== '*' && !METHOD.test(entry.method)) {
    throw new PlatformError('SERVICE_INVALID', `expected an upper-case method or '*', got '${entry.method}'`);
  }
  const problem = patternProblem(entry.pattern);
  if (problem !== undefined) throw new PlatformError('SERVICE_INVALID', problem);
}

/** One method's routes, compiled. */
class MethodTree<T> {
  readonly #router: Lookup<T>;
  /** Patterns without parameters: such a path is found by one look-up. Any other spelling of it goes the long way (R4). */
  readonly #literal = new Map<string, RouteMatch<T>>();
  readonly #question: Question = { method: 'GET', url: '/' };

  constructor(entries: Iterable<RouteTableEntry<T>>) {
    const router: unknown = createRouter({
      caseSensitive: true,
      ignoreTrailingSlash: false,
      ignoreDuplicateSlashes: false,
      maxParamLength: PARAM_LENGTH_MAX,
      querystringParser: () => NONE,
      defaultRoute: () => NONE,
      onBadUrl: () => MALFORMED, // R3
    });
    this.#router = router as Lookup<T>;
    // Every tree files its routes under GET, find-my-way's fastest: which method a tree is for is ours to know, and
    // find-my-way refuses methods it has not heard of.
    for (const { pattern, value } of entries) {
      this.#router.on('GET', pattern, matcherOf(pattern, value));
      if (!/[:*]/.test(pattern)) this.#literal.set(pattern, { kind: 'found', value, params: NO_PARAMS });
    }
    this.#router.compile();
  }

  find(path: string): RouteMatch<T> {
    const literal = this.#literal.get(path);
    if (literal !== undefined) return literal;
    this.#question.url = path;
    return this.#router.lookup(this.#question, null);
  }
}

function matcherOf<T>(pattern: string, value: T): (q: Question, r: null, params: RouteParams) => RouteMatch<T> {
  const names = paramNamesOf(pattern);
  const [first] = names;
  if (first === undefined) return (_question, _reply, params) => ({ kind: 'found', value, params });
  if (names.length === 1) {
    return (_question, _reply, params) => (params[first] === '' ? NONE : { kind: 'found', value, params }); // R2
  }
  return (_question, _reply, params) =>
    names.some((name) => params[name] === '') ? NONE : { kind: 'found', value, params }; // R2
}

export class RouteTable<T> {
  // Filled by `build`, changed by nothing (R1).
  readonly #trees: ReadonlyMap<string, MethodTree<T>>;
  readonly #anyMethod: MethodTree<T>;

  private constructor(trees: ReadonlyMap<string, MethodTree<T>>, anyMethod: MethodTree<T>) {
    this.#trees = trees;
    this.#anyMethod = anyMethod;
  }

  /** @throws PlatformError SERVICE_INVALID: a bad method or pattern, or two routes that match the same requests. */
  static build<T>(entries: readonly RouteTableEntry<T>[]): RouteTable<T> {
    const byMethod = new Map<string, Map<string, RouteTableEntry<T>>>();
    for (const entry of entries) {
      checkEntry(entry);
      const shape = patternShape(entry.pattern);
      const routes = byMethod.get(entry.method) ?? new Map<string, RouteTableEntry<T>>();
      const other = routes.get(shape);
      if (other !== undefined) {
        const both = `${entry.method} ${other.pattern} and ${entry.method} ${entry.pattern}`;
        throw new PlatformError('SERVICE_INVALID', `expected one route for each method and pattern, got ${both}`);
      }
      byMethod.set(entry.method, routes.set(shape, entry));
    }
    // A method's tree holds the `*` routes too, so that one lookup decides (R4): later maps win over earlier ones.
    const any = byMethod.get('*') ?? new Map<string, RouteTableEntry<T>>();
    byMethod.delete('*');
    const get = byMethod.get('GET');
    if (get !== undefined) byMethod.set('HEAD', new Map([...get, ...(byMethod.get('HEAD') ?? [])]));
    const trees = new Map<string, MethodTree<T>>();
    for (const [method, routes] of byMethod) trees.set(method, new MethodTree(new Map([...any, ...routes]).values()));
    return new RouteTable(trees, new MethodTree(any.values()));
  }

  /**
   * @param path as it came, percent-encoded; a query after `?` is ignored
   */
  find(method: string, path: string): RouteMatch<T> {
    // find-my-way would read a whole URL here, and take '#' as the end of the path; in a request neither is a path.
    if (path.charCodeAt(0) !== SLASH || path.includes('#')) return MALFORMED;
    const question = path.indexOf('?');
    const pathOnly = question === -1 ? path : path.slice(0, question);
    const tree = this.#trees.get(method);
    return tree === undefined ? this.#anyMethod.find(pathOnly) : tree.find(pathOnly);
  }

  /** Methods that have a route at this path, sorted; `['*']` when every method does. For 405's Allow: not fast. */
  methodsOf(path: string): string[] {
    if (this.find('*', path).kind === 'found') return ['*'];
    return [...this.#trees.keys()].filter((method) => this.find(method, path).kind === 'found').sort();
  }
}
