/**
 * What the local cluster does about its servers' lives, decided without a clock or a process: every event gives the
 * next state and the effects to perform. local-cluster.ts drives it.
 *
 * S1: a server that dies is started again after a pause that doubles with every early death, up to 5 s; the others
 *     are left alone.
 * S2: a cluster that was never whole gives up when a start cannot succeed (exit 2, 3) or fails too often; one that was
 *     whole never gives up.
 * S3: a stop goes tier by tier from the front (what still arrives finds the tiers behind it at work), and ends in
 *     SIGKILL after STOP_MS_MAX.
 * S4: nothing is started once a stop has begun.
 */
import assert from 'node:assert/strict';
import type { Tier } from '../../shared/server-process.ts';

/** Pause before the first restart: long enough not to spin, short enough that clients see latency only. */
export const RESTART_PAUSE_MS_MIN = 100;
export const RESTART_PAUSE_MS_MAX = 5_000;
/** A server that lived this long starts again with the shortest pause. */
export const LIVED_WELL_MS = 10_000;
/** Deaths in a row, of one server, that make a cluster which was never whole give up. */
export const FAILED_STARTS_MAX = 5;

/** Tiers in the order they stop, and when, after the stop began, the next one is told although this one still runs. */
export const STOP_SCHEDULE: readonly { readonly tier: Tier; readonly untilMs: number }[] = [
  { tier: 'interface', untilMs: 2_050 }, // its drain is what clients see: it gets most of the time
  { tier: 'dispatcher', untilMs: 2_250 },
  { tier: 'app', untilMs: 2_600 },
  { tier: 'coordinator', untilMs: 2_750 },
];
/** From here on SIGKILL. People are promised 3 s. */
export const STOP_MS_MAX = 2_750;
/** The turn after the last tier's: everybody got SIGKILL. */
const TURN_KILLED = STOP_SCHEDULE.length;
assert.equal(STOP_SCHEDULE.at(-1)?.untilMs, STOP_MS_MAX, 'the last tier gets all the time there is');

export type ServerPhase =
  | { readonly kind: 'starting'; readonly sinceMs: number }
  | { readonly kind: 'up'; readonly sinceMs: number }
  | { readonly kind: 'resting'; readonly restartAtMs: number }
  | { readonly kind: 'stopping' }
  | { readonly kind: 'gone' };

export interface SupervisedServer {
  readonly serverId: string;
  readonly tier: Tier;
  readonly phase: ServerPhase;
  /** Pause before the next restart. */
  readonly pauseMs: number;
  /** Deaths since it last lived well. */
  readonly earlyDeaths: number;
  readonly wasUp: boolean;
}

export type ClusterPhase =
  | { readonly kind: 'running' }
  | { readonly kind: 'stopping'; readonly sinceMs: number; readonly turn: number; readonly exitCode: number }
  | { readonly kind: 'stopped'; readonly exitCode: number };

export interface SupervisorState {
  readonly phase: ClusterPhase;
  readonly servers: readonly SupervisedServer[];
}

export type SupervisorEvent =
  | { readonly kind: 'listening'; readonly serverId: string }
  | {
      readonly kind: 'exited';
      readonly serverId: string;
      /** null: ended by a signal. */
      readonly exitCode: number | null;
      /** e.g. `SIGKILL`, `exit code 1`. */
      readonly how: string;
      /** What the server itself said of its failed start; '' when nothing. */
      readonly detail: string;
    }
  | { readonly kind: 'time' }
  | { readonly kind: 'stop' }
  | { readonly kind: 'stop-now' };

export type SupervisorEffect =
  | { readonly kind: 'spawn'; readonly serverId: string }
  | { readonly kind: 'signal'; readonly serverId: string; readonly signal: 'SIGTERM' | 'SIGKILL' }
  | { readonly kind: 'say'; readonly line: string };

export interface SupervisorStep {
  readonly state: SupervisorState;
  readonly effects: readonly SupervisorEffect[];
}

