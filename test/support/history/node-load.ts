/**
 * Clients that read, write, compare and delete the same few nodes at once, and note what they asked and what they heard.
 *
 * O1: what a client heard no answer to is noted as such, unless the error says that nothing was done: then it is left out,
 *     and a value of its that anybody reads is one that nobody wrote.
 */
import { systemClock } from '../../../shared/clock.ts';
import { PlatformError } from '../../../shared/errors.ts';
import type { Park } from '../../../shared/park/park.ts';
import type { Random } from '../../../shared/random.ts';
import { checkLinearizable } from './linearizability.ts';
import { type NodeInput, type NodeOperation, type NodeOutput, nodeModel } from './node-model.ts';
import { revisionComplaints } from './revision-order.ts';

const THINK_MS_MAX = 14;
const FAULTS_KEPT_MAX = 20;
/** Nothing was done. */
const NOTHING_DONE: ReadonlySet<string> = new Set([
  'NO_COORDINATOR',
  'STORE_UNAVAILABLE',
  'STORE_BUSY',
  'PARK_SESSION_UNKNOWN',
]);
const REFUSALS: Readonly<Record<string, NodeOutput>> = {
  PARK_NODE_EXISTS: { kind: 'exists' },
  PARK_NODE_UNKNOWN: { kind: 'absent' },
  PARK_VERSION_CONFLICT: { kind: 'conflict' },
};

interface Named {
  readonly name: string;
  readonly park: Park;
}

export class NodeLoad {
  readonly domain: string;
  readonly faults: string[] = [];
  /** Operations that were answered. */
  answered = 0;
  unanswered = 0;
  nothingDone = 0;
  readonly #random: Random;
  readonly #histories = new Map<string, NodeOperation[]>();
  #nodes: readonly string[] = [];
  #values = 0;
  #running = true;
  #clients: Promise<void>[] = [];

  constructor(domain: string, random: Random) {
    this.domain = domain;
    this.#random = random;
  }

  /** From now on these are written, new ones: so that no history grows too long to be judged. */
  turnTo(nodes: readonly string[]): void {
    this.#nodes = nodes;
    for (const node of nodes) this.#histories.set(node, []);
  }

  start(clients: readonly Named[]): void {
    this.#clients = clients.map((client) => this.#client(client));
  }

  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#clients);
  }

  /** Every node once more, so that what was lost meanwhile shows; and the judgement. @returns what is wrong */
  async judge(reader: Named): Promise<string[]> {
    const complaints: string[] = [];
    for (const [node, history] of this.#histories) {
      await this.#perform(reader, node, { op: 'get' });
      const verdict = checkLinearizable(nodeModel, history);
      if (verdict.kind === 'linearizable') continue;
      const why = verdict.kind === 'undecided' ? `undecided after ${verdict.steps} steps` : textOf(verdict.stuck);
      const before = verdict.kind === 'undecided' ? [] : verdict.longest.slice(-6).map(textOf);
      complaints.push(`${node}, ${history.length} operations: ${[...before, `!! ${why}`].join('\n  ')}`);
    }
    return [...this.faults, ...complaints, ...revisionComplaints([...this.#histories.values()].flat())];
  }

  async #client(client: Named): Promise<void> {
    const versions = new Map<string, number>();
    while (this.#running) {
      const node = this.#nodes[Math.floor(this.#random.float() * this.#nodes.length)] ?? 'none';
      const output = await this.#perform(client, node, this.#choose(versions.get(node)));
      if (output !== undefined && 'version' in output) versions.set(node, output.version);
      await systemClock.sleep(this.#random.float() * THINK_MS_MAX);
    }
  }

  #choose(version: number | undefined): NodeInput {
    const chance = this.#random.float();
    const value = `v${++this.#values}`;
    if (chance < 0.4) return { op: 'get' };
    if (chance < 0.65) return { op: 'put', value };
    if (chance < 0.85 && version !== undefined) return { op: 'update', value, ifVersion: version };
    return chance < 0.93 ? { op: 'create', value } : { op: 'delete' };
  }

  async #perform({ name, park }: Named, node: string, input: NodeInput): Promise<NodeOutput | undefined> {
    const history = this.#histories.get(node) ?? [];
    const calledAtMs = systemClock.nowMs();
    let output: NodeOutput | undefined;
    try {
      output = await ask(park, this.domain, node, input);
    } catch (thrown) {
      const code = thrown instanceof PlatformError ? thrown.code : String(thrown);
      output = REFUSALS[code];
      if (output === undefined) {
        if (code === 'OUTCOME_UNKNOWN') {
          this.unanswered += 1;
          history.push({ client: name, input, calledAtMs, answer: undefined });
        } else if (NOTHING_DONE.has(code)) this.nothingDone += 1;
        else if (this.faults.length < FAULTS_KEPT_MAX) this.faults.push(`${name}: ${input.op} ${node}: ${thrown}`);
        return undefined; // O1
      }
    }
    this.answered += 1;
    history.push({ client: name, input, calledAtMs, answer: { output, atMs: systemClock.nowMs() } });
    return output;
  }
}

async function ask(park: Park, domain: string, node: string, input: NodeInput): Promise<NodeOutput> {
  if (input.op === 'get') {
    const entry = await park.get(domain, node);
    if (entry === undefined) return { kind: 'absent' };
    return { kind: 'read', value: String(entry.value), version: entry.version, revision: entry.modRevision };
  }
  if (input.op === 'delete') {
    await park.delete(domain, node);
    return { kind: 'deleted' };
  }
  const { value } = input;
  if (input.op === 'update') return writtenOf(await park.update(domain, node, value, { ifVersion: input.ifVersion }));
  return writtenOf(await (input.op === 'create' ? park.create(domain, node, value) : park.put(domain, node, value)));
}

function writtenOf({ version, revision }: { version: number; revision: number }): NodeOutput {
  return { kind: 'written', version, revision };
}

function textOf({ client, input, calledAtMs, answer }: NodeOperation): string {
  const heard = answer === undefined ? 'no answer' : `${JSON.stringify(answer.output)} at ${answer.atMs.toFixed(1)}`;
  return `${client} ${JSON.stringify(input)} at ${calledAtMs.toFixed(1)}: ${heard}`;
}
