/** What an interface server makes of the errors that come back to it, and those it has of its own. */
import { ERROR_KINDS, PlatformError } from '../shared/errors.ts';

/** Errors that another dispatcher may not have. */
export const ELSEWHERE: ReadonlySet<number> = new Set([
  ERROR_KINDS.DRAINING.wire,
  ERROR_KINDS.NOT_READY.wire,
  ERROR_KINDS.NO_APP_SERVER.wire,
]);

/** Errors of a group, not of the dispatcher that tells them. */
export const SAYS_NOTHING: ReadonlySet<number> = new Set([ERROR_KINDS.NO_APP_SERVER.wire]);

/** Errors that speak against the dispatcher, not against the request. */
export const PEER_FAILED: ReadonlySet<number> = new Set([ERROR_KINDS.DRAINING.wire, ERROR_KINDS.NOT_READY.wire]);

/** Errors after which the effect may be there or not. */
export const UNKNOWN: ReadonlySet<number> = new Set([
  ERROR_KINDS.DEADLINE_EXCEEDED.wire,
  ERROR_KINDS.LINK_LOST.wire,
  ERROR_KINDS.OUTCOME_UNKNOWN.wire,
  ERROR_KINDS.RETRY_BUDGET_SPENT.wire,
]);

export const IN_MAINTENANCE = new PlatformError(
  'DRAINING',
  'an operator has taken this interface server out; send the request to another one',
);
export const NO_DISPATCHER = new PlatformError(
  'NO_DISPATCHER',
  'no dispatcher works right now; try again after Retry-After',
);
