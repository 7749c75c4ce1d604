/**
 * What became of a lock: who held it from when until when, with which token, and what a resource that checks tokens took.
 *
 * N1: no two hold it at once: a holding lasts from the answer to the instant at which the holder last made sure of it.
 * N2: tokens grow from holder to holder.
 * N3: a resource that has taken a newer token takes no older one.
 */

export interface Holding {
  readonly holder: string;
  readonly token: number;
  readonly fromMs: number;
  /** When the holder last knew that it held it. */
  untilMs: number;
}

/** What checks tokens: the simplest resource there is. */
export class FencedResource {
  #newest = 0;
  accepted = 0;
  refused = 0;

  /** @returns whether the write was taken */
  write(token: number): boolean {
    const isTaken = token >= this.#newest; // N3
    if (isTaken) this.#newest = token;
    if (isTaken) this.accepted += 1;
    else this.refused += 1;
    return isTaken;
  }
}

/** @returns what is wrong, a sentence each */
export function lockComplaints(holdings: readonly Holding[]): string[] {
  const complaints: string[] = [];
  let last: Holding | undefined;
  for (const holding of holdings.toSorted((a, b) => a.fromMs - b.fromMs)) {
    if (last !== undefined) {
      const who = `${holding.holder} (token ${holding.token})`;
      if (holding.fromMs < last.untilMs)
        complaints.push(`${who} held it ${(last.untilMs - holding.fromMs).toFixed(1)} ms beside ${last.holder}`); // N1
      if (holding.token <= last.token) complaints.push(`${who} came after ${last.holder} with token ${last.token}`); // N2
    }
    if (last === undefined || holding.untilMs > last.untilMs || holding.token > last.token) last = holding;
  }
  return complaints;
}

/** @param tokens that a resource took, in its order @returns what is wrong, a sentence each */
export function fenceComplaints(tokens: readonly number[]): string[] {
  const complaints: string[] = [];
  let newest = 0;
  for (const token of tokens) {
    if (token < newest) complaints.push(`a write with token ${token} was taken after ${newest}`); // N3
    newest = Math.max(newest, token);
  }
  return complaints;
}
