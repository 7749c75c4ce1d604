/**
 * What a transaction does to the park, or why it may not: the one place of the park's rules, for every store. Pure: a
 * store shows what the transaction touches (ParkView), and puts the changes in force if that has not changed since.
 *
 * T1: all of it or nothing: the first thing that may not be refuses the whole transaction.
 * T2: the creator of a node may do everything to it while its session lives; everybody else what `access` says.
 * T3: a domain comes with its first node and goes with its last. Only its creator deletes it whole, or, once it was set
 *     deletable, everybody.
 * T4: a generated name is greater than every name generated in the domain before, also when the domain was gone in
 *     between: numbers begin above the revision of the domain's birth, and each takes a revision of its own.
 * T5: what is in the platform's own domains only coordinators write.
 */
import { PlatformError } from '../../shared/errors.ts';
import {
  type Access,
  type ParkCheck,
  type ParkTransaction,
  type ParkWrite,
  PLATFORM_DOMAIN_PREFIX,
  type WriteOutcome,
  type WriteResult,
} from '../../shared/park/park-model.ts';
import type { Writer } from '../store/park-store.ts';
import {
  invalid,
  requireAccess,
  requireLifetime,
  requireName,
  requireShape,
  requireValue,
  shown,
} from './park-bounds.ts';

/** A node as a store keeps it. */
export interface NodeRecord {
  readonly domain: string;
  readonly node: string;
  readonly value: string;
  readonly version: number;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly access: Access;
  readonly ephemeral: boolean;
  /** 0: none. */
  readonly ttlMs: number;
  /** Session that created it, '' when that has ended or there was none. */
  readonly creator: string;
}

/** A domain that has at least one node. */
export interface DomainRecord {
  readonly domain: string;
  readonly creator: string;
  readonly deletable: boolean;
  /** Number of the next generated name; begins at the revision of the domain's birth, so no name ever comes twice. */
  readonly nextName: number;
}

export interface ParkView {
  /** Before the transaction. */
  readonly revision: number;
  domain(domain: string): DomainRecord | undefined;
  node(domain: string, node: string): NodeRecord | undefined;
  /** @returns the session's name; undefined when it does not live */
  sessionName(id: string): string | undefined;
}

export type ParkChange =
  | { readonly kind: 'put'; readonly record: NodeRecord; readonly contentChanged: boolean }
  /** T3: a domain whose last node goes, when all changes are in force, goes with it. */
  | { readonly kind: 'remove'; readonly domain: string; readonly node: string }
  | { readonly kind: 'domain'; readonly record: DomainRecord }
  /** With all its nodes. */
  | { readonly kind: 'remove-domain'; readonly domain: string };

export interface Decision {
  readonly changes: readonly ParkChange[];
  readonly outcome: WriteOutcome;
}

/** @throws PlatformError PARK_* */
export function decide(view: ParkView, writer: Writer, transaction: ParkTransaction): Decision {
  requireShape(transaction);
  if (writer.session !== '' && view.sessionName(writer.session) === undefined) throw sessionUnknown();
  for (const check of transaction.checks ?? []) requireCheck(view, check);
  const draft = new Draft(view, writer);
  for (const write of transaction.writes) draft.apply(write); // T1
  return draft.decision();
}

/** Domains and nodes that a transaction reads or writes: what a store has to show, and to find unchanged. */
export function touchedBy(transaction: ParkTransaction): {
  readonly domains: ReadonlySet<string>;
  readonly nodes: readonly { readonly domain: string; readonly node: string }[];
} {
  const domains = new Set<string>();
  const nodes: { domain: string; node: string }[] = [];
  for (const { domain, node } of transaction.checks ?? []) nodes.push({ domain, node });
  for (const write of transaction.writes) {
    domains.add(write.domain);
    if ('node' in write && write.node !== undefined) nodes.push({ domain: write.domain, node: write.node });
  }
  return { domains, nodes };
}

/** Name that a domain's number generates: sorts as the numbers do. */
export function generatedName(number: number): string {
  return `n${String(number).padStart(16, '0')}`;
}

/** What a transaction has come to so far. */
class Draft {
  readonly #view: ParkView;
  readonly #writer: Writer;
  readonly #revision: number;
  readonly #changes: ParkChange[] = [];
  readonly #results: WriteResult[] = [];
  /** `domain/node` of what was written: no node twice, so later writes never depend on earlier ones. */
  readonly #written = new Set<string>();
  /** Domain records as they are by now, of those that changed. */
  readonly #domains = new Map<string, DomainRecord>();
  #namesGenerated = 0;

  constructor(view: ParkView, writer: Writer) {
    this.#view = view;
    this.#writer = writer;
    this.#revision = view.revision + 1;
  }

