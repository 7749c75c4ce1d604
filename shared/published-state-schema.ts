/**
 * Shape of what the coordinator publishes, checked wherever it comes in: from a link, or from a disk. What is inside
 * the config was checked against the rules between its fields when it was accepted; that is not done again here.
 */
import { z } from 'zod';
import { type ClusterConfig, clusterSchema } from './config/cluster-schema.ts';
import { PlatformError } from './errors.ts';
import type { PublishedState, RouteEntry } from './published-state.ts';
import { checkSchema } from './schema-check.ts';

/** Far above what any cluster reaches (one a millisecond for 8,900 years), far below where numbers lose precision. */
export const EPOCH_MAX = 2 ** 48;
/** Routes of one app server; more is a mistake in a service, and every tier would carry it in memory. */
export const MANIFEST_ROUTES_MAX = 2_000;
const GROUPS_MAX = 100;
const BUCKETS_MAX = 65_536;

/** A request carries the epoch of its dispatcher's bucket map in 32 bits. */
export const MAP_EPOCH_MAX = 2 ** 32 - 1;

/** Of a journal: one more for every promotion of a checkpointer. */
export const termSchema = z
  .int()
  .min(0)
  .max(2 ** 32 - 1);

export const epochSchema = z.int().min(0).max(EPOCH_MAX);

/** Ids appear in URLs and file names; the same rule as in the config. */
export const serverIdSchema = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'expected a server id');

export const routeEntrySchema = z.object({
  service: z.string().min(1).max(64),
  method: z.string().regex(/^([A-Z]{1,16}|\*)$/, 'expected an upper-case method or *'),
  pattern: z
    .string()
    .max(512)
    .regex(/^\/[\x21-\x7e]*$/, 'expected a path that begins with /'),
  accountParam: z.string().min(1).max(64).nullable(),
  requestClass: z.string().min(1).max(32),
  contentTypes: z.array(z.string().min(1).max(128)).max(16),
}) satisfies z.ZodType<RouteEntry>;

const bucketMapSchema = z
  .object({
    epoch: epochSchema.max(MAP_EPOCH_MAX),
    groupIds: z.array(serverIdSchema).min(1).max(GROUPS_MAX),
    owners: z.array(z.int().min(0)).min(1).max(BUCKETS_MAX),
  })
  .refine(
    (map) => map.owners.every((owner) => owner < map.groupIds.length),
    'expected owners to be indexes of groupIds',
  );

const publishedStateSchema = z
  .object({
    epoch: epochSchema,
    term: termSchema.default(0),
    config: clusterSchema,
    bucketMap: bucketMapSchema,
    routes: z.array(routeEntrySchema).max(100 * MANIFEST_ROUTES_MAX),
    takenOut: z.record(serverIdSchema, z.enum(['drain', 'maint'])).default({}),
  })
  .refine(
    ({ config, bucketMap }) => bucketMap.owners.length === config.hash.buckets,
    'expected an owner for every bucket',
  )
  .refine(({ config, bucketMap }) => sameGroups(config, bucketMap.groupIds), 'expected the groups of the config');

function sameGroups(config: ClusterConfig, groupIds: readonly string[]): boolean {
  const named = new Set(config.groups.map((group) => group.id));
  return named.size === groupIds.length && groupIds.every((id) => named.has(id));
}

/** @throws PlatformError CONFIG_INVALID that says where it does not fit */
export function parsePublishedState(value: unknown): PublishedState {
  return parseWith(publishedStateSchema, value, 'a published state');
}

/** @throws PlatformError CONFIG_INVALID that names `what` was expected, and the first thing that does not fit */
export function parseWith<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = checkSchema(schema, value);
  if (parsed?.success === true) return parsed.data;
  const issue = parsed?.error.issues[0];
  const where =
    issue === undefined || issue.path.length === 0 ? 'as a whole' : `at ${issue.path.map(String).join('.')}`;
  throw new PlatformError(
    'CONFIG_INVALID',
    `Expected ${what}; ${where}: ${(issue?.message ?? 'invalid').slice(0, 300)}.`,
  );
}
