/** The settings of a cluster that concern its links. */
import type { ClusterConfig } from '../config/cluster-schema.ts';
import { BATCH_BYTES_MAX, ENVELOPE_BYTES_MAX, LINK_WINDOW_BYTES, NOTICE_BYTES_MAX } from '../constants.ts';
import { frameBytesMaxFor } from './frame.ts';

export interface LinkSettings {
  readonly pingEveryMs: number;
  readonly pongDeadMs: number;
  /** Longest frame this end accepts. */
  readonly frameBytesMax: number;
}

export function linkSettingsOf(config: ClusterConfig): LinkSettings {
  const bodyBytesMax = Math.max(config.limits.bodyBytesMax, config.limits.replyBytesMax, NOTICE_BYTES_MAX);
  return {
    pingEveryMs: config.health.pingEveryMs,
    pongDeadMs: config.health.pongDeadMs,
    frameBytesMax: frameBytesMaxFor(bodyBytesMax, ENVELOPE_BYTES_MAX),
  };
}

/** Longest message taken: a batch leaves once it has passed BATCH_BYTES_MAX, by one frame of the largest size at most. */
export function messageBytesMaxOf(settings: LinkSettings): number {
  return settings.frameBytesMax + BATCH_BYTES_MAX * 2;
}

/**
 * Bytes that may wait for a peer to read them: a window and the frame that passed its end, and as much again as one
 * frame for all that no window counts. A peer that leaves more is cut off.
 */
export function unsentBytesMaxOf(settings: LinkSettings): number {
  return LINK_WINDOW_BYTES + settings.frameBytesMax * 2;
}
