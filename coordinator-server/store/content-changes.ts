/** What watchers are to hear of a transaction that is in force. Pure. */
import type { ContentChange } from '../park/park-history.ts';
import type { StoredChange, Undo } from '../park/park-state.ts';

/** Of one deleted domain; a larger one is not told node by node. */
export const REMOVED_TOLD_MAX = 10_000;

/**
 * @param undo what the changes came upon
 * @returns changes of content, in order; undefined: more than can be told one by one
 */
export function contentChanges(
  changes: readonly StoredChange[],
  undo: readonly Undo[],
  revision: number,
): ContentChange[] | undefined {
  const told: ContentChange[] = [];
  for (const change of changes) {
    if (change.kind === 'put' && change.contentChanged) {
      const { domain, node } = change.record;
      told.push({ revision, domain, node, record: change.record });
    } else if (change.kind === 'remove') {
      const { domain, node } = change;
      const wasThere = undo.some(
        (step) => step.kind === 'node' && step.node === node && step.domain === domain && step.before !== undefined,
      );
      if (wasThere) told.push({ revision, domain, node, record: undefined });
    } else if (change.kind === 'remove-domain') {
      const { domain } = change;
      const before = undo.find((step) => step.kind === 'domain' && step.domain === domain);
      if (before?.kind !== 'domain' || before.before === undefined) continue;
      if (before.before.nodes.size > REMOVED_TOLD_MAX) return undefined;
      for (const node of before.before.nodes.keys()) told.push({ revision, domain, node, record: undefined });
    }
  }
  return told;
}
