/**
 * Keys and values of the park in etcd. Everything is under one prefix a cluster; values are JSON with a format.
 *
 * | key                   | value                                                        | lease          |
 * |-----------------------|--------------------------------------------------------------|----------------|
 * | `n/<domain>/<node>`   | value (text of JSON), access, ephemeral, ttlMs, creator      | of its session, or its own for a TTL |
 * | `d/<domain>`          | creator, deletable, nextName; what a dead domain left is swept | |
 * | `s/<session id>`      | name, ttlMs                                                  | its own        |
 * | `leader`              | id of the coordinator that leads                             | of that        |
 * | `barrier`             | written to learn that everything before it was told          |                |
 *
 * R1: revisions and versions are etcd's own, of the node's key.
 */
import { z } from 'zod';
import { PlatformError } from '../../shared/errors.ts';
import { ACCESS_RIGHTS } from '../../shared/park/park-model.ts';
import { checkSchema } from '../../shared/schema-check.ts';
import type { DomainRecord, NodeRecord } from '../park/park-rules.ts';
import type { StoredChange } from '../park/park-state.ts';
import type { EtcdChange, EtcdEntry } from './etcd-connection.ts';

const FORMAT = 1;
const format = z.literal(FORMAT);
const nodeSchema = z.object({
  format,
  value: z.string(),
  access: z.enum(ACCESS_RIGHTS),
  ephemeral: z.boolean(),
  ttlMs: z.int().min(0),
  creator: z.string(),
});
const domainSchema = z.object({ format, creator: z.string(), deletable: z.boolean(), nextName: z.int().min(0) });
const sessionSchema = z.object({ format, name: z.string(), ttlMs: z.int().min(0) });

export class EtcdKeys {
  readonly prefix: string;

  constructor(cluster: string) {
    this.prefix = `/trunkline/${cluster}/`;
  }

  node(domain: string, node: string): string {
    return `${this.prefix}n/${domain}/${node}`;
  }

  /** What all nodes of a domain begin with. */
  nodesOf(domain: string): string {
    return `${this.prefix}n/${domain}/`;
  }

  domain(domain: string): string {
    return `${this.prefix}d/${domain}`;
  }

  session(id: string): string {
    return `${this.prefix}s/${id}`;
  }

  get leader(): string {
    return `${this.prefix}leader`;
  }

  get barrier(): string {
    return `${this.prefix}barrier`;
  }
}

/** Lease of a session: 60 of its 128 random bits, as etcd's ids have 63. */
export function leaseOf(sessionId: string): string {
  return BigInt(`0x${sessionId.slice(0, 15)}`).toString();
}

export function nodeText({ value, access, ephemeral, ttlMs, creator }: NodeRecord): string {
  return JSON.stringify({ format: FORMAT, value, access, ephemeral, ttlMs, creator });
}

export function domainText({ creator, deletable, nextName }: DomainRecord): string {
  return JSON.stringify({ format: FORMAT, creator, deletable, nextName });
}

export function sessionText(name: string, ttlMs: number): string {
  return JSON.stringify({ format: FORMAT, name, ttlMs });
}

/**
 * What a change in etcd is to the park.
 * @param known the node as it was
 * @returns undefined: it is not about domains, nodes or sessions
 */
export function parkChangeOf(
  keys: EtcdKeys,
  { kind, entry }: EtcdChange,
  known: (domain: string, node: string) => NodeRecord | undefined,
): StoredChange | undefined {
  const [type, ...rest] = entry.key.slice(keys.prefix.length).split('/');
  const [name = '', node = ''] = rest;
  if (type === 'n' && kind === 'delete') return { kind: 'remove', domain: name, node };
  if (type === 'n') {
    const record = nodeRecordOf(name, node, entry);
    const before = known(name, node);
    return {
      kind: 'put',
      record,
      contentChanged:
        before === undefined || before.createRevision !== record.createRevision || before.value !== record.value,
    };
  }
  if (type === 'd' && kind === 'put') {
    const { creator, deletable, nextName } = read(domainSchema, entry);
    return { kind: 'domain', record: { domain: name, creator, deletable, nextName } };
  }
  if (type !== 's') return undefined;
  if (kind === 'delete') return { kind: 'session-ended', id: name };
  const { name: sessionName, ttlMs } = read(sessionSchema, entry);
  return { kind: 'session', id: name, name: sessionName, ttlMs };
}

/** R1 */
function nodeRecordOf(domain: string, node: string, entry: EtcdEntry): NodeRecord {
  const { value, access, ephemeral, ttlMs, creator } = read(nodeSchema, entry);
  const { version, createRevision, modRevision } = entry;
  return { domain, node, value, access, ephemeral, ttlMs, creator, version, createRevision, modRevision };
}

function read<T>(schema: z.ZodType<T>, { key, value }: EtcdEntry): T {
  let json: unknown;
  try {
    json = JSON.parse(value);
  } catch {
    // Told below.
  }
  const parsed = checkSchema(schema, json);
  if (parsed?.success === true) return parsed.data;
  const detail = `expected a record of format ${FORMAT} at ${key} in etcd, got ${value.slice(0, 100)}: another version wrote it, or another program`;
  throw new PlatformError('STORE_UNAVAILABLE', detail);
}
