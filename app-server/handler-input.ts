/**
 * Makes a handler's `{ params, query, body }` out of a request, and refuses what the route's schemas refuse, saying
 * where, what was expected and what came.
 *
 * I1: without schemas nothing is parsed: the bytes, the raw parameters, and a query that is parsed when looked at.
 * I2: a key `__proto__` in JSON or in a query never becomes a prototype.
 * I3: a refusal's text is bounded, whatever came.
 */
import type { z } from 'zod';
import { type ErrorCode, PlatformError } from '../shared/errors.ts';
import type { RouteParams } from '../shared/routing/route-table.ts';
import type { QueryValues, RouteDefinition, RouteInput } from './sdk/service-definition.ts';

/** The parts of a request that handlers are given; the runner's IncomingRequest has them. */
export interface RequestContent {
  readonly target: string;
  readonly body: Uint8Array;
}

const ISSUES_SHOWN_MAX = 3;
const VALUE_SHOWN_MAX = 48;
const PATH_SHOWN_MAX = 96;
const DETAIL_LENGTH_MAX = 600;

const NO_QUERY: QueryValues = Object.freeze(Object.create(null));
const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** Percent-decoded once, '+' is a space. @throws PlatformError QUERY_INVALID when it does not decode as UTF-8 */
export function parseQuery(target: string): QueryValues {
  const start = target.indexOf('?');
  if (start === -1 || start === target.length - 1) return NO_QUERY;
  const values: Record<string, string | string[]> = Object.create(null); // I2
  for (const pair of target.slice(start + 1).split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decodeQueryPart(equals === -1 ? pair : pair.slice(0, equals));
    const value = equals === -1 ? '' : decodeQueryPart(pair.slice(equals + 1));
    const before = values[name];
    if (before === undefined) values[name] = value;
    else if (typeof before === 'string') values[name] = [before, value];
    else before.push(value);
  }
  return values;
}

function decodeQueryPart(encoded: string): string {
  try {
    return decodeURIComponent(encoded.replaceAll('+', ' '));
  } catch {
    throw new PlatformError('QUERY_INVALID', `query: expected percent-encoded UTF-8, got ${shown(encoded)}`);
  }
}

/** @returns undefined for an empty body. @throws PlatformError BODY_INVALID */
export function parseJsonBody(body: Uint8Array): unknown {
  if (body.byteLength === 0) return undefined;
  let text: string;
  try {
    text = UTF8.decode(body);
  } catch {
    throw new PlatformError('BODY_INVALID', 'body: expected JSON in UTF-8, got bytes that are not UTF-8');
  }
  try {
    // I2: JSON.parse makes it a plain own key, but the next copy of the object would not. A key may also be written
    // with escapes, hence the second test; the reviver that drops it is slow, so most bodies never meet it.
    return text.includes('__proto__') || text.includes('\\u00')
      ? JSON.parse(text, (key, value) => (key === '__proto__' ? undefined : value))
      : JSON.parse(text);
  } catch (thrown) {
    const message = thrown instanceof RangeError ? 'it is nested too deep' : (thrown as Error).message.slice(0, 160);
    throw new PlatformError('BODY_INVALID', `body: expected JSON: ${message}`.toWellFormed());
  }
}

