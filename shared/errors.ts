/**
 * Every way a request, a link or a command can fail: one table of codes, one error class.
 *
 * E1: a code's wire number never changes and is never reused (peers of different ages talk to each other).
 * E2: every code has a section in docs/errors.md (test/unit/shared/errors.test.ts compares them).
 */

interface ErrorKind {
  /** Number that travels in ERROR frames; see E1. */
  readonly wire: number;
  /** HTTP status at the edge. */
  readonly status: number;
  /** Whether asking again, unchanged, can succeed. */
  readonly retryable: boolean;
  readonly title: string;
}

export const ERROR_KINDS = {
  INTERNAL: { wire: 1, status: 500, retryable: true, title: 'Internal error' },
  ROUTE_UNKNOWN: { wire: 2, status: 404, retryable: false, title: 'No such route' },
  METHOD_NOT_ALLOWED: { wire: 3, status: 405, retryable: false, title: 'Method not allowed' },
  CONTENT_TYPE_UNSUPPORTED: { wire: 4, status: 415, retryable: false, title: 'Content type not supported' },
  BODY_TOO_LARGE: { wire: 5, status: 413, retryable: false, title: 'Body too large' },
  HEADERS_TOO_LARGE: { wire: 6, status: 431, retryable: false, title: 'Headers too large' },
  TARGET_TOO_LONG: { wire: 7, status: 414, retryable: false, title: 'Path and query too long' },
  REQUEST_INVALID: { wire: 8, status: 400, retryable: false, title: 'Invalid request' },
  ACCOUNT_KEY_MISSING: { wire: 9, status: 400, retryable: false, title: 'Account key missing' },
  ACCOUNT_KEY_INVALID: { wire: 10, status: 400, retryable: false, title: 'Account key invalid' },
  QUEUE_FULL: { wire: 11, status: 503, retryable: true, title: 'Too busy' },
  NO_DISPATCHER: { wire: 12, status: 503, retryable: true, title: 'No dispatcher works' },
  NO_APP_SERVER: { wire: 13, status: 503, retryable: true, title: 'No app server of the group works' },
  NOT_READY: { wire: 14, status: 503, retryable: true, title: 'Not ready' },
  DRAINING: { wire: 15, status: 503, retryable: true, title: 'Server is draining' },
  LINK_LOST: { wire: 16, status: 503, retryable: true, title: 'Connection between servers lost' },
  RETRY_BUDGET_SPENT: { wire: 17, status: 503, retryable: true, title: 'Retry budget spent' },
  DEADLINE_EXCEEDED: { wire: 18, status: 504, retryable: true, title: 'Deadline exceeded' },
  CANCELLED: { wire: 19, status: 499, retryable: true, title: 'Client went away' },
  WRONG_GROUP: { wire: 20, status: 503, retryable: true, title: 'Bucket belongs to another group' },
  VIEW_CHANGING: { wire: 21, status: 503, retryable: true, title: 'Replica view is changing' },
  BUCKET_MOVING: { wire: 22, status: 503, retryable: true, title: 'Bucket is moving' },
  PARAMS_INVALID: { wire: 23, status: 400, retryable: false, title: 'Path parameters invalid' },
  QUERY_INVALID: { wire: 24, status: 400, retryable: false, title: 'Query invalid' },
  BODY_INVALID: { wire: 25, status: 400, retryable: false, title: 'Body invalid' },
  HANDLER_FAILED: { wire: 26, status: 500, retryable: true, title: 'Handler failed' },
  REPLY_INVALID: { wire: 27, status: 500, retryable: false, title: 'Handler reply invalid' },
  REPLY_TOO_LARGE: { wire: 28, status: 500, retryable: false, title: 'Handler reply too large' },
  /** A service's own refusal (409 and the like); status and title come from the service. */
  SERVICE_PROBLEM: { wire: 29, status: 409, retryable: false, title: 'Refused by the service' },
  IDEMPOTENCY_KEY_INVALID: { wire: 30, status: 400, retryable: false, title: 'Idempotency key invalid' },
  IDEMPOTENCY_KEY_REUSED: { wire: 31, status: 422, retryable: false, title: 'Idempotency key reused' },
  STORE_UNAVAILABLE: { wire: 32, status: 503, retryable: true, title: 'Database unavailable' },
  STORE_BUSY: { wire: 33, status: 503, retryable: true, title: 'Database busy' },
  STATEMENT_FAILED: { wire: 34, status: 500, retryable: false, title: 'SQL statement failed' },
  OUTCOME_UNKNOWN: { wire: 35, status: 504, retryable: true, title: 'Outcome unknown' },
  REPLICAS_DIVERGED: { wire: 36, status: 500, retryable: false, title: 'Replicas differ' },
  TIMEOUT_HEADER_INVALID: { wire: 37, status: 400, retryable: false, title: 'Request timeout invalid' },
  CLIENT_TOO_SLOW: { wire: 39, status: 408, retryable: true, title: 'Client too slow' },
  TOKEN_REFUSED: { wire: 38, status: 401, retryable: false, title: 'Token refused' },
  // Links, between servers; never seen by an HTTP client.
  LINK_FRAME_INVALID: { wire: 60, status: 502, retryable: false, title: 'Malformed frame' },
  LINK_FRAME_TOO_LARGE: { wire: 61, status: 502, retryable: false, title: 'Frame over the limit' },
  LINK_FRAME_TRUNCATED: { wire: 62, status: 502, retryable: false, title: 'Frame cut short' },
  LINK_VERSION_MISMATCH: { wire: 63, status: 502, retryable: false, title: 'Protocol version mismatch' },
  LINK_CLUSTER_MISMATCH: { wire: 64, status: 502, retryable: false, title: 'Other cluster' },
  LINK_TOKEN_REFUSED: { wire: 65, status: 502, retryable: false, title: 'Cluster token refused' },
  LINK_ROLE_REFUSED: { wire: 66, status: 502, retryable: false, title: 'Role not accepted here' },
  LINK_HELLO_TIMEOUT: { wire: 67, status: 502, retryable: true, title: 'No HELLO in time' },
  LINK_HELLO_EXPECTED: { wire: 68, status: 502, retryable: false, title: 'HELLO expected first' },
  LINK_WINDOW_OVERRUN: { wire: 69, status: 502, retryable: false, title: 'Window overrun' },
  LINK_PEER_SILENT: { wire: 70, status: 502, retryable: true, title: 'Peer silent' },
  LINK_BACKPRESSURE: { wire: 71, status: 502, retryable: true, title: 'Peer does not read' },
  LINK_CLOSED: { wire: 72, status: 502, retryable: true, title: 'Link closed' },
  // Commands, configuration and start-up.
  CONFIG_INVALID: { wire: 80, status: 500, retryable: false, title: 'Configuration invalid' },
  CONFIG_MOVES_DATA: { wire: 81, status: 500, retryable: false, title: 'Configuration change would move data' },
  PORT_TAKEN: { wire: 82, status: 500, retryable: true, title: 'Port taken' },
  SERVICE_INVALID: { wire: 83, status: 500, retryable: false, title: 'Service invalid' },
  STORE_UNSAFE: { wire: 84, status: 500, retryable: false, title: 'Database settings unsafe' },
  USAGE: { wire: 85, status: 500, retryable: false, title: 'Command used wrongly' },
  SERVER_UNKNOWN: { wire: 86, status: 404, retryable: false, title: 'No such server' },
  LAST_SERVER: { wire: 87, status: 409, retryable: false, title: 'Last server of its kind' },
  NO_COORDINATOR: { wire: 88, status: 503, retryable: true, title: 'No coordinator answers' },
  // Coordination.
  PARK_REQUEST_INVALID: { wire: 100, status: 400, retryable: false, title: 'Park request invalid' },
  PARK_DOMAIN_UNKNOWN: { wire: 101, status: 404, retryable: false, title: 'No such domain' },
  PARK_NODE_UNKNOWN: { wire: 102, status: 404, retryable: false, title: 'No such node' },
  PARK_NODE_EXISTS: { wire: 103, status: 409, retryable: false, title: 'Node exists' },
  PARK_VERSION_CONFLICT: { wire: 104, status: 412, retryable: false, title: 'Version differs' },
  PARK_RIGHTS_MISSING: { wire: 105, status: 403, retryable: false, title: 'Rights missing' },
  PARK_SESSION_UNKNOWN: { wire: 106, status: 410, retryable: false, title: 'Session has ended' },
  PARK_VALUE_TOO_LARGE: { wire: 107, status: 413, retryable: false, title: 'Value too large' },
  PARK_LIMIT: { wire: 108, status: 507, retryable: true, title: 'Park is full' },
  PARK_WATCH_BEHIND: { wire: 109, status: 503, retryable: true, title: 'Watch too slow' },
  COORDINATOR_FENCED: { wire: 110, status: 503, retryable: true, title: 'Coordinator was replaced' },
  JOURNAL_CORRUPT: { wire: 111, status: 500, retryable: false, title: 'Journal corrupt' },
  NOT_LEADER: { wire: 112, status: 503, retryable: true, title: 'Coordinator does not lead' },
  FENCE_OUTDATED: { wire: 113, status: 409, retryable: false, title: 'Fencing token outdated' },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERROR_KINDS;

const CODE_BY_WIRE: ReadonlyMap<number, ErrorCode> = new Map(
  (Object.keys(ERROR_KINDS) as ErrorCode[]).map((code) => [ERROR_KINDS[code].wire, code]),
);

/** @returns the code of a wire number; an unknown number (a newer peer's) reads as INTERNAL. */
export function errorCodeOfWire(wire: number): ErrorCode {
  return CODE_BY_WIRE.get(wire) ?? 'INTERNAL';
}

export interface PlatformErrorOptions {
  readonly cause?: unknown;
  /** Overrides the table's status: SERVICE_PROBLEM only. 400..599. */
  readonly status?: number;
  /** Overrides the table's title: SERVICE_PROBLEM only. */
  readonly title?: string;
  /** Last part of the problem's `type`, kebab-case: SERVICE_PROBLEM only. */
  readonly problem?: string;
}

/** The only error class. `detail` says what was expected, what came, and what to do. */
export class PlatformError extends Error {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly status: number;
  readonly title: string;
  readonly problem: string | undefined;

  constructor(code: ErrorCode, detail: string, options: PlatformErrorOptions = {}) {
    super(`${code}: ${detail}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'PlatformError';
    this.code = code;
    this.detail = detail;
    this.status = options.status ?? ERROR_KINDS[code].status;
    this.title = options.title ?? ERROR_KINDS[code].title;
    this.problem = options.problem;
  }

  get retryable(): boolean {
    return ERROR_KINDS[this.code].retryable;
  }
}

/** Anything thrown, as a PlatformError: itself, or wrapped under `code` with its message kept as the cause. */
export function toPlatformError(thrown: unknown, code: ErrorCode = 'INTERNAL'): PlatformError {
  if (thrown instanceof PlatformError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new PlatformError(code, message, { cause: thrown });
}

/** Anchor of a code in docs/errors.md and at `/-/errors`, e.g. `account-key-missing`. */
export function errorAnchor(code: ErrorCode): string {
  return code.toLowerCase().replaceAll('_', '-');
}
