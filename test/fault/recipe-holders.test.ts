/**
 * Leaders that are killed, stopped and asked to go, as processes of their own with a real coordinator: another one leads,
 * with a greater token, and one that was stopped stops working when it goes on.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import process from 'node:process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../shared/clock.ts';
import { eventually } from '../support/eventually.ts';
import { TrialCoordinators } from '../support/history/trial-coordinators.ts';
import type { RecipeHolderOrders } from '../support/recipe-holder-child.ts';
import { lengthOf } from '../support/soak.ts';

const PROGRAM = fileURLToPath(new URL('../support/recipe-holder-child.ts', import.meta.url));
const ROUNDS = lengthOf(3, 50);
const TTL_MS = 2_000;
const WITHIN_MS = 60_000;

class Candidate {
  readonly child: ChildProcess;
  /** Words of each line, and when it came. */
  readonly lines: { readonly kind: string; readonly token: number; readonly atMs: number }[] = [];

  constructor(orders: RecipeHolderOrders) {
    this.child = spawn(process.execPath, ['--no-warnings', PROGRAM, JSON.stringify(orders)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let rest = '';
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const [kind = '', token] = line.split(' ');
        this.lines.push({ kind, token: Number(token), atMs: systemClock.nowMs() });
      }
    });
  }

  /** @returns the newest of that kind above `token`, when there is one */
  async until(kind: string, token: number): Promise<{ readonly token: number; readonly atMs: number }> {
    return await eventually(
      `${kind} above ${token}`,
      () => this.lines.find((line) => line.kind === kind && line.token > token),
      WITHIN_MS,
    );
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill(signal);
    await exited;
  }
}

let set: TrialCoordinators;
let domains = 0;
const candidates: Candidate[] = [];

before(async () => {
  set = await TrialCoordinators.start({ count: 1 });
});
after(async () => {
  for (const one of candidates) await one.end('SIGKILL');
  await set?.close();
});

function newCandidate(domain: string): Candidate {
  const name = `candidate${candidates.length}`;
  const made = new Candidate({ name, config: set.config, token: set.token, domain, sessionTtlMs: TTL_MS });
  candidates.push(made);
  return made;
}

/** @returns how long it took each time until the other one led */
async function takeOvers(signal: 'SIGKILL' | 'SIGTERM'): Promise<number[]> {
  const domain = `trial.e${++domains}`;
  const took: number[] = [];
  let leader = newCandidate(domain);
  let { token } = await leader.until('leads', 0);
  for (let round = 0; round < ROUNDS; round++) {
    const next = newCandidate(domain);
    await untilQueued(domain, 2);
    const atMs = systemClock.nowMs();
    const ending = leader.end(signal);
    const led = await next.until('leads', token);
    took.push(Math.round(led.atMs - atMs));
    await ending;
    [leader, token] = [next, led.token];
  }
  await leader.end('SIGKILL');
  return took;
}

async function untilQueued(domain: string, count: number): Promise<void> {
  const address = set.config.coordinator.servers[0]?.admin ?? '';
  const look = async (): Promise<boolean> => {
    const headers = { authorization: `Bearer ${set.token}` };
    const reply = await fetch(`http://${address}/park/${domain}`, { headers });
    const { nodes = [] } = (await reply.json()) as { nodes?: unknown[] };
    return nodes.length === count;
  };
  await eventually(`${count} candidates`, look, WITHIN_MS, 20);
}

test(`a leader killed with -9: the other one leads, ${ROUNDS} times`, async (context) => {
  const took = await takeOvers('SIGKILL');
  context.diagnostic(`took over after ${took.join(', ')} ms, with sessions of ${TTL_MS} ms`);
});

test(`a leader that gives it back as it ends: the other one leads, ${ROUNDS} times`, async (context) => {
  context.diagnostic(`took over after ${(await takeOvers('SIGTERM')).join(', ')} ms`);
});

test('a leader that was stopped beyond its session stops working when it goes on, and hears that it is lost', async () => {
  const domain = `trial.e${++domains}`;
  const [old, other] = [newCandidate(domain), newCandidate(domain)];
  const [leader, next] = await Promise.race([
    old.until('leads', 0).then((): [Candidate, Candidate] => [old, other]),
    other.until('leads', 0).then((): [Candidate, Candidate] => [other, old]),
  ]);
  const { token } = await leader.until('works', 0);
  leader.child.kill('SIGSTOP');
  const led = await next.until('works', token);
  const works = (): number => leader.lines.filter(({ kind, token: its }) => kind === 'works' && its === token).length;
  // What it said before it was stopped has been read by now: the other one took over a session's time later.
  const before = works();
  leader.child.kill('SIGCONT');
  await leader.until('lost', token - 1);
  assert.ok(led.token > token);
  // One step may lie between looking and doing when it is stopped: nothing but a fence keeps that one out.
  assert.ok(works() <= before + 1, `${works() - before} steps`);
});
