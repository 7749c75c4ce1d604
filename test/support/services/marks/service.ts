/**
 * Counts how often each account's handler ran, for tests that ask whether a request ran at all: one that was smuggled
 * leaves its mark here even when its answer reaches nobody. One app server must run it: the marks are in its memory.
 */
import { defineService, route } from '#sdk';

/** Tests use a few hundred; a mistake in one must not fill the process. */
const ACCOUNTS_MAX = 20_000;

interface Mark {
  runs: number;
  /** Of these, those that no proxy had passed on: it would have named the client. */
  runsWithoutProxy: number;
}

const marks = new Map<string, Mark>();

export const service = defineService({
  name: 'marks',
  routes: [
    route({
      method: '*',
      path: '/mark',
      handler(ctx) {
        const mark = marks.get(ctx.account) ?? { runs: 0, runsWithoutProxy: 0 };
        mark.runs++;
        if (ctx.header('x-forwarded-for') === undefined) mark.runsWithoutProxy++;
        if (marks.size < ACCOUNTS_MAX) marks.set(ctx.account, mark);
        return { marked: ctx.account };
      },
    }),
    route({ method: 'GET', path: '/marks', handler: () => Object.fromEntries(marks) }),
  ],
});