  apply(write: ParkWrite): void {
    requireName('domain', write.domain);
    if (write.domain.startsWith(PLATFORM_DOMAIN_PREFIX) && !this.#writer.platform) throw platformDomain(write.domain); // T5
    switch (write.op) {
      case 'create':
        return this.#create(write);
      case 'update':
        return this.#update(write.domain, write.node, write.value, write.ifVersion, undefined);
      case 'put':
        return this.#put(write);
      case 'delete':
        return this.#delete(write.domain, write.node, write.ifVersion);
      case 'delete-domain':
        return this.#deleteDomain(write.domain);
      case 'set-deletable':
        return this.#setDeletable(write.domain);
      default:
        throw invalid(
          `expected op create, update, put, delete, delete-domain or set-deletable, got ${shown((write as { op: unknown }).op)}`,
        );
    }
  }

  decision(): Decision {
    return { changes: this.#changes, outcome: { revision: this.#revision, results: this.#results } };
  }

  #create(write: Extract<ParkWrite, { op: 'create' }>): void {
    const { domain, value, access = 'all', ephemeral = false, ttlMs = 0 } = write;
    requireValue(value);
    requireAccess(access);
    requireLifetime(ephemeral, ttlMs);
    if (ephemeral && this.#writer.session === '')
      throw invalid('expected a session for an ephemeral node, which lives by it: open one first');
    const node = write.node ?? this.#generateName(domain);
    this.#claim(domain, node);
    const known = this.#view.node(domain, node);
    if (known !== undefined) throw this.#nodeExists(known);
    this.#born({ domain, node, value, access, ephemeral, ttlMs });
  }

  #put(write: Extract<ParkWrite, { op: 'put' }>): void {
    const { domain, node, value, ifVersion, access, ttlMs } = write;
    requireName('node', node);
    if (this.#view.node(domain, node) !== undefined && ifVersion !== 0)
      return this.#update(domain, node, value, ifVersion, ttlMs);
    if (ifVersion !== undefined && ifVersion !== 0) throw versionConflict(domain, node, 0, ifVersion);
    this.#create({ op: 'create', domain, node, value, access, ttlMs });
  }

  #update(domain: string, node: string, value: string, ifVersion: number | undefined, ttlMs: number | undefined): void {
    requireValue(value);
    if (ttlMs !== undefined) requireLifetime(false, ttlMs);
    this.#claim(domain, node);
    const known = this.#require(domain, node);
    this.#requireRight(known, 'write');
    if (ifVersion !== undefined) requireVersion(domain, node, known.version, ifVersion);
    if (ttlMs !== undefined && known.ephemeral) requireLifetime(true, ttlMs);
    const version = known.version + 1;
    const record: NodeRecord = {
      ...known,
      value,
      version,
      modRevision: this.#revision,
      ttlMs: ttlMs ?? known.ttlMs,
      creator: this.#liveCreator(known.creator),
    };
    this.#changes.push({ kind: 'put', record, contentChanged: known.value !== value });
    this.#results.push({ domain, node, version });
  }

  #delete(domain: string, node: string, ifVersion: number | undefined): void {
    this.#claim(domain, node);
    const known = this.#require(domain, node);
    this.#requireRight(known, 'delete');
    if (ifVersion !== undefined) requireVersion(domain, node, known.version, ifVersion);
    this.#changes.push({ kind: 'remove', domain, node });
    this.#results.push({ domain, node, version: 0 });
  }

