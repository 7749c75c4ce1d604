/**
 * What one watch of a domain was told, judged as it comes: nothing skipped, repeated or out of order.
 *
 * Y1: revisions only grow; the same one comes again only for another node (one transaction).
 * Y2: a node's versions follow each other; after it was removed, or was never there, the next is 1. So nothing was skipped.
 * Y3: `content` comes first, and again only where the store says that it forgot what was between; it never goes back.
 */
import type { ParkChange, ParkEntry } from '../../../shared/park/park.ts';

/** One fault brings many: the first ones tell the story. */
const COMPLAINTS_MAX = 20;

interface Seen {
  readonly version: number;
  readonly revision: number;
  readonly value: unknown;
}

export class WatchRecord {
  readonly complaints: string[] = [];
  readonly nodes = new Map<string, Seen>();
  /** Changes told, besides content. */
  changes = 0;
  contents = 0;
  revision = 0;
  readonly #name: string;
  #atRevision = new Set<string>();

  constructor(name: string) {
    this.#name = name;
  }

  /** A watch's listener. */
  readonly take = (change: ParkChange): void => {
    if (change.kind === 'content') return this.#takeContent(change.revision, change.entries);
    const node = change.kind === 'put' ? change.entry.node : change.node;
    this.changes += 1;
    if (this.contents === 0) this.#complain(`${node} changed before any content`); // Y3
    if (change.revision < this.revision) this.#complain(`revision ${change.revision} after ${this.revision}`); // Y1
    if (change.revision === this.revision && this.#atRevision.has(node))
      this.#complain(`${node} twice at revision ${change.revision}`); // Y1
    if (change.revision !== this.revision) this.#atRevision = new Set();
    this.#atRevision.add(node);
    this.revision = change.revision;
    const before = this.nodes.get(node)?.version ?? 0;
    if (change.kind === 'removed') {
      if (before === 0) this.#complain(`${node} removed, which was not there`); // Y2
      this.nodes.delete(node);
      return;
    }
    const { version, modRevision } = change.entry;
    if (version !== before + 1) this.#complain(`${node} has version ${version} after ${before}`); // Y2
    if (modRevision !== change.revision) this.#complain(`${node} of ${modRevision} told at ${change.revision}`);
    this.#see(change.entry);
  };

  /** Compares what the watch adds up to with what is there. */
  complaintsAgainst(entries: readonly ParkEntry[]): string[] {
    const there = new Map(entries.map((entry) => [entry.node, entry]));
    const missing = [...there.keys()].filter((node) => !this.nodes.has(node));
    const complaints = missing.map((node) => `${this.#name}: ${node} was never told`);
    for (const [node, seen] of this.nodes) {
      const entry = there.get(node);
      if (entry?.modRevision !== seen.revision || entry.value !== seen.value)
        complaints.push(`${this.#name}: ${node} was told as of ${seen.revision}, it is of ${entry?.modRevision}`);
    }
    return complaints.slice(0, COMPLAINTS_MAX);
  }

  /** Y3 */
  #takeContent(revision: number, entries: readonly ParkEntry[]): void {
    this.contents += 1;
    if (this.contents > 1 && revision <= this.revision)
      this.#complain(`content of revision ${revision} after ${this.revision}`);
    for (const { node, modRevision } of entries) {
      const before = this.nodes.get(node)?.revision ?? 0;
      if (modRevision < before) this.#complain(`content has ${node} of ${modRevision} after ${before}`);
      if (modRevision > revision) this.#complain(`content of ${revision} has ${node} of ${modRevision}`);
    }
    this.nodes.clear();
    for (const entry of entries) this.#see(entry);
    this.revision = revision;
    this.#atRevision = new Set(entries.map(({ node }) => node));
  }

  #see({ node, version, modRevision, value }: ParkEntry): void {
    this.nodes.set(node, { version, revision: modRevision, value });
  }

  #complain(what: string): void {
    if (this.complaints.length < COMPLAINTS_MAX) this.complaints.push(`${this.#name}: ${what}`);
  }
}
