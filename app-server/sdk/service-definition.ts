/** `defineService` and `route`: a service as data, typed from its schemas and checked when it loads. */
import { z } from 'zod';
import { PlatformError } from '../../shared/errors.ts';
import { paramNamesOf, patternProblem } from '../../shared/routing/route-table.ts';
import type { Context } from './context.ts';
import type { RawReply, Reply } from './reply.ts';
import { JSON_CONTENT_TYPE } from './reply-headers.ts';
import { checkServiceSchema } from './service-schema.ts';

type Schema = z.ZodType;

/** Names of the `:name` parameters in a pattern, as a type. */
export type ParamNames<Path extends string> = Path extends `${infer First}/${infer Rest}`
  ? ParamNames<First> | ParamNames<Rest>
  : Path extends `:${infer Name}`
    ? Name
    : Path extends '*'
      ? '*'
      : never;

/** A query without a schema: decoded, repeated names as a list. */
export type QueryValues = Readonly<Record<string, string | readonly string[]>>;

export interface RouteInput<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
}

type OutputOf<S extends Schema | undefined, Otherwise> = S extends Schema ? z.output<S> : Otherwise;
type InputOf<S extends Schema | undefined, Otherwise> = S extends Schema ? z.input<S> : Otherwise;

/** What a handler may return: a value for 200 (`undefined` for 204), a `reply`, a `rawReply` or a `problem`. */
export type HandlerResult<T> = T | Reply<T> | Reply<undefined> | RawReply | PlatformError;

export interface RouteOptions<
  Path extends string,
  P extends Schema | undefined,
  Q extends Schema | undefined,
  B extends Schema | undefined,
  R extends Schema | undefined,
> {
  /** Upper-case method, or `*` for any. HEAD is answered by the GET route. */
  readonly method: string;
  /** e.g. `/accounts/:account/deposits`; `*` as last segment takes the rest. */
  readonly path: Path;
  /** Path parameter that is the account key. Default `account` when the path has it; else the config decides. */
  readonly accountParam?: ParamNames<Path>;
  /** A queue class of the config. Default `interactive`. */
  readonly requestClass?: string;
  /** Of the path's decoded parameters, all strings. */
  readonly params?: P;
  /** Of the query: strings, or lists of strings for repeated names; see `integerText`. */
  readonly query?: Q;
  /** Of the JSON body; an empty body is `undefined`. Without it the handler gets the bytes. */
  readonly body?: B;
  /** Of the JSON in 2xx replies; what it does not name is not sent. */
  readonly reply?: R;
  /** Media types a body may have, without parameters. Default: JSON with a body schema, else any. */
  readonly contentTypes?: readonly string[];
  handler(
    context: Context,
    input: RouteInput<
      OutputOf<P, Readonly<Record<ParamNames<Path>, string>>>,
      OutputOf<Q, QueryValues>,
      OutputOf<B, Uint8Array>
    >,
  ): HandlerResult<InputOf<R, unknown>> | Promise<HandlerResult<InputOf<R, unknown>>>;
}

/** A route with its types laid aside, as the runner sees it. */
export interface RouteDefinition {
  readonly method: string;
  readonly path: string;
  readonly accountParam: string | null;
  readonly requestClass: string;
  readonly contentTypes: readonly string[];
  readonly params: Schema | undefined;
  readonly query: Schema | undefined;
  readonly body: Schema | undefined;
  readonly reply: Schema | undefined;
  readonly handler: (context: Context, input: RouteInput<unknown, unknown, unknown>) => unknown;
}

export interface ServiceDefinition {
  readonly name: string;
  readonly schema: readonly string[];
  /** Names of the tables in `schema`. */
  readonly tables: readonly string[];
  readonly routes: readonly RouteDefinition[];
}

export interface ServiceOptions {
  /** A lower-case letter, then up to 31 of a-z 0-9 -. Unique in the cluster. */
  readonly name: string;
  /** `CREATE TABLE IF NOT EXISTS` statements that SQLite and MySQL both take. */
  readonly schema?: readonly string[];
  readonly routes: readonly RouteDefinition[];
}

