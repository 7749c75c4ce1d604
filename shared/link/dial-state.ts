/**
 * When a dialer tries again, as a pure function.
 *
 * D1: the pause doubles from REDIAL_MS_MIN to REDIAL_MS_MAX with each failed try, and half of it is random, so that
 *     servers that lost the same peer do not come back in step.
 * D2: a link that stayed open for STEADY_MS starts the pauses anew; one that opens and closes at once does not.
 */
import { REDIAL_MS_MAX, REDIAL_MS_MIN } from '../constants.ts';

export type DialState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'dialing'; readonly failures: number }
  | { readonly kind: 'linked'; readonly failures: number; readonly sinceMs: number }
  | { readonly kind: 'waiting'; readonly failures: number; readonly redialInMs: number }
  | { readonly kind: 'stopped' };

export type DialEvent =
  | { readonly kind: 'dial' }
  | { readonly kind: 'opened'; readonly nowMs: number }
  | { readonly kind: 'lost'; readonly nowMs: number /** 0 ≤ x < 1 */; readonly chance: number }
  | { readonly kind: 'stop' };

const STEADY_MS = 1_000;

export function nextDialState(state: DialState, event: DialEvent): DialState {
  if (state.kind === 'stopped') return state;
  switch (event.kind) {
    case 'stop':
      return { kind: 'stopped' };
    case 'dial':
      return state.kind === 'idle' || state.kind === 'waiting'
        ? { kind: 'dialing', failures: state.kind === 'waiting' ? state.failures : 0 }
        : state;
    case 'opened':
      return state.kind === 'dialing' ? { kind: 'linked', failures: state.failures, sinceMs: event.nowMs } : state;
    case 'lost':
      return afterLoss(state, event.nowMs, event.chance);
  }
}

function afterLoss(state: Exclude<DialState, { kind: 'stopped' }>, nowMs: number, chance: number): DialState {
  if (state.kind === 'idle' || state.kind === 'waiting') return state;
  const steady = state.kind === 'linked' && nowMs - state.sinceMs >= STEADY_MS; // D2
  const failures = steady ? 0 : state.failures;
  const pauseMs = Math.min(REDIAL_MS_MAX, REDIAL_MS_MIN * 2 ** Math.min(failures, 16));
  return { kind: 'waiting', failures: failures + 1, redialInMs: pauseMs / 2 + (pauseMs / 2) * chance }; // D1
}
