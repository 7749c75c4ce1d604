/** The routes that the app servers published: which one a request takes, or why it takes none. */
import { PlatformError } from '../shared/errors.ts';
import type { PublishedState, RouteEntry } from '../shared/published-state.ts';
import { RouteTable } from '../shared/routing/route-table.ts';

interface RouteTaken {
  readonly kind: 'taken';
  readonly entry: RouteEntry;
  /** Index of the route's queue class. */
  readonly requestClass: number;
  /** Account key that the path names; '' when it names none. */
  readonly pathAccountKey: string;
}

export type RouteVerdict =
  | RouteTaken
  /** @param allow for 405: the methods that the path has */
  | { readonly kind: 'refused'; readonly error: PlatformError; readonly allow?: readonly string[] };

export class PublishedRoutes {
  /** Undefined until the routes of some app server are known: before that no path is called unknown. */
  #table: RouteTable<RouteTaken> | undefined;

  /** @throws PlatformError SERVICE_INVALID: two routes that match the same requests; the old table stays */
  apply(state: PublishedState): void {
    const classNames = Object.keys(state.config.queues);
    const table = RouteTable.build(
      state.routes.map((entry) => ({
        method: entry.method,
        pattern: entry.pattern,
        value: {
          kind: 'taken' as const,
          entry,
          requestClass: Math.max(0, classNames.indexOf(entry.requestClass)),
          pathAccountKey: '',
        },
      })),
    );
    if (state.routes.length > 0) this.#table = table;
  }

  /** @param path as sent, percent-encoded, without its query */
  find(method: string, path: string): RouteVerdict {
    if (this.#table === undefined) return { kind: 'refused', error: NOT_READY };
    const match = this.#table.find(method, path);
    if (match.kind === 'malformed') return { kind: 'refused', error: MALFORMED };
    if (match.kind === 'none') return refusalOf(method, path, this.#table.methodsOf(path));
    const { entry } = match.value;
    if (entry.accountParam === null) return match.value;
    return { ...match.value, pathAccountKey: match.params[entry.accountParam] ?? '' };
  }
}

/** @returns why a route does not take a body of this content type, or undefined when it does */
export function contentTypeRefusal(entry: RouteEntry, contentType: string): PlatformError | undefined {
  if (entry.contentTypes.length === 0) return undefined;
  const semicolon = contentType.indexOf(';');
  const mediaType = (semicolon === -1 ? contentType : contentType.slice(0, semicolon)).trim().toLowerCase();
  if (entry.contentTypes.includes(mediaType)) return undefined;
  const got = mediaType === '' ? 'no content-type' : mediaType;
  return new PlatformError(
    'CONTENT_TYPE_UNSUPPORTED',
    `expected a body of ${entry.contentTypes.join(' or ')}, got ${got}`,
  );
}

/** Longest part of a path that is told back to the client. */
const PATH_CHARS_SHOWN_MAX = 200;

function refusalOf(method: string, path: string, allow: readonly string[]): RouteVerdict {
  if (allow.length > 0) {
    const detail = `expected ${allow.join(' or ')} on this path, got ${method}`;
    return { kind: 'refused', error: new PlatformError('METHOD_NOT_ALLOWED', detail), allow };
  }
  const detail = `no service has a route for ${method} ${path.slice(0, PATH_CHARS_SHOWN_MAX)}`;
  return { kind: 'refused', error: new PlatformError('ROUTE_UNKNOWN', detail) };
}

const NOT_READY = new PlatformError(
  'NOT_READY',
  'this interface server does not know the routes of the cluster yet; try again after Retry-After',
);
const MALFORMED = new PlatformError(
  'REQUEST_INVALID',
  'expected a path percent-encoded as UTF-8, got one that does not decode',
);