const ROUTES_MAX = 256;
const METHOD = /^(\*|[A-Z][A-Z-]{0,31})$/;
/** The form of ids in the config: services and queue classes are named alike. */
const NAME = /^[a-z][a-z0-9-]{0,31}$/;
const MEDIA_TYPE = /^[a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+$/;
const JSON_MEDIA_TYPE = /^application\/([a-z0-9!#$&^_.-]+\+)?json$/;
const DEFAULT_REQUEST_CLASS = 'interactive';
const DEFAULT_ACCOUNT_PARAM = 'account';

/** Routes that `route` made and services that `defineService` made: anything else was never checked. */
const KNOWN_ROUTES = new WeakSet<object>();
const KNOWN_SERVICES = new WeakSet<object>();

export function isServiceDefinition(value: unknown): value is ServiceDefinition {
  return typeof value === 'object' && value !== null && KNOWN_SERVICES.has(value);
}

function invalid(where: string, message: string): PlatformError {
  return new PlatformError('SERVICE_INVALID', `${where}: ${message}`);
}

/**
 * One route of a service; the handler's arguments and result are typed by the schemas.
 * @throws PlatformError SERVICE_INVALID
 */
export function route<
  const Path extends string,
  P extends Schema | undefined = undefined,
  Q extends Schema | undefined = undefined,
  B extends Schema | undefined = undefined,
  R extends Schema | undefined = undefined,
>(options: RouteOptions<Path, P, Q, B, R>): RouteDefinition {
  const where = `route ${String(options.method)} ${String(options.path)}`;
  if (!METHOD.test(options.method)) throw invalid(where, `expected an upper-case method or '*'`);
  const problem = patternProblem(options.path);
  if (problem !== undefined) throw invalid(where, problem);
  if (typeof options.handler !== 'function') throw invalid(where, 'expected a handler function');
  const requestClass = options.requestClass ?? DEFAULT_REQUEST_CLASS;
  if (!NAME.test(requestClass)) throw invalid(where, `expected the name of a queue class, got '${requestClass}'`);
  checkSchemas(where, options);
  const definition: RouteDefinition = {
    method: options.method,
    path: options.path,
    accountParam: accountParamOf(where, options.path, options.accountParam),
    requestClass,
    contentTypes: contentTypesOf(where, options.contentTypes, options.body !== undefined),
    params: options.params,
    query: options.query,
    body: options.body,
    reply: options.reply,
    // The schemas above make the values; this is the one place where their types are laid aside.
    handler: options.handler as RouteDefinition['handler'],
  };
  KNOWN_ROUTES.add(definition);
  return Object.freeze(definition);
}

function checkSchemas(where: string, options: Partial<Record<'params' | 'query' | 'body' | 'reply', unknown>>): void {
  for (const part of ['params', 'query', 'body', 'reply'] as const) {
    const schema = options[part];
    if (schema === undefined || schema instanceof z.ZodType) continue;
    throw invalid(where, `expected ${part} to be a zod schema made with the sdk's z, got ${typeof schema}`);
  }
}

function accountParamOf(where: string, path: string, given: string | undefined): string | null {
  const names = paramNamesOf(path);
  if (given === undefined) return names.includes(DEFAULT_ACCOUNT_PARAM) ? DEFAULT_ACCOUNT_PARAM : null;
  if (names.includes(given)) return given;
  const has = names.length === 0 ? 'none' : names.map((name) => `:${name}`).join(' ');
  throw invalid(where, `expected accountParam to be a parameter of the path (${has}), got '${given}'`);
}

function contentTypesOf(where: string, given: readonly string[] | undefined, parsed: boolean): readonly string[] {
  if (given === undefined) return parsed ? [JSON_CONTENT_TYPE] : [];
  for (const type of given) {
    if (!MEDIA_TYPE.test(type)) {
      throw invalid(where, `expected a media type in lower case without parameters, got '${type}'`);
    }
    if (parsed && !JSON_MEDIA_TYPE.test(type)) {
      throw invalid(where, `a body schema reads JSON, so expected JSON content types, got '${type}'`);
    }
  }
  return [...given];
}

/**
 * A service: a name, its tables and its routes. Export it as `service`.
 * @throws PlatformError SERVICE_INVALID, saying what was expected
 */
export function defineService(options: ServiceOptions): ServiceDefinition {
  if (typeof options.name !== 'string' || !NAME.test(options.name)) {
    const expected = 'a name of a lower-case letter, then up to 31 of a-z 0-9 -';
    throw invalid('defineService', `expected ${expected}, got ${JSON.stringify(options.name)}`);
  }
  const where = `service '${options.name}'`;
  const { routes } = options;
  if (!Array.isArray(routes) || routes.length === 0 || routes.length > ROUTES_MAX) {
    throw invalid(where, `expected routes to be a list of 1..${ROUTES_MAX} routes`);
  }
  const stranger = routes.findIndex((one) => typeof one !== 'object' || one === null || !KNOWN_ROUTES.has(one));
  if (stranger !== -1) throw invalid(where, `expected routes[${stranger}] to be made by route({ ... })`);
  const schema = options.schema ?? [];
  const tables = checkServiceSchema(options.name, schema);
  const definition: ServiceDefinition = { name: options.name, schema: [...schema], tables, routes: [...routes] };
  KNOWN_SERVICES.add(definition);
  return Object.freeze(definition);
}