/** A value in a few words. I3 */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') {
    if (value.length <= VALUE_SHOWN_MAX) return JSON.stringify(value.toWellFormed());
    return `${JSON.stringify(value.slice(0, VALUE_SHOWN_MAX).toWellFormed())}… (${value.length} characters)`;
  }
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`;
  return String(value).slice(0, VALUE_SHOWN_MAX);
}

function shownPath(part: string, path: readonly PropertyKey[]): string {
  let text = part;
  for (const key of path) text += typeof key === 'number' ? `[${key}]` : `.${String(key)}`;
  return text.slice(0, PATH_SHOWN_MAX).toWellFormed();
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

/** zod's issues as one line: `body.amount: expected number to be >=1, got 0; …` I3 */
export function describeIssues(part: string, issues: readonly z.core.$ZodIssue[], root: unknown): string {
  const lines = issues.slice(0, ISSUES_SHOWN_MAX).map((issue) => {
    const where = shownPath(part, issue.path);
    if (issue.code === 'unrecognized_keys') {
      const keys = issue.keys.slice(0, ISSUES_SHOWN_MAX).map(shown).join(', ');
      return `${where}: expected no other keys, got ${keys}${issue.keys.length > ISSUES_SHOWN_MAX ? ', …' : ''}`;
    }
    const plain = /^Invalid input: expected ([^,]+), received/.exec(issue.message)?.[1];
    const said =
      plain === undefined ? issue.message.replace(/^(Too small|Too big|Invalid \w+): /, '') : `expected ${plain}`;
    return `${where}: ${said.slice(0, 200)}, got ${shown(valueAt(root, issue.path))}`;
  });
  if (issues.length > ISSUES_SHOWN_MAX) lines.push(`and ${issues.length - ISSUES_SHOWN_MAX} more`);
  return lines.join('; ').slice(0, DETAIL_LENGTH_MAX).toWellFormed();
}

/** zod compares a `length` before it knows that it is a text's, and an object with such a key cannot be compared. */
function holdsIncomparable(value: unknown): boolean {
  const waiting = [value];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (typeof next !== 'object' || next === null) continue;
    if (Object.hasOwn(next, 'toString') || Object.hasOwn(next, 'valueOf')) return true;
    for (const inner of Object.values(next)) waiting.push(inner);
  }
  return false;
}

function validated(code: ErrorCode, part: string, schema: z.ZodType, value: unknown): unknown {
  let result: z.ZodSafeParseResult<unknown>;
  try {
    result = schema.safeParse(value);
  } catch (thrown) {
    if (thrown instanceof RangeError) throw new PlatformError(code, `${part}: expected a value nested less deep`);
    if (thrown instanceof TypeError && holdsIncomparable(value))
      throw new PlatformError(code, `${part}: expected no keys toString and valueOf`);
    throw thrown;
  }
  if (result.success) return result.data;
  throw new PlatformError(code, describeIssues(part, result.error.issues, value));
}

/** @throws PlatformError CONTENT_TYPE_UNSUPPORTED: the edge has checked already, unless its manifest was older */
export function checkContentType(route: RouteDefinition, body: Uint8Array, header: () => string | undefined): void {
  if (body.byteLength === 0 || route.contentTypes.length === 0) return;
  const given = header() ?? '';
  const semicolon = given.indexOf(';');
  const mediaType = (semicolon === -1 ? given : given.slice(0, semicolon)).trim().toLowerCase();
  if (route.contentTypes.includes(mediaType)) return;
  const expected = route.contentTypes.join(' or ');
  const got = mediaType === '' ? 'no content-type' : shown(mediaType);
  throw new PlatformError('CONTENT_TYPE_UNSUPPORTED', `expected a body of ${expected}, got ${got}`);
}

class HandlerInput implements RouteInput<unknown, unknown, unknown> {
  readonly params: unknown;
  readonly body: unknown;
  readonly #request: RequestContent;
  #query: unknown;

  constructor(params: unknown, query: unknown, body: unknown, request: RequestContent) {
    this.params = params;
    this.body = body;
    this.#request = request;
    this.#query = query;
  }

  /** I1 */
  get query(): unknown {
    if (this.#query === undefined) this.#query = parseQuery(this.#request.target);
    return this.#query;
  }
}

/** @throws PlatformError PARAMS_INVALID, QUERY_INVALID, BODY_INVALID; or whatever a schema's own function throws */
export function handlerInput(
  route: RouteDefinition,
  given: RouteParams,
  request: RequestContent,
): RouteInput<unknown, unknown, unknown> {
  const { params: paramsSchema, query: querySchema, body: bodySchema } = route;
  const params = paramsSchema === undefined ? given : validated('PARAMS_INVALID', 'params', paramsSchema, given);
  const query =
    querySchema === undefined
      ? undefined
      : validated('QUERY_INVALID', 'query', querySchema, parseQuery(request.target));
  const body =
    bodySchema === undefined
      ? request.body
      : validated('BODY_INVALID', 'body', bodySchema, parseJsonBody(request.body));
  return new HandlerInput(params, query, body, request);
}
