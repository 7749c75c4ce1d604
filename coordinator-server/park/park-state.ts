/**
 * The park in memory: domains, nodes, sessions. Changed in place, as a million nodes cannot be copied; it knows no clock,
 * no disk and no watchers, so the same calls with the same times always give the same park.
 *
 * V1: what a transaction does is decided by park-rules.ts; here it is put in force, as a whole, under one revision.
 * V2: every change that is put in force gives back how to undo it; undone in reverse order, the park is what it was.
 *     Revisions are not taken back: none is ever given twice.
 * V3: a session lives TTL and GRACE_MS from when its renewal was received, and its client counts TTL from when it sent
 *     it: the client stops believing first. It may be ended late, never early.
 * V4: putting recorded changes in force again (load) is harmless: a record holds the whole node, so the last one counts.
 */
import BTreeModule from 'sorted-btree';
import { PlatformError } from '../../shared/errors.ts';
import { PARK_LIMITS, type ParkNode } from '../../shared/park/park-model.ts';
import { DueNodes, type NodeName } from './due-nodes.ts';
import type { DomainRecord, NodeRecord, ParkChange, ParkView } from './park-rules.ts';

const BTree = BTreeModule.default;
type Tree<V> = InstanceType<typeof BTree<string, V>>;

/** A renewal may be under way, or wait in a queue, when its session's time is up. */
export const GRACE_MS = 250;

/** Besides names and value: what a node takes in memory. */
const NODE_BYTES = 300;

export type StoredChange =
  | ParkChange
  | { readonly kind: 'session'; readonly id: string; readonly name: string; readonly ttlMs: number }
  | { readonly kind: 'session-ended'; readonly id: string };

export interface SessionState {
  readonly id: string;
  readonly name: string;
  readonly ttlMs: number;
  untilMs: number;
  /** Its ephemeral nodes, `domain/node`. */
  readonly nodes: Set<string>;
}

interface DomainState {
  record: DomainRecord;
  /** Of its last change of any kind. */
  modRevision: number;
  readonly nodes: Tree<NodeRecord>;
}

/** V2: what was there before, in the order it was changed. */
export type Undo =
  | {
      readonly kind: 'node';
      readonly domain: string;
      readonly node: string;
      readonly before: NodeRecord | undefined;
      /** When it would have gone. */
      readonly dueAtMs: number | undefined;
    }
  | { readonly kind: 'domain'; readonly domain: string; readonly before: DomainState | undefined }
  | {
      readonly kind: 'domain-record';
      readonly domain: string;
      readonly before: DomainRecord;
      readonly modRevision: number;
    }
  | { readonly kind: 'session'; readonly id: string; readonly before: SessionState | undefined };

export interface Due {
  readonly sessions: readonly string[];
  readonly nodes: readonly NodeName[];
}

