/** The settings of a cluster that concern its links. */
import type { ClusterConfig } from '../config/cluster-schema.ts';
import { ENVELOPE_BYTES_MAX, NOTICE_BYTES_MAX } from '../constants.ts';
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
