/** What dispatchers tell interface servers beside answers. */

/** Sent when a link opens and whenever it changes. */
export const REACH_TOPIC = 'reach';

export interface ReachNotice {
  /** Groups of which at least one app server works. */
  readonly groups: readonly string[];
}
