/** What `drain`, `maint` and `ready` have in common: the order to the coordinator, and the wait until it is carried out. */
import type { OrderAnswer, ServiceAnswer } from '../../coordinator-server/operator-actions.ts';
import { type Clock, systemClock } from '../../shared/clock.ts';
import { PlatformError } from '../../shared/errors.ts';

export interface ServiceOrder {
  readonly action: 'drain' | 'maint' | 'ready';
  readonly server: string;
  readonly force: boolean;
  readonly wait: boolean;
  /** With `wait`: how long. */
  readonly timeoutMs: number;
}

/** What it needs of the coordinator; CoordinatorAdmin in earnest. */
export interface Orders {
  act(action: string, body: unknown): Promise<unknown>;
}

/** Servers report three times a second. */
const LOOK_EVERY_MS = 100;

/**
 * @param say called with each line for the operator
 * @returns exit code: 1 when the time was over before the order was carried out everywhere; the order stands then
 * @throws PlatformError as the coordinator's actions
 */
export async function giveOrder(
  order: ServiceOrder,
  orders: Orders,
  say: (line: string) => void,
  clock: Clock = systemClock,
): Promise<number> {
  const { action, server, force, wait, timeoutMs } = order;
  const startedAtMs = clock.nowMs();
  const answer = (await orders.act(action, { server, force })) as OrderAnswer;
  for (const line of linesOf(action, answer)) say(line);
  if (!wait) return 0;
  let now: ServiceAnswer = answer;
  for (;;) {
    const waitedMs = clock.nowMs() - startedAtMs;
    if (now.state !== action) {
      throw new PlatformError('CANCELLED', `${server} was ordered to be ${now.state} meanwhile, by somebody else`);
    }
    if (now.settled) {
      say(settledLine(action, now, waitedMs));
      return 0;
    }
    if (waitedMs >= timeoutMs) {
      say(
        `${server} is still not done after ${Math.round(timeoutMs / 1000)} s: ${now.waitingFor.join('; ')}. It stays in ${action}.`,
      );
      return 1;
    }
    await clock.sleep(LOOK_EVERY_MS);
    now = (await orders.act('service', { server })) as ServiceAnswer;
  }
}

function linesOf(action: ServiceOrder['action'], { server, was, standIns }: OrderAnswer): string[] {
  const already = was === action ? ', as before' : '';
  if (action === 'ready') return [`${server} is in service${already}`];
  const words = action === 'drain' ? 'gets no new requests' : 'gets no requests; what it had goes to others';
  const lines = [`${server} is in ${action}${already}: it ${words}. Back: ./trunkline ready ${server}`];
  if (standIns.length === 0) lines.push(`warning: no other server does its work: requests that need it fail`);
  return lines;
}

function settledLine(action: ServiceOrder['action'], { server, connections }: ServiceAnswer, waitedMs: number): string {
  const after = `after ${(waitedMs / 1000).toFixed(1)} s`;
  if (action === 'ready') return `${server} is at work ${after}`;
  const clients =
    connections === undefined || connections === 0 ? '' : `; ${connections} idle client connections are open`;
  return `${server} is idle ${after}: nothing is in flight${clients}`;
}
