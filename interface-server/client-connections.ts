/**
 * The connections of an interface server's clients: how many are open, and how a server that stops lets go of them.
 *
 * N1: an idle connection may get its next request in the moment it is closed, and that request would have no answer.
 *     So a server that stops goes on answering, each time with `connection: close`, until no connection is left, or
 *     those that are left have been quiet for QUIET_MS: busy clients are gone by then, idle ones look before they send.
 */
import type { Clock } from '../shared/clock.ts';
import type { WebApp } from '../shared/web-server.ts';

/** Many times what a client that is at work takes between two requests. */
export const QUIET_MS = 250;
const LOOK_EVERY_MS = 10;

export class ClientConnections {
  #open = 0;

  /** Before the app's routes are set. */
  watch(app: WebApp): void {
    app.filter((_response, change) => {
      this.#open += Number(change);
    });
  }

  get open(): number {
    return this.#open;
  }

  /** @param taken requests taken since the start @param inFlight of them, those not yet answered */
  async spent(clock: Clock, taken: () => number, inFlight: () => number, timeoutMs: number): Promise<void> {
    const giveUpAtMs = clock.nowMs() + timeoutMs;
    let seen = taken();
    let quietSinceMs = clock.nowMs();
    while (this.#open > 0 || inFlight() > 0) {
      await clock.sleep(LOOK_EVERY_MS);
      const nowMs = clock.nowMs();
      if (nowMs >= giveUpAtMs) return;
      if (taken() !== seen || inFlight() > 0) {
        seen = taken();
        quietSinceMs = nowMs;
      } else if (nowMs - quietSinceMs >= QUIET_MS) {
        return; // N1
      }
    }
  }
}
