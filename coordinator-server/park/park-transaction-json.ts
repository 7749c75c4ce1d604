/** A transaction as JSON over HTTP: values as they are. */
import { z } from 'zod';
import { PlatformError } from '../../shared/errors.ts';
import { ACCESS_RIGHTS, PARK_LIMITS, type ParkTransaction } from '../../shared/park/park-model.ts';
import { checkSchema } from '../../shared/schema-check.ts';

const name = z.string().max(PARK_LIMITS.nameCharsMax * 2);
const version = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const access = z.enum(ACCESS_RIGHTS).optional();
const ttlMs = z.number().optional();
/** `undefined` is what JSON has not. */
const value = z.unknown().refine((one) => one !== undefined, 'expected a value');

const writeSchema = z.discriminatedUnion('op', [
  z.strictObject({
    op: z.literal('create'),
    domain: name,
    node: name.optional(),
    value,
    access,
    ttlMs,
    ephemeral: z.boolean().optional(),
  }),
  z.strictObject({ op: z.literal('update'), domain: name, node: name, value, ifVersion: version.optional() }),
  z.strictObject({
    op: z.literal('put'),
    domain: name,
    node: name,
    value,
    access,
    ttlMs,
    ifVersion: version.optional(),
  }),
  z.strictObject({ op: z.literal('delete'), domain: name, node: name, ifVersion: version.optional() }),
  z.strictObject({ op: z.literal('delete-domain'), domain: name }),
  z.strictObject({ op: z.literal('set-deletable'), domain: name }),
]);

const transactionSchema = z.strictObject({
  checks: z
    .array(
      z.union(
        [
          z.strictObject({ domain: name, node: name, version }),
          z.strictObject({ domain: name, node: name, revision: version }),
        ],
        'expected a domain, a node, and a version or a revision',
      ),
    )
    .max(PARK_LIMITS.checksMax)
    .optional(),
  writes: z.array(writeSchema).max(PARK_LIMITS.writesMax),
});

/** @throws PlatformError PARK_REQUEST_INVALID */
export function parseTransaction(json: unknown): ParkTransaction {
  const parsed = checkSchema(transactionSchema, json);
  if (parsed?.success !== true) {
    const issue = parsed?.error.issues[0];
    const where = issue === undefined || issue.path.length === 0 ? '' : ` at ${issue.path.map(String).join('.')}`;
    const detail = `expected {"writes": […], "checks": […]}${where}: ${(issue?.message ?? 'not that').slice(0, 200)}`;
    throw new PlatformError('PARK_REQUEST_INVALID', detail);
  }
  const { checks, writes } = parsed.data;
  return {
    checks,
    writes: writes.map((write) => ('value' in write ? { ...write, value: JSON.stringify(write.value) } : write)),
  };
}

export function touchedDomains({ checks = [], writes }: ParkTransaction): { domain: string; what: 'read' | 'write' }[] {
  const read = checks.map(({ domain }) => ({ domain, what: 'read' as const }));
  return [...read, ...writes.map(({ domain }) => ({ domain, what: 'write' as const }))];
}
