import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  type ClusterPhase,
  FAILED_STARTS_MAX,
  LIVED_WELL_MS,
  nextWakeAtMs,
  RESTART_PAUSE_MS_MAX,
  RESTART_PAUSE_MS_MIN,
  STOP_MS_MAX,
  STOP_SCHEDULE,
  type SupervisorEffect,
  type SupervisorEvent,
  type SupervisorState,
  startSupervisor,
  stepSupervisor,
} from '../../../../deploy/local-cluster/supervisor-state.ts';
import type { Tier } from '../../../../shared/server-process.ts';

const SERVERS: readonly { serverId: string; tier: Tier }[] = [
  { serverId: 'c1', tier: 'coordinator' },
  { serverId: 'a1', tier: 'app' },
  { serverId: 'd1', tier: 'dispatcher' },
  { serverId: 'i1', tier: 'interface' },
  { serverId: 'i2', tier: 'interface' },
];

const exited = (serverId: string, exitCode: number | null = null, detail = ''): SupervisorEvent => ({
  kind: 'exited',
  serverId,
  exitCode,
  how: exitCode === null ? 'SIGKILL' : `exit code ${exitCode}`,
  detail,
});

/** Steps a supervisor and keeps its effects as short texts: `spawn i1`, `SIGTERM i1`, `say …`. */
class Rehearsal {
  state: SupervisorState;
  nowMs = 0;
  effects: string[];

  constructor(servers = SERVERS) {
    const first = startSupervisor(servers, 0);
    this.state = first.state;
    this.effects = first.effects.map(textOf);
  }

  /** @returns the effects of this event */
  take(event: SupervisorEvent, afterMs = 0): string[] {
    this.nowMs += afterMs;
    const step = stepSupervisor(this.state, event, this.nowMs);
    this.state = step.state;
    const effects = step.effects.map(textOf);
    this.effects.push(...effects);
    return effects;
  }

  allListening(): this {
    for (const { serverId } of this.state.servers) this.take({ kind: 'listening', serverId });
    return this;
  }

  phaseOf(serverId: string): string | undefined {
    return this.state.servers.find((server) => server.serverId === serverId)?.phase.kind;
  }
}

function textOf(effect: SupervisorEffect): string {
  if (effect.kind === 'say') return `say ${effect.line}`;
  return `${effect.kind === 'spawn' ? 'spawn' : effect.signal} ${effect.serverId}`;
}

const whole = (): Rehearsal => new Rehearsal().allListening();
const restartsOf = (effects: readonly string[]): string[] => effects.filter((effect) => effect.startsWith('spawn'));

describe('start', () => {
  test('every server is spawned at once', () => {
    assert.deepEqual(new Rehearsal().effects, ['spawn c1', 'spawn a1', 'spawn d1', 'spawn i1', 'spawn i2']);
  });

  test('a start that cannot succeed stops the cluster with the exit code and words of the server', () => {
    const cluster = new Rehearsal();
    const effects = cluster.take(exited('i1', 3, 'Port 8080 is taken'));
    assert.deepEqual(effects, ['say i1 cannot start: Port 8080 is taken', 'SIGTERM i2']);
    for (const id of ['i2', 'd1', 'a1', 'c1']) cluster.take(exited(id, 0));
    assert.deepEqual(cluster.state.phase, { kind: 'stopped', exitCode: 3 });
  });

  test(`a cluster that was never whole gives up after ${FAILED_STARTS_MAX} deaths of one server`, () => {
    const cluster = new Rehearsal();
    for (let death = 1; death < FAILED_STARTS_MAX; death += 1) {
      cluster.take(exited('a1', 1));
      assert.deepEqual(cluster.take({ kind: 'time' }, RESTART_PAUSE_MS_MAX), ['spawn a1']);
    }
    assert.match(
      cluster.take(exited('a1', 1)).join('; '),
      /a1 died 5 times before the cluster was up.*SIGTERM i1; SIGTERM i2/,
    );
    assert.equal(cluster.state.phase.kind, 'stopping');
  });
});

