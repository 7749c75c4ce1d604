/** A domain's nodes as a watch tells them. Pure. */
import type { ParkChange, ParkEntry } from '../park.ts';

export type DomainView = ReadonlyMap<string, ParkEntry>;

export const EMPTY_VIEW: DomainView = new Map();

/** @returns what is there after the change; `view` stays as it is */
export function viewAfter(view: DomainView, change: ParkChange): DomainView {
  if (change.kind === 'content') return new Map(change.entries.map((entry) => [entry.node, entry]));
  const next = new Map(view);
  if (change.kind === 'put') next.set(change.entry.node, change.entry);
  else next.delete(change.node);
  return next;
}
