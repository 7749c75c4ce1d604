/** Nodes as they stand in the JSON of answers over HTTP: with the value as it is, not as a text of JSON. */
import type { ParkNode } from '../../shared/park/park-model.ts';

export interface WireNode extends Omit<ParkNode, 'value'> {
  readonly value: unknown;
}

export function wireNode(node: ParkNode): WireNode {
  return { ...node, value: JSON.parse(node.value) };
}
