/**
 * What servers and coordinator tell each other, as NOTICE frames on a link that the server dials.
 *
 * | topic   | direction            | value               | meaning                                                     |
 * |---------|----------------------|---------------------|-------------------------------------------------------------|
 * | `join`  | server → coordinator | JoinNotice          | first on every link; counts as renewal 0 of that link       |
 * | `renew` | server → coordinator | RenewNotice         | every third of a lease                                      |
 * | `leave` | server → coordinator | {}                  | a clean stop: the lease ends now                            |
 * | `lease` | coordinator → server | LeaseNotice         | answer to a join or renewal                                 |
 * | `state` | coordinator → server | PublishedState      | when the link opens, and whenever it changes                |
 *
 * Unknown fields are dropped, so that a newer peer may say more.
 */
import { z } from 'zod';
import type { RouteEntry } from './published-state.ts';
import {
  EPOCH_MAX,
  epochSchema,
  MANIFEST_ROUTES_MAX,
  MAP_EPOCH_MAX,
  parseWith,
  routeEntrySchema,
  serverIdSchema,
  termSchema,
} from './published-state-schema.ts';
import type { Tier } from './server-process.ts';

export const TOPIC = { join: 'join', renew: 'renew', leave: 'leave', lease: 'lease', state: 'state' } as const;

/** A load report is a few numbers; it is kept in memory for every member and shown in the status. */
export const LOAD_REPORT_CHARS_MAX = 16_384;

/** What a server tells of itself when it joins. */
export interface Membership {
  readonly tier: Tier;
  readonly serverId: string;
  readonly incarnation: string;
  /** host:port really listened on. */
  readonly listen: string;
  readonly admin: string;
  readonly version: string;
  /** App servers: the routes of their services. */
  readonly routes?: readonly RouteEntry[] | undefined;
}

/** `stateEpoch`, `mapEpoch` and `term` are those of the state the server acts on; 0: none yet. */
export type JoinNotice = Membership & { readonly stateEpoch: number; readonly mapEpoch: number; readonly term: number };

export interface RenewNotice {
  /** 1, 2, 3… on each link; comes back in the answer. */
  readonly sequence: number;
  readonly load: unknown;
}

export interface LeaseNotice {
  readonly sequence: number;
  /** How long from when the server sent that renewal; 0: no lease, join again. */
  readonly ttlMs: number;
}

/** The coordinator publishes above what a server reports; a report gone wrong must leave it room to. */
const EPOCHS_ABOVE_MIN = 2 ** 20;

const hostPort = z.string().min(3).max(300);

const joinSchema = z.object({
  tier: z.enum(['coordinator', 'interface', 'dispatcher', 'app']),
  serverId: serverIdSchema,
  incarnation: z.string().regex(/^[0-9a-f]{16}$/, 'expected 16 hex digits'),
  listen: hostPort,
  admin: hostPort,
  version: z.string().min(1).max(64),
  routes: z.array(routeEntrySchema).max(MANIFEST_ROUTES_MAX).optional(),
  stateEpoch: epochSchema.max(EPOCH_MAX - EPOCHS_ABOVE_MIN),
  mapEpoch: epochSchema.max(MAP_EPOCH_MAX - EPOCHS_ABOVE_MIN),
  term: termSchema.default(0),
});

const sequenceSchema = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

const renewSchema = z.object({
  sequence: sequenceSchema,
  load: z
    .unknown()
    .optional()
    .refine(fitsLoadReport, `expected a load report of at most ${LOAD_REPORT_CHARS_MAX} characters`),
});

const leaseSchema = z.object({ sequence: sequenceSchema, ttlMs: z.int().min(0).max(600_000) });

export function parseJoin(value: unknown): JoinNotice {
  return parseWith(joinSchema, value, 'a join');
}

export function parseRenew(value: unknown): RenewNotice {
  const { sequence, load } = parseWith(renewSchema, value, 'a renewal');
  return { sequence, load: load ?? null };
}

export function parseLease(value: unknown): LeaseNotice {
  return parseWith(leaseSchema, value, 'a lease');
}

export function fitsLoadReport(load: unknown): boolean {
  return (JSON.stringify(load) ?? '').length <= LOAD_REPORT_CHARS_MAX;
}