/** Code-unit order, everywhere the same. */
function byCodeUnit(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

export class ParkState implements ParkView {
  revision = 0;
  readonly #domains: Tree<DomainState> = new BTree(undefined, byCodeUnit);
  readonly #sessions = new Map<string, SessionState>();
  readonly #due = new DueNodes();
  #nodesWithTtl = 0;
  /** When this was last told the time. */
  #nowMs = 0;
  #nodes = 0;
  #bytes = 0;

  get nodes(): number {
    return this.#nodes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Entries kept for nodes with a TTL. */
  get dueEntries(): number {
    return this.#due.size;
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  domain(domain: string): DomainRecord | undefined {
    return this.#domains.get(domain)?.record;
  }

  node(domain: string, node: string): NodeRecord | undefined {
    return this.#domains.get(domain)?.nodes.get(node);
  }

  sessionName(id: string): string | undefined {
    return this.#sessions.get(id)?.name;
  }

  session(id: string): SessionState | undefined {
    return this.#sessions.get(id);
  }

  /** 0: no such domain. */
  domainRevision(domain: string): number {
    return this.#domains.get(domain)?.modRevision ?? 0;
  }

  nodesOf(domain: string): number {
    return this.#domains.get(domain)?.nodes.size ?? 0;
  }

  /** @returns the next node of the domain in the order of names; '' begins */
  nextNode(domain: string, after: string): NodeRecord | undefined {
    return this.#domains.get(domain)?.nodes.nextHigherPair(after)?.[1];
  }

  /** @returns the next domain in the order of names; '' begins */
  nextDomain(after: string): { readonly record: DomainRecord; readonly nodes: number } | undefined {
    const found = this.#domains.nextHigherPair(after)?.[1];
    return found === undefined ? undefined : { record: found.record, nodes: found.nodes.size };
  }

  sessionIds(): IterableIterator<string> {
    return this.#sessions.keys();
  }

  /** What others see of a node. */
  view(record: NodeRecord): ParkNode {
    const { domain, node, value, version, createRevision, modRevision, access, ephemeral, creator } = record;
    const owner = creator === '' ? '' : (this.#sessions.get(creator)?.name ?? '');
    return { domain, node, value, version, createRevision, modRevision, access, ephemeral, owner };
  }

  /** @throws PlatformError PARK_LIMIT when the changes would take the park over a bound */
  requireRoom(changes: readonly StoredChange[]): void {
    if (this.#nodes < PARK_LIMITS.nodesMax - PARK_LIMITS.writesMax && this.#bytes < PARK_LIMITS.totalBytesMax / 2)
      return;
    let nodes = this.#nodes;
    let bytes = this.#bytes;
    for (const change of changes) {
      if (change.kind !== 'put') continue;
      const before = this.node(change.record.domain, change.record.node);
      nodes += before === undefined ? 1 : 0;
      bytes += bytesOf(change.record) - (before === undefined ? 0 : bytesOf(before));
    }
    if (nodes <= PARK_LIMITS.nodesMax && (bytes <= PARK_LIMITS.totalBytesMax || bytes <= this.#bytes)) return;
    const detail = `expected at most ${PARK_LIMITS.nodesMax} nodes and ${PARK_LIMITS.totalBytesMax} bytes in the park, it would have ${nodes} and ${bytes}: delete what is no longer used`;
    throw new PlatformError('PARK_LIMIT', detail);
  }

  /**
   * V1. Puts changes in force under the next revision.
   * @param nowMs node TTLs and new sessions count from it
   * @returns how to undo it (V2)
   */
  apply(changes: readonly StoredChange[], nowMs: number): Undo[] {
    this.revision += 1;
    return this.#put(changes, this.revision, nowMs);
  }

  /** V4. The same of recorded changes. @param revision 0: of a snapshot, whose nodes bring their own */
  load(changes: readonly StoredChange[], revision: number, nowMs: number): Undo[] {
    if (revision > this.revision) this.revision = revision;
    return this.#put(changes, revision, nowMs);
  }

  /**
   * After all records were loaded: a snapshot may hold a domain that lost its nodes while it was made. It does not hold
   * when a domain lost a node: any may have until its end, so whoever asks for what is newer is told all there is.
   * @param endRevision of the snapshot, 0: there was none
   */
  afterLoad(endRevision: number): void {
    for (let found = this.nextDomain(''); found !== undefined; found = this.nextDomain(found.record.domain)) {
      const state = this.#domains.get(found.record.domain) as DomainState;
      if (found.nodes === 0) this.#domains.delete(found.record.domain);
      else if (state.modRevision < endRevision) state.modRevision = endRevision;
    }
  }

  undo(steps: readonly Undo[]): void {
    for (let index = steps.length - 1; index >= 0; index--) this.#undoOne(steps[index] as Undo);
  }

  /** V3. @returns false when there is no such session */
  renew(id: string, nowMs: number): boolean {
    const session = this.#sessions.get(id);
    if (session === undefined) return false;
    session.untilMs = Math.max(session.untilMs, nowMs + session.ttlMs + GRACE_MS);
    return true;
  }

  /**
   * What has run out by now: sessions (they stay until their end is put in force), and nodes with a TTL.
   * @param max of each, so that one call stays short; the rest comes with the next
   */
  due(nowMs: number, max: number): Due {
    const sessions: string[] = [];
    for (const { id, untilMs } of this.#sessions.values()) {
      if (sessions.length >= max) break;
      if (untilMs <= nowMs) sessions.push(id);
    }
    const hasTtl = (domain: string, node: string): boolean => (this.node(domain, node)?.ttlMs ?? 0) > 0;
    this.#due.trim(this.#nodesWithTtl, hasTtl);
    return { sessions, nodes: this.#due.takeDue(nowMs, max, hasTtl) };
  }

  #dueAtMsOf(record: NodeRecord | undefined): number | undefined {
    return record === undefined || record.ttlMs === 0 ? undefined : this.#due.dueAtMs(record.domain, record.node);
  }

  /** A node that was due could not be removed now. */
  dueAgain(domain: string, node: string, atMs: number): void {
    this.#due.set(domain, node, atMs);
  }

  #put(changes: readonly StoredChange[], revision: number, nowMs: number): Undo[] {
    const undo: Undo[] = [];
    this.#nowMs = nowMs;
    for (const change of changes) {
      switch (change.kind) {
        case 'put':
          this.#putNode(change.record, Math.max(revision, change.record.modRevision), nowMs, undo);
          break;
        case 'remove':
          this.#removeNode(change.domain, change.node, revision, undo);
          break;
        case 'domain':
          this.#putDomain(change.record, revision, undo);
          break;
        case 'remove-domain':
          this.#removeDomain(change.domain, undo);
          break;
        case 'session':
          undo.push({ kind: 'session', id: change.id, before: this.#sessions.get(change.id) });
          this.#openSession(change, nowMs);
          break;
        case 'session-ended':
          undo.push({ kind: 'session', id: change.id, before: this.#sessions.get(change.id) });
          this.#sessions.delete(change.id);
      }
    }
    for (const change of changes) if (change.kind === 'remove') this.#dropIfEmpty(change.domain, undo);
    return undo;
  }

  #putNode(record: NodeRecord, revision: number, nowMs: number, undo: Undo[]): void {
    const { domain, node } = record;
    let state = this.#domains.get(domain);
    if (state === undefined) {
      // Of a snapshot taken while it was written: the domain's own record comes after.
      state = newDomain({ domain, creator: record.creator, deletable: false, nextName: record.createRevision });
      undo.push({ kind: 'domain', domain, before: undefined });
      this.#domains.set(domain, state);
    }
    const before = state.nodes.get(node);
    undo.push({ kind: 'node', domain, node, before, dueAtMs: this.#dueAtMsOf(before) });
    undo.push({ kind: 'domain-record', domain, before: state.record, modRevision: state.modRevision });
    if (revision > state.modRevision) state.modRevision = revision; // V4: an older record again moves nothing back
    this.#setNode(state, record, before);
    if (record.ttlMs > 0) this.#due.set(domain, node, nowMs + record.ttlMs);
  }

  #removeNode(domain: string, node: string, revision: number, undo: Undo[]): void {
    const state = this.#domains.get(domain);
    const before = state?.nodes.get(node);
    if (state === undefined || before === undefined) return; // V4
    undo.push({ kind: 'node', domain, node, before, dueAtMs: this.#dueAtMsOf(before) });
    undo.push({ kind: 'domain-record', domain, before: state.record, modRevision: state.modRevision });
    if (revision > state.modRevision) state.modRevision = revision;
    this.#unsetNode(state, before);
  }

  #putDomain(record: DomainRecord, revision: number, undo: Undo[]): void {
    const state = this.#domains.get(record.domain);
    if (state === undefined) {
      undo.push({ kind: 'domain', domain: record.domain, before: undefined });
      this.#domains.set(record.domain, { ...newDomain(record), modRevision: revision });
      return;
    }
    undo.push({ kind: 'domain-record', domain: record.domain, before: state.record, modRevision: state.modRevision });
    state.record = record;
    if (revision > state.modRevision) state.modRevision = revision;
  }

  #removeDomain(domain: string, undo: Undo[]): void {
    const state = this.#domains.get(domain);
    if (state === undefined) return; // V4
    undo.push({ kind: 'domain', domain, before: state });
    this.#forget(state);
    this.#domains.delete(domain);
  }

  #dropIfEmpty(domain: string, undo: Undo[]): void {
    const state = this.#domains.get(domain);
    if (state === undefined || state.nodes.size > 0) return;
    undo.push({ kind: 'domain', domain, before: state });
    this.#domains.delete(domain);
  }

  #openSession(change: Extract<StoredChange, { kind: 'session' }>, nowMs: number): void {
    const { id, name, ttlMs } = change;
    const nodes = this.#sessions.get(id)?.nodes ?? new Set();
    this.#sessions.set(id, { id, name, ttlMs, untilMs: nowMs + ttlMs + GRACE_MS, nodes });
  }

  #undoOne(step: Undo): void {
    switch (step.kind) {
      case 'node': {
        const state = this.#domains.get(step.domain) as DomainState;
        const now = state.nodes.get(step.node);
        if (step.before !== undefined) this.#setNode(state, step.before, now);
        else if (now !== undefined) this.#unsetNode(state, now);
        if (step.dueAtMs !== undefined) this.#due.set(step.domain, step.node, step.dueAtMs);
        return;
      }
      case 'domain-record': {
        const state = this.#domains.get(step.domain) as DomainState;
        state.record = step.before;
        state.modRevision = step.modRevision;
        return;
      }
      case 'domain': {
        const now = this.#domains.get(step.domain);
        if (now !== undefined) this.#forget(now);
        if (step.before === undefined) {
          this.#domains.delete(step.domain);
          return;
        }
        this.#domains.set(step.domain, step.before);
        for (const record of step.before.nodes.values()) {
          this.#count(record, 1);
          const { domain, node, ttlMs } = record;
          const isForgotten = ttlMs > 0 && this.#due.dueAtMs(domain, node) === undefined;
          if (isForgotten) this.#due.set(domain, node, this.#nowMs + ttlMs); // late rather than early
        }
        return;
      }
      case 'session':
        if (step.before === undefined) this.#sessions.delete(step.id);
        else this.#sessions.set(step.id, step.before);
    }
  }

  #setNode(state: DomainState, record: NodeRecord, before: NodeRecord | undefined): void {
    if (before !== undefined) this.#count(before, -1);
    state.nodes.set(record.node, record);
    this.#count(record, 1);
  }

  #unsetNode(state: DomainState, record: NodeRecord): void {
    state.nodes.delete(record.node);
    this.#count(record, -1);
  }

  #forget(state: DomainState): void {
    for (const record of state.nodes.values()) this.#count(record, -1);
  }

  #count(record: NodeRecord, sign: 1 | -1): void {
    this.#nodes += sign;
    this.#bytes += sign * bytesOf(record);
    if (record.ttlMs > 0) this.#nodesWithTtl += sign;
    if (!record.ephemeral) return;
    const held = this.#sessions.get(record.creator)?.nodes;
    if (sign > 0) held?.add(`${record.domain}/${record.node}`);
    else held?.delete(`${record.domain}/${record.node}`);
  }
}

function newDomain(record: DomainRecord): DomainState {
  return { record, modRevision: 0, nodes: new BTree(undefined, byCodeUnit) };
}

function bytesOf({ domain, node, value }: NodeRecord): number {
  return NODE_BYTES + domain.length + node.length + value.length;
}
