/**
 * A service whose handlers are as slow and as faulty as a test wants, each app server by itself: the mood of the server
 * is a file that the test writes.
 */
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { defineService, route } from '#sdk';

interface Mood {
  readonly delayMs: number;
  /** Of two requests one fails. */
  readonly failsHalf: boolean;
}

const GOOD: Mood = { delayMs: 0, failsHalf: false };

// Of the app server's own process; how servers are told who they are stands in shared/server-main.ts.
const { values } = parseArgs({
  options: { id: { type: 'string', default: '' }, data: { type: 'string', default: '' } },
  strict: false,
});
const moodFile = path.join(String(values.data), `mood-${String(values.id)}.json`);

function mood(): Mood {
  try {
    return { ...GOOD, ...(JSON.parse(fs.readFileSync(moodFile, 'utf8')) as Partial<Mood>) };
  } catch {
    return GOOD; // there is none, or it is being written
  }
}

let turn = 0;

export const service = defineService({
  name: 'moody',
  routes: [
    route({
      method: 'GET',
      path: '/moody/:account',
      async handler(ctx) {
        const { delayMs, failsHalf } = mood();
        if (delayMs > 0) await pause(delayMs);
        if (failsHalf && turn++ % 2 === 0) throw new Error('in a bad mood');
        return { account: ctx.account };
      },
    }),
  ],
});
