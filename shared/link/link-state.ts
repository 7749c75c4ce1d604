/**
 * Life of one link, as a pure transition function: what may happen in which state, and what follows.
 *
 *   greeting ──greeted──▶ open ──peer-drains──▶ draining
 *      │                   │                       │
 *      └────── closed ◀────┴───────────────────────┘
 *
 * L1: nothing but HELLO and AUTH is handled before the peer has proved that it holds the cluster token.
 * L2: closed is final: a restarted peer is a new link.
 * L3: a peer that has said nothing for `pongDeadMs` is dead.
 */
import type { ErrorCode } from '../errors.ts';

export type LinkState =
  | { readonly kind: 'greeting'; readonly giveUpAtMs: number }
  | { readonly kind: 'open'; readonly lastHeardAtMs: number }
  | { readonly kind: 'draining'; readonly lastHeardAtMs: number }
  | { readonly kind: 'closed'; readonly code: ErrorCode; readonly detail: string };

export type LinkEvent =
  | { readonly kind: 'greeted'; readonly nowMs: number }
  | { readonly kind: 'heard'; readonly nowMs: number }
  | { readonly kind: 'peer-drains' }
  | { readonly kind: 'tick'; readonly nowMs: number; readonly pongDeadMs: number }
  | { readonly kind: 'fault'; readonly code: ErrorCode; readonly detail: string }
  | { readonly kind: 'transport-closed'; readonly code: ErrorCode; readonly detail: string };

export function nextLinkState(state: LinkState, event: LinkEvent): LinkState {
  if (state.kind === 'closed') return state; // L2
  switch (event.kind) {
    case 'fault':
    case 'transport-closed':
      return { kind: 'closed', code: event.code, detail: event.detail };
    case 'greeted':
      return state.kind === 'greeting' ? { kind: 'open', lastHeardAtMs: event.nowMs } : state;
    case 'heard':
      return state.kind === 'greeting' ? state : { kind: state.kind, lastHeardAtMs: event.nowMs };
    case 'peer-drains':
      return state.kind === 'open' ? { kind: 'draining', lastHeardAtMs: state.lastHeardAtMs } : state;
    case 'tick':
      return afterTick(state, event.nowMs, event.pongDeadMs);
  }
}

function afterTick(state: Exclude<LinkState, { kind: 'closed' }>, nowMs: number, pongDeadMs: number): LinkState {
  if (state.kind === 'greeting') {
    if (nowMs < state.giveUpAtMs) return state;
    return { kind: 'closed', code: 'LINK_HELLO_TIMEOUT', detail: 'the peer did not finish greeting in time' };
  }
  const silentMs = nowMs - state.lastHeardAtMs;
  if (silentMs <= pongDeadMs) return state;
  const detail = `the peer has said nothing for ${Math.round(silentMs)} ms (limit ${pongDeadMs} ms)`; // L3
  return { kind: 'closed', code: 'LINK_PEER_SILENT', detail };
}

/** L1: which frames a state handles. */
export function handlesStreams(state: LinkState): boolean {
  return state.kind === 'open' || state.kind === 'draining';
}
