/**
 * Handlers that take a known time and no CPU, one for each class: what a cluster can serve of them is the concurrency of
 * the class ÷ that time, on any machine.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { defineService, route } from '#sdk';

const PACE_MS = 40;

async function handler(): Promise<{ paced: true }> {
  await pause(PACE_MS);
  return { paced: true };
}

export const service = defineService({
  name: 'paced',
  routes: [
    route({ method: 'GET', path: '/paced/:account', handler }),
    route({ method: 'GET', path: '/paced/:account/background', requestClass: 'background', handler }),
  ],
});