  #deleteDomain(domain: string): void {
    const record = this.#requireDomain(domain);
    this.#claim(domain, '');
    const { session, force } = this.#writer;
    const isCreator = record.creator !== '' && record.creator === session;
    if (!isCreator && !record.deletable && !force) {
      const owner = this.#nameOf(record.creator);
      const who = owner === '' ? 'whose session has ended' : owner;
      throw rights(`domain ${domain} may be deleted by its creator only (${who}), who has not set it deletable`); // T3
    }
    this.#changes.push({ kind: 'remove-domain', domain });
    this.#results.push({ domain, node: '', version: 0 });
  }

  #setDeletable(domain: string): void {
    const record = this.#requireDomain(domain);
    if (this.#written.has(`${domain}/`))
      throw invalid(
        `expected domain ${domain} to be deleted or set deletable in a transaction, got both: leave one out`,
      );
    const { session, force } = this.#writer;
    const isCreator = record.creator !== '' && record.creator === session;
    if (!isCreator && !force) {
      const owner = this.#nameOf(record.creator);
      throw rights(
        `domain ${domain} may be set deletable by its creator only (${owner === '' ? 'whose session has ended' : owner})`,
      );
    }
    this.#setDomain({ ...record, deletable: true });
    this.#results.push({ domain, node: '', version: 0 });
  }

  #born(born: Omit<NodeRecord, 'version' | 'createRevision' | 'modRevision' | 'creator'>): void {
    const { domain, node } = born;
    const revision = this.#revision;
    this.#domainFor(domain);
    const creator = this.#writer.session;
    const record: NodeRecord = { ...born, version: 1, createRevision: revision, modRevision: revision, creator };
    this.#changes.push({ kind: 'put', record, contentChanged: true });
    this.#results.push({ domain, node, version: 1 });
  }

  /** T3: the domain's record, made when this is its first node. */
  #domainFor(domain: string): DomainRecord {
    const known = this.#domains.get(domain) ?? this.#view.domain(domain);
    if (known !== undefined) return known;
    const record = { domain, creator: this.#writer.session, deletable: false, nextName: this.#revision };
    this.#setDomain(record);
    return record;
  }

  /** T4 */
  #generateName(domain: string): string {
    if (++this.#namesGenerated > 1)
      throw invalid('expected at most one node without a name in a transaction, got more');
    const record = this.#domainFor(domain);
    let number = record.nextName;
    // Somebody may have given a node such a name by hand: it is passed over, or nothing could be created here any more.
    while (this.#view.node(domain, generatedName(number)) !== undefined) number += 1;
    this.#setDomain({ ...record, nextName: number + 1 });
    return generatedName(number);
  }

  #setDomain(record: DomainRecord): void {
    const at = this.#changes.findIndex((change) => change.kind === 'domain' && change.record.domain === record.domain);
    this.#domains.set(record.domain, record);
    if (at >= 0) this.#changes[at] = { kind: 'domain', record };
    else this.#changes.push({ kind: 'domain', record });
  }

  /** Each node once, and nothing beside the deletion of its whole domain. */
  #claim(domain: string, node: string): void {
    if (node !== '') requireName('node', node);
    const beside =
      node === '' ? [...this.#written].some((key) => key.startsWith(`${domain}/`)) : this.#written.has(`${domain}/`);
    if (beside || this.#written.has(`${domain}/${node}`))
      throw invalid(`expected each node once in a transaction, got ${domain}/${node} again: split the transaction`);
    this.#written.add(`${domain}/${node}`);
  }

  #require(domain: string, node: string): NodeRecord {
    const known = this.#view.node(domain, node);
    if (known !== undefined) return known;
    const where =
      this.#view.domain(domain) === undefined ? `there is no domain ${domain}` : `domain ${domain} has no node ${node}`;
    throw new PlatformError('PARK_NODE_UNKNOWN', `expected a node ${domain}/${node}, ${where}: create it, or use put`);
  }

  #requireDomain(domain: string): DomainRecord {
    const record = this.#domains.get(domain) ?? this.#view.domain(domain);
    if (record !== undefined) return record;
    throw new PlatformError(
      'PARK_DOMAIN_UNKNOWN',
      `expected a domain ${domain}, there is none: a domain comes with its first node`,
    );
  }

  /** T2 */
  #requireRight(known: NodeRecord, what: 'write' | 'delete'): void {
    const { session, force } = this.#writer;
    if (force || (known.creator !== '' && known.creator === session)) return;
    if (known.access === 'all' || (known.access === 'read-write' && what === 'write')) return;
    const owner = this.#nameOf(known.creator);
    const who = owner === '' ? 'its creator, whose session has ended' : `its creator ${owner}`;
    throw rights(
      `${known.domain}/${known.node} is ${known.access} for everybody but ${who}: it may not be ${what === 'write' ? 'written' : 'deleted'}`,
    );
  }

  #nodeExists(known: NodeRecord): PlatformError {
    const owner = this.#nameOf(known.creator);
    const whose = owner === '' ? '' : `, created by ${owner}`;
    const detail = `expected no node ${known.domain}/${known.node}, there is one (version ${known.version}${whose}): update it, or use put`;
    return new PlatformError('PARK_NODE_EXISTS', detail);
  }

  #nameOf(session: string): string {
    return session === '' ? '' : (this.#view.sessionName(session) ?? '');
  }

  #liveCreator(session: string): string {
    return session !== '' && this.#view.sessionName(session) !== undefined ? session : '';
  }
}

function requireCheck(view: ParkView, { domain, node, version, revision }: ParkCheck): void {
  requireName('domain', domain);
  requireName('node', node);
  const found = view.node(domain, node);
  if (version !== undefined) requireVersion(domain, node, found?.version ?? 0, version);
  if (revision === undefined || (found?.modRevision ?? 0) === revision) return;
  const has = found === undefined ? 'there is no such node' : `it is at revision ${found.modRevision}`;
  const detail = `expected ${domain}/${node} at revision ${revision}, ${has}: read it again, decide again, write again`;
  throw new PlatformError('PARK_VERSION_CONFLICT', detail);
}

function requireVersion(domain: string, node: string, version: number, expected: number): void {
  if (version !== expected) throw versionConflict(domain, node, version, expected);
}

function versionConflict(domain: string, node: string, version: number, expected: number): PlatformError {
  const has = version === 0 ? 'there is no such node' : `it has version ${version}`;
  const detail = `expected version ${expected} of ${domain}/${node}, ${has}: read it again, decide again, write again`;
  return new PlatformError('PARK_VERSION_CONFLICT', detail);
}

function sessionUnknown(): PlatformError {
  return new PlatformError('PARK_SESSION_UNKNOWN', 'expected a session that lives, this one has ended: open a new one');
}

function platformDomain(domain: string): PlatformError {
  return rights(
    `${domain} is one of the platform's own domains (${PLATFORM_DOMAIN_PREFIX}*): only coordinators write it`,
  );
}

function rights(what: string): PlatformError {
  return new PlatformError('PARK_RIGHTS_MISSING', what);
}