export function startSupervisor(servers: readonly { serverId: string; tier: Tier }[], nowMs: number): SupervisorStep {
  const supervised = servers.map(({ serverId, tier }) => ({
    serverId,
    tier,
    phase: { kind: 'starting', sinceMs: nowMs } as const,
    pauseMs: RESTART_PAUSE_MS_MIN,
    earlyDeaths: 0,
    wasUp: false,
  }));
  return {
    state: { phase: { kind: 'running' }, servers: supervised },
    effects: servers.map(({ serverId }) => ({ kind: 'spawn', serverId })),
  };
}

export function stepSupervisor(state: SupervisorState, event: SupervisorEvent, nowMs: number): SupervisorStep {
  if (state.phase.kind === 'stopped') return { state, effects: [] };
  switch (event.kind) {
    case 'listening':
      return { state: withServer(state, event.serverId, (server) => markUp(server, nowMs)), effects: [] };
    case 'exited':
      return state.phase.kind === 'running' ? onDeath(state, event, nowMs) : onGone(state, event.serverId, nowMs);
    case 'time':
      return state.phase.kind === 'running' ? restartRested(state, nowMs) : continueStop(state, nowMs);
    case 'stop':
      return state.phase.kind === 'running' ? beginStop(state, 0, nowMs) : { state, effects: [] };
    case 'stop-now':
      return killAll(state, nowMs);
  }
}

/** When 'time' is due next; undefined: nothing waits for time. */
export function nextWakeAtMs(state: SupervisorState): number | undefined {
  const { phase } = state;
  if (phase.kind === 'stopped') return undefined;
  if (phase.kind === 'stopping') {
    const turn = STOP_SCHEDULE[phase.turn];
    return turn === undefined ? undefined : phase.sinceMs + turn.untilMs; // all killed: only exits are awaited
  }
  const restarts = state.servers.flatMap(({ phase }) => (phase.kind === 'resting' ? [phase.restartAtMs] : []));
  return restarts.length === 0 ? undefined : Math.min(...restarts);
}

/** Whether every server has listened at least once. */
export function wasWhole(state: SupervisorState): boolean {
  return state.servers.every((server) => server.wasUp);
}

function markUp(server: SupervisedServer, nowMs: number): SupervisedServer {
  if (server.phase.kind !== 'starting') return server; // said while it was already told to stop
  return { ...server, phase: { kind: 'up', sinceMs: nowMs }, wasUp: true };
}

function onDeath(state: SupervisorState, event: SupervisorEvent & { kind: 'exited' }, nowMs: number): SupervisorStep {
  const server = state.servers.find(({ serverId }) => serverId === event.serverId);
  if (server === undefined) return { state, effects: [] };
  const livedWell = server.phase.kind === 'up' && nowMs - server.phase.sinceMs >= LIVED_WELL_MS;
  const pauseMs = livedWell ? RESTART_PAUSE_MS_MIN : server.pauseMs;
  const earlyDeaths = livedWell ? 1 : server.earlyDeaths + 1;
  const next: SupervisedServer = {
    ...server,
    phase: { kind: 'resting', restartAtMs: nowMs + pauseMs },
    pauseMs: Math.min(pauseMs * 2, RESTART_PAUSE_MS_MAX),
    earlyDeaths,
  };
  const afterDeath = withServer(state, event.serverId, () => next);
  const why = event.detail === '' ? event.how : `${event.how}: ${event.detail}`;
  const hopeless = event.exitCode === 2 || event.exitCode === 3;
  if (!wasWhole(state) && (hopeless || earlyDeaths >= FAILED_STARTS_MAX)) {
    const line = hopeless ? `${server.serverId} cannot start: ${event.detail || event.how}` : giveUpLine(server, why);
    const stop = beginStop(afterDeath, hopeless ? (event.exitCode ?? 1) : 1, nowMs); // S2
    return { state: stop.state, effects: [{ kind: 'say', line }, ...stop.effects] };
  }
  const line = `${server.serverId} died (${why}); starting it again in ${(pauseMs / 1000).toFixed(1)} s`;
  return { state: afterDeath, effects: [{ kind: 'say', line }] }; // S1
}