describe('death of a server', () => {
  test('it is started again after the shortest pause, and the others are left alone', () => {
    const cluster = whole();
    assert.deepEqual(cluster.take(exited('d1')), ['say d1 died (SIGKILL); starting it again in 0.1 s']);
    assert.equal(nextWakeAtMs(cluster.state), RESTART_PAUSE_MS_MIN);
    assert.deepEqual(cluster.take({ kind: 'time' }, RESTART_PAUSE_MS_MIN - 1), []);
    assert.deepEqual(cluster.take({ kind: 'time' }, 1), ['spawn d1']);
    assert.equal(nextWakeAtMs(cluster.state), undefined);
  });

  test('pauses double with early deaths up to the longest, and a cluster that was whole never gives up', () => {
    const cluster = whole();
    const pauses: number[] = [];
    for (let death = 0; death < 10; death += 1) {
      cluster.take(exited('a1', 2, 'config broken'));
      const wakeAtMs = nextWakeAtMs(cluster.state) ?? 0;
      pauses.push(wakeAtMs - cluster.nowMs);
      assert.deepEqual(cluster.take({ kind: 'time' }, wakeAtMs - cluster.nowMs), ['spawn a1']);
    }
    assert.deepEqual(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000]);
  });

  test('a server that lived well starts again with the shortest pause', () => {
    const cluster = whole();
    for (let death = 0; death < 4; death += 1) {
      cluster.take(exited('a1', 1));
      cluster.take({ kind: 'time' }, RESTART_PAUSE_MS_MAX);
    }
    cluster.take({ kind: 'listening', serverId: 'a1' });
    cluster.take(exited('a1'), LIVED_WELL_MS);
    assert.equal((nextWakeAtMs(cluster.state) ?? 0) - cluster.nowMs, RESTART_PAUSE_MS_MIN);
  });
});

describe('stop', () => {
  test('tiers are told from the front, each when the one before is gone', () => {
    const cluster = whole();
    assert.deepEqual(cluster.take({ kind: 'stop' }), ['SIGTERM i1', 'SIGTERM i2']);
    assert.deepEqual(cluster.take(exited('i1', 0)), []);
    assert.deepEqual(cluster.take(exited('i2', 0)), ['SIGTERM d1']);
    assert.deepEqual(cluster.take(exited('d1', 0)), ['SIGTERM a1']);
    assert.deepEqual(cluster.take(exited('a1', 0)), ['SIGTERM c1']);
    assert.deepEqual(cluster.take(exited('c1', 0)), []);
    assert.deepEqual(cluster.state.phase, { kind: 'stopped', exitCode: 0 });
  });

  test('a tier that takes too long does not hold up the next, and the rest is killed in the end', () => {
    const cluster = whole();
    cluster.take({ kind: 'stop' });
    for (const effects of [['SIGTERM d1'], ['SIGTERM a1'], ['SIGTERM c1']]) {
      assert.deepEqual(cluster.take({ kind: 'time' }, (nextWakeAtMs(cluster.state) ?? 0) - cluster.nowMs), effects);
    }
    const killed = cluster.take({ kind: 'time' }, (nextWakeAtMs(cluster.state) ?? 0) - cluster.nowMs);
    assert.equal(cluster.nowMs, STOP_MS_MAX);
    assert.deepEqual(killed, ['SIGKILL c1', 'SIGKILL a1', 'SIGKILL d1', 'SIGKILL i1', 'SIGKILL i2']);
    assert.equal(nextWakeAtMs(cluster.state), undefined);
    for (const { serverId } of SERVERS) assert.deepEqual(cluster.take(exited(serverId)), []);
    assert.deepEqual(cluster.state.phase, { kind: 'stopped', exitCode: 0 });
  });

  test('a server that rests is not started again', () => {
    const cluster = whole();
    cluster.take(exited('d1'));
    cluster.take({ kind: 'stop' });
    assert.equal(cluster.phaseOf('d1'), 'gone');
    assert.deepEqual(restartsOf(cluster.take({ kind: 'time' }, RESTART_PAUSE_MS_MAX)), []);
  });

  test('a server that listens after it was told to stop stays stopping', () => {
    const cluster = new Rehearsal();
    cluster.take({ kind: 'stop' });
    cluster.take({ kind: 'listening', serverId: 'i1' });
    assert.equal(cluster.phaseOf('i1'), 'stopping');
  });

  test('the second request kills everything at once', () => {
    const cluster = whole();
    cluster.take({ kind: 'stop' });
    cluster.take(exited('i1', 0));
    assert.deepEqual(cluster.take({ kind: 'stop-now' }), ['SIGKILL c1', 'SIGKILL a1', 'SIGKILL d1', 'SIGKILL i2']);
  });
});

