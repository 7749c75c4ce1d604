/** A node of the park as a register: what each operation may answer, one after another. Values are unique by write. */
import type { Model, Operation } from './linearizability.ts';

export type NodeInput =
  | { readonly op: 'get' }
  /** `put` creates or updates. */
  | { readonly op: 'put' | 'create'; readonly value: string }
  | { readonly op: 'update'; readonly value: string; readonly ifVersion: number }
  | { readonly op: 'delete' };

export type NodeOutput =
  | { readonly kind: 'read'; readonly value: string; readonly version: number; readonly revision: number }
  | { readonly kind: 'written'; readonly version: number; readonly revision: number }
  | { readonly kind: 'deleted' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'exists' }
  | { readonly kind: 'conflict' };

/** Undefined: there is no such node. */
export type NodeState = { readonly value: string; readonly version: number } | undefined;
export type NodeOperation = Operation<NodeInput, NodeOutput>;

const ABSENT = { gone: true } as const;
type Kept = NonNullable<NodeState> | typeof ABSENT;

export const nodeModel: Model<Kept, NodeInput, NodeOutput> = {
  initial: ABSENT,
  step(state, input, output) {
    const node = 'gone' in state ? undefined : state;
    if (input.op === 'get') return output === undefined || isRead(node, output) ? state : undefined;
    const refused = refusalOf(node, input);
    if (refused !== undefined) return output === undefined || output.kind === refused ? state : undefined;
    if (input.op === 'delete') return output === undefined || output.kind === 'deleted' ? ABSENT : undefined;
    const version = (node?.version ?? 0) + 1;
    if (output !== undefined && (output.kind !== 'written' || output.version !== version)) return undefined;
    return { value: input.value, version };
  },
  keyOf: (state) => ('gone' in state ? '' : `${state.version} ${state.value}`),
  shows: (output, input) => output.kind === 'read' && 'value' in input && output.value === input.value,
};

function isRead(node: NodeState, output: NodeOutput): boolean {
  if (node === undefined) return output.kind === 'absent';
  return output.kind === 'read' && output.value === node.value && output.version === node.version;
}

function refusalOf(node: NodeState, input: NodeInput): NodeOutput['kind'] | undefined {
  if (input.op === 'create') return node === undefined ? undefined : 'exists';
  if (input.op === 'put' || node !== undefined)
    return input.op === 'update' && input.ifVersion !== node?.version ? 'conflict' : undefined;
  return 'absent';
}