function giveUpLine(server: SupervisedServer, why: string): string {
  return `${server.serverId} died ${FAILED_STARTS_MAX} times before the cluster was up (${why}); its log says more`;
}

function restartRested(state: SupervisorState, nowMs: number): SupervisorStep {
  const effects: SupervisorEffect[] = [];
  const servers = state.servers.map((server) => {
    if (server.phase.kind !== 'resting' || server.phase.restartAtMs > nowMs) return server;
    effects.push({ kind: 'spawn', serverId: server.serverId });
    return { ...server, phase: { kind: 'starting', sinceMs: nowMs } as const };
  });
  return { state: { ...state, servers }, effects };
}

function beginStop(state: SupervisorState, exitCode: number, nowMs: number): SupervisorStep {
  const servers = state.servers.map(
    (server) => (server.phase.kind === 'resting' ? { ...server, phase: { kind: 'gone' } as const } : server), // S4
  );
  const stopping: SupervisorState = { servers, phase: { kind: 'stopping', sinceMs: nowMs, turn: -1, exitCode } };
  return continueStop(stopping, nowMs);
}

/** Tells the next tiers to stop for as long as the present one is gone or out of time. */
function continueStop(state: SupervisorState, nowMs: number): SupervisorStep {
  const effects: SupervisorEffect[] = [];
  let { phase, servers } = state;
  while (phase.kind === 'stopping') {
    const { turn, sinceMs, exitCode }: { turn: number; sinceMs: number; exitCode: number } = phase;
    if (servers.every((server) => server.phase.kind === 'gone')) {
      phase = { kind: 'stopped', exitCode };
      break;
    }
    if (turn === TURN_KILLED) break;
    if (nowMs - sinceMs >= STOP_MS_MAX) return killAll({ servers, phase }, nowMs); // S3
    const present = STOP_SCHEDULE[turn];
    const presentIsGone = servers.every(({ tier, phase }) => tier !== present?.tier || phase.kind === 'gone');
    if (present !== undefined && !presentIsGone && nowMs - sinceMs < present.untilMs) break;
    const next = STOP_SCHEDULE[turn + 1];
    if (next === undefined) break; // the last tier is told: what remains is waiting for exits
    phase = { kind: 'stopping', sinceMs, exitCode, turn: turn + 1 };
    servers = servers.map((server) => {
      if (server.tier !== next.tier || server.phase.kind === 'gone') return server;
      effects.push({ kind: 'signal', serverId: server.serverId, signal: 'SIGTERM' });
      return { ...server, phase: { kind: 'stopping' } };
    });
  }
  return { state: { phase, servers }, effects };
}

function onGone(state: SupervisorState, serverId: string, nowMs: number): SupervisorStep {
  const afterDeath = withServer(state, serverId, (server) => ({ ...server, phase: { kind: 'gone' } }));
  return continueStop(afterDeath, nowMs);
}

function killAll(state: SupervisorState, nowMs: number): SupervisorStep {
  const exitCode = state.phase.kind === 'running' ? 130 : state.phase.exitCode;
  const effects: SupervisorEffect[] = [];
  const servers = state.servers.map((server): SupervisedServer => {
    const { kind } = server.phase;
    if (kind === 'gone' || kind === 'resting') return { ...server, phase: { kind: 'gone' } };
    effects.push({ kind: 'signal', serverId: server.serverId, signal: 'SIGKILL' });
    return { ...server, phase: { kind: 'stopping' } };
  });
  const allGone = servers.every(({ phase }) => phase.kind === 'gone');
  const sinceMs = state.phase.kind === 'stopping' ? state.phase.sinceMs : nowMs;
  const phase: ClusterPhase = allGone
    ? { kind: 'stopped', exitCode }
    : { kind: 'stopping', sinceMs, turn: TURN_KILLED, exitCode };
  return { state: { phase, servers }, effects };
}

function withServer(
  state: SupervisorState,
  serverId: string,
  change: (server: SupervisedServer) => SupervisedServer,
): SupervisorState {
  return { ...state, servers: state.servers.map((server) => (server.serverId === serverId ? change(server) : server)) };
}