/** What each kind of event does to each kind of cluster; the compiler refuses a missing cell. */
const TABLE: Record<SupervisorEvent['kind'], Record<ClusterPhase['kind'], ClusterPhase['kind']>> = {
  listening: { running: 'running', stopping: 'stopping', stopped: 'stopped' },
  exited: { running: 'running', stopping: 'stopping', stopped: 'stopped' },
  time: { running: 'running', stopping: 'stopping', stopped: 'stopped' },
  stop: { running: 'stopping', stopping: 'stopping', stopped: 'stopped' },
  'stop-now': { running: 'stopping', stopping: 'stopping', stopped: 'stopped' },
};

test('every event leads every kind of cluster where the table says', () => {
  const inPhase: Record<ClusterPhase['kind'], () => Rehearsal> = {
    running: whole,
    stopping: () => {
      const cluster = whole();
      cluster.take({ kind: 'stop' });
      return cluster;
    },
    stopped: () => {
      const cluster = whole();
      cluster.take({ kind: 'stop-now' });
      for (const { serverId } of SERVERS) cluster.take(exited(serverId));
      return cluster;
    },
  };
  for (const [kind, row] of Object.entries(TABLE)) {
    for (const [before, after] of Object.entries(row)) {
      const cluster = inPhase[before as ClusterPhase['kind']]();
      assert.equal(cluster.state.phase.kind, before);
      cluster.take({ kind, serverId: 'd1', exitCode: null, how: 'SIGKILL', detail: '' } as SupervisorEvent);
      assert.equal(cluster.state.phase.kind, after, `${kind} while ${before}`);
    }
  }
});

test('whatever happens, a stop ends within its time, starts nothing, and signals only what runs', () => {
  const event = fc.oneof(
    fc.record({ kind: fc.constant('listening' as const), serverId: fc.constantFrom('c1', 'a1', 'd1', 'i1', 'i2') }),
    fc.record({ kind: fc.constant('exit' as const), serverId: fc.constantFrom('c1', 'a1', 'd1', 'i1', 'i2') }),
    fc.constant({ kind: 'time' as const, serverId: '' }),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(event, fc.integer({ min: 0, max: 900 })), { maxLength: 60 }),
      fc.nat(59),
      (events, stopAt) => {
        const cluster = new Rehearsal();
        const running = new Set(SERVERS.map(({ serverId }) => serverId));
        let stopped = false;
        const apply = (happens: SupervisorEvent, afterMs: number): void => {
          if (happens.kind === 'exited') running.delete(happens.serverId);
          for (const effect of cluster.take(happens, afterMs)) {
            const [what, serverId = ''] = effect.split(' ');
            if (what === 'spawn') {
              assert.ok(!stopped, 'nothing starts once a stop has begun');
              assert.ok(!running.has(serverId), `${serverId} runs already`);
              running.add(serverId);
            } else if (what?.startsWith('SIG')) {
              assert.ok(running.has(serverId), `${serverId} does not run`);
            }
          }
          if (cluster.state.phase.kind !== 'running') stopped = true;
        };
        for (const [index, [happens, afterMs]] of events.entries()) {
          if (index === stopAt) apply({ kind: 'stop' }, 0);
          if (happens.kind !== 'exit') apply(happens as SupervisorEvent, afterMs);
          else if (running.has(happens.serverId)) apply(exited(happens.serverId), afterMs);
        }
        apply({ kind: 'stop' }, 0);
        const stopSinceMs = cluster.state.phase.kind === 'stopping' ? cluster.state.phase.sinceMs : cluster.nowMs;
        while (cluster.state.phase.kind === 'stopping') {
          const wakeAtMs = nextWakeAtMs(cluster.state);
          if (wakeAtMs === undefined) break; // all that runs was killed
          apply({ kind: 'time' }, Math.max(0, wakeAtMs - cluster.nowMs));
        }
        for (const serverId of [...running]) apply(exited(serverId), 0);
        assert.equal(cluster.state.phase.kind, 'stopped');
        const lastEventMs = events.reduce((sum, [, afterMs]) => sum + afterMs, 0);
        assert.ok(cluster.nowMs <= Math.max(stopSinceMs + STOP_MS_MAX, lastEventMs), 'the stop took too long');
      },
    ),
  );
});

test('every tier has its turn in a stop', () => {
  const tiers = new Set<Tier>(SERVERS.map(({ tier }) => tier));
  assert.deepEqual(new Set(STOP_SCHEDULE.map(({ tier }) => tier)), tiers);
});
