/** Which request class a scanner serves next. Pure; replaceable: a server takes any QueuePolicy. */

export interface ClassView {
  readonly weight: number;
  /** Requests waiting, and allowed to go on now. */
  readonly eligible: boolean;
}

export interface QueuePolicy {
  /** @returns index of the class to take from, or -1 when none is eligible */
  next(classes: readonly ClassView[]): number;
}

/**
 * Weighted turns: a busy class is taken `weight` times, then the others have theirs. An idle class leaves its turns to
 * the rest, so no class starves and none waits for nothing.
 */
export function weightedTurns(): QueuePolicy {
  const credits: number[] = [];
  return {
    next(classes) {
      for (let round = 0; round < 2; round++) {
        for (let index = 0; index < classes.length; index++) {
          const view = classes[index] as ClassView;
          if (!view.eligible || (credits[index] ?? view.weight) <= 0) continue;
          credits[index] = (credits[index] ?? view.weight) - 1;
          return index;
        }
        for (let index = 0; index < classes.length; index++) credits[index] = (classes[index] as ClassView).weight;
      }
      return -1;
    },
  };
}
