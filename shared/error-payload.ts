/**
 * The JSON of an ERROR frame, as far as it is what it should be.
 *
 * J1: what goes on to a client, a status or a header, is one that HTTP has, whatever a peer says: a field of another type
 *     or range counts as absent.
 */
import type { PlatformErrorOptions } from './errors.ts';

/** Longest detail sent or taken; the rest is cut. */
export const DETAIL_CHARS_MAX = 1_000;

/** Ids of the config, and what a header may hold. */
const ANSWERER_ID = /^[\x21-\x7e]{1,64}$/;
const STATUS_MIN = 400;
const STATUS_MAX = 599;

export interface ErrorPayload {
  readonly detail: string | undefined;
  /** Who answered. */
  readonly by: { readonly group?: string; readonly servedBy?: string };
  /** SERVICE_PROBLEM: the service's own. */
  readonly own: PlatformErrorOptions;
}

/** Never throws: what cannot be read says nothing. */
export function readErrorPayload(text: string): ErrorPayload {
  const json = jsonOf(text);
  const { status } = json;
  const title = textOf(json['title']);
  const problem = textOf(json['problem']);
  const group = idOf(json['group']);
  const servedBy = idOf(json['servedBy']);
  return {
    detail: textOf(json['detail']),
    by: { ...(group === undefined ? {} : { group }), ...(servedBy === undefined ? {} : { servedBy }) },
    own: {
      ...(isStatus(status) ? { status } : {}),
      ...(title === undefined ? {} : { title }),
      ...(problem === undefined ? {} : { problem }),
    },
  };
}

function jsonOf(text: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

/** J1 */
function isStatus(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= STATUS_MIN && Number(value) <= STATUS_MAX;
}

/** J1 */
function idOf(value: unknown): string | undefined {
  return typeof value === 'string' && ANSWERER_ID.test(value) ? value : undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value.slice(0, DETAIL_CHARS_MAX) : undefined;
}
