/**
 * The park as plain maps, written from its documents and not from its code: what each call must answer, and what is there
 * after it. Times are the caller's.
 */
import type { Access, ParkCheck, ParkWrite } from '../../shared/park/park-model.ts';

export const GRACE_MS = 250;

export interface ModelNode {
  value: string;
  version: number;
  readonly createRevision: number;
  modRevision: number;
  readonly access: Access;
  readonly ephemeral: boolean;
  ttlMs: number;
  dueAtMs: number;
  /** Session; '' for none. */
  creator: string;
}

interface ModelDomain {
  readonly creator: string;
  deletable: boolean;
  /** No content of it has another revision above this one. */
  revision: number;
  readonly nodes: Map<string, ModelNode>;
}

interface ModelSession {
  readonly name: string;
  readonly ttlMs: number;
  untilMs: number;
}

export interface ModelWriter {
  readonly session: string;
  readonly force: boolean;
}

/** A name, as the park generates them: only it knows which. */
export type NameOf = (index: number) => string;

export class ParkModel {
  readonly domains = new Map<string, ModelDomain>();
  readonly sessions = new Map<string, ModelSession>();
  /** Changes of content, by domain: what a watch is told. */
  readonly changes = new Map<string, number>();

  node(domain: string, node: string): ModelNode | undefined {
    return this.domains.get(domain)?.nodes.get(node);
  }

  nameOf(session: string): string {
    return this.sessions.get(session)?.name ?? '';
  }

  /** @returns the code it must be refused with; '' when it must be done */
  refusalOf(writer: ModelWriter, writes: readonly ParkWrite[], checks: readonly ParkCheck[]): string {
    if (writer.session !== '' && !this.sessions.has(writer.session)) return 'PARK_SESSION_UNKNOWN';
    for (const { domain, node, version, revision } of checks) {
      const found = this.node(domain, node);
      if (version !== undefined && version !== (found?.version ?? 0)) return 'PARK_VERSION_CONFLICT';
      if (revision !== undefined && revision !== (found?.modRevision ?? 0)) return 'PARK_VERSION_CONFLICT';
    }
    const touched = new Set<string>();
    const born = new Set<string>();
    let nameless = 0;
    for (const write of writes) {
      const code = this.#refusalOfOne(writer, write, touched, born);
      if (code !== '') return code;
      if (write.op === 'create' && write.node === undefined && ++nameless > 1) return 'PARK_REQUEST_INVALID';
      if (write.op === 'create' || write.op === 'put') born.add(write.domain);
    }
    return '';
  }

  /** What may be done, is. @param nameOf of the write at an index, when it has none */
  apply(writer: ModelWriter, writes: readonly ParkWrite[], revision: number, nowMs: number, nameOf: NameOf): void {
    const emptied: string[] = [];
    for (const [index, write] of writes.entries()) {
      const domain = this.domains.get(write.domain);
      if (write.op === 'delete-domain') {
        this.#changed(write.domain, domain?.nodes.size ?? 0);
        this.domains.delete(write.domain);
        continue;
      }
      if (write.op === 'set-deletable') {
        const found = this.#domainFor(write.domain, writer.session);
        found.deletable = true;
        found.revision = revision;
        continue;
      }
      if (write.op === 'delete') {
        domain?.nodes.delete(write.node);
        if (domain !== undefined) domain.revision = revision;
        this.#changed(write.domain, 1);
        emptied.push(write.domain);
        continue;
      }
      this.#put(writer, write, write.node ?? nameOf(index), revision, nowMs);
    }
    for (const domain of emptied) if (this.domains.get(domain)?.nodes.size === 0) this.domains.delete(domain);
  }

  /** What has run out by this instant goes. @returns domains that something went from */
  expire(atMs: number): Set<string> {
    const from = new Set<string>();
    for (const [id, { untilMs }] of this.sessions)
      if (untilMs <= atMs) for (const one of this.endSession(id)) from.add(one);
    for (const [domain, { nodes }] of this.domains)
      for (const [node, { ttlMs, dueAtMs }] of nodes)
        if (ttlMs > 0 && dueAtMs <= atMs) from.add(this.#remove(domain, node));
    return from;
  }

  /** @returns domains that something went from */
  endSession(id: string): Set<string> {
    const from = new Set<string>();
    for (const [domain, { nodes }] of this.domains)
      for (const [node, { ephemeral, creator }] of nodes)
        if (ephemeral && creator === id) from.add(this.#remove(domain, node));
    this.sessions.delete(id);
    return from;
  }

  /** All time begins anew: late rather than early. */
  restart(nowMs: number): void {
    for (const session of this.sessions.values()) session.untilMs = nowMs + session.ttlMs + GRACE_MS;
    for (const { nodes } of this.domains.values()) for (const node of nodes.values()) node.dueAtMs = nowMs + node.ttlMs;
  }

  #refusalOfOne(writer: ModelWriter, write: ParkWrite, touched: Set<string>, born: ReadonlySet<string>): string {
    if (write.op === 'delete-domain' || write.op === 'set-deletable')
      return this.#refusalOfWhole(writer, write, touched, born);
    const { domain } = write;
    if (write.op === 'create' && write.ephemeral === true && writer.session === '') return 'PARK_REQUEST_INVALID';
    const isWholeGone = touched.has(`${domain}/`);
    if (write.node === undefined) {
      touched.add(`${domain}/(a generated name)`);
      return isWholeGone ? 'PARK_REQUEST_INVALID' : '';
    }
    const known = this.node(domain, write.node);
    const ifVersion = write.op === 'create' ? undefined : write.ifVersion;
    if (write.op === 'put' && known === undefined && (ifVersion ?? 0) !== 0) return 'PARK_VERSION_CONFLICT';
    if (isWholeGone || touched.has(`${domain}/${write.node}`)) return 'PARK_REQUEST_INVALID';
    touched.add(`${domain}/${write.node}`);
    if (write.op === 'create' || (write.op === 'put' && (known === undefined || ifVersion === 0)))
      return known === undefined ? '' : 'PARK_NODE_EXISTS';
    return known === undefined ? 'PARK_NODE_UNKNOWN' : refusalOfChange(writer, write, known);
  }

  #refusalOfWhole(
    writer: ModelWriter,
    { op, domain }: ParkWrite,
    touched: Set<string>,
    born: ReadonlySet<string>,
  ): string {
    const found = this.domains.get(domain);
    if (found === undefined && !born.has(domain)) return 'PARK_DOMAIN_UNKNOWN';
    const isWhole = op === 'delete-domain';
    if (isWhole && [...touched].some((key) => key.startsWith(`${domain}/`))) return 'PARK_REQUEST_INVALID';
    if (touched.has(`${domain}/`)) return 'PARK_REQUEST_INVALID';
    if (isWhole) touched.add(`${domain}/`);
    const creator = found === undefined ? writer.session : found.creator;
    const may = writer.force || (creator !== '' && creator === writer.session);
    return may || (isWhole && found?.deletable === true) ? '' : 'PARK_RIGHTS_MISSING';
  }

  #put(
    writer: ModelWriter,
    write: Extract<ParkWrite, { op: 'create' | 'put' | 'update' }>,
    node: string,
    revision: number,
    nowMs: number,
  ): void {
    const domain = this.#domainFor(write.domain, writer.session);
    domain.revision = revision;
    const known = domain.nodes.get(node);
    const given = write.op === 'update' ? { access: undefined, ttlMs: undefined } : write;
    if (known === undefined) {
      const { access = 'all', ttlMs = 0 } = given;
      const ephemeral = write.op === 'create' && write.ephemeral === true;
      const times = { version: 1, createRevision: revision, modRevision: revision, dueAtMs: nowMs + ttlMs };
      domain.nodes.set(node, { value: write.value, access, ephemeral, ttlMs, creator: writer.session, ...times });
      this.#changed(write.domain, 1);
      return;
    }
    if (known.value !== write.value) this.#changed(write.domain, 1);
    known.value = write.value;
    known.version += 1;
    known.modRevision = revision;
    known.ttlMs = given.ttlMs ?? known.ttlMs;
    known.dueAtMs = nowMs + known.ttlMs;
    if (!this.sessions.has(known.creator)) known.creator = '';
  }

  #domainFor(domain: string, creator: string): ModelDomain {
    const known = this.domains.get(domain);
    if (known !== undefined) return known;
    const born = { creator, deletable: false, revision: 0, nodes: new Map<string, ModelNode>() };
    this.domains.set(domain, born);
    return born;
  }

  #remove(domain: string, node: string): string {
    const found = this.domains.get(domain);
    found?.nodes.delete(node);
    if (found?.nodes.size === 0) this.domains.delete(domain);
    this.#changed(domain, 1);
    return domain;
  }

  #changed(domain: string, count: number): void {
    this.changes.set(domain, (this.changes.get(domain) ?? 0) + count);
  }
}

/** Of an update, or a delete. */
function refusalOfChange(writer: ModelWriter, write: ParkWrite, known: ModelNode): string {
  const sufficient: Access[] = write.op === 'delete' ? ['all'] : ['all', 'read-write'];
  const isCreator = known.creator !== '' && known.creator === writer.session;
  if (!writer.force && !isCreator && !sufficient.includes(known.access)) return 'PARK_RIGHTS_MISSING';
  if ('ifVersion' in write && write.ifVersion !== undefined && write.ifVersion !== known.version)
    return 'PARK_VERSION_CONFLICT';
  const isLimited = write.op === 'put' && known.ephemeral && (write.ttlMs ?? 0) > 0;
  return isLimited ? 'PARK_REQUEST_INVALID' : '';
}
