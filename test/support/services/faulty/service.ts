/** A service whose handlers go wrong on request, for tests of what clients see then. */
import { setTimeout as pause } from 'node:timers/promises';
import { defineService, rawReply, reply, route, z } from '#sdk';

export const service = defineService({
  name: 'faulty',
  schema: ['CREATE TABLE IF NOT EXISTS faulty_notes (account VARCHAR(256) NOT NULL PRIMARY KEY, words VARCHAR(200))'],
  routes: [
    route({
      method: 'GET',
      path: '/faulty/:account/throws',
      handler() {
        throw new Error('the handler’s own secret');
      },
    }),
    route({
      method: 'GET',
      path: '/faulty/:account/sleeps',
      async handler() {
        await pause(3_000);
        return { slept: true };
      },
    }),
    route({
      method: 'GET',
      path: '/faulty/:account/lingers',
      async handler() {
        await pause(200);
        return { lingered: true };
      },
    }),
    route({
      method: 'GET',
      path: '/faulty/:account/lies',
      reply: z.object({ truth: z.boolean() }),
      handler: () => ({ truth: 'no' }) as unknown as { truth: boolean },
    }),
    route({
      method: 'GET',
      path: '/faulty/:account/talks-much',
      handler: () => rawReply(200, 'text/plain', 'x'.repeat(5 * 1024 * 1024)),
    }),
    route({
      method: 'GET',
      path: '/faulty/:account/megabyte',
      handler: () => rawReply(200, 'text/plain', 'x'.repeat(1024 * 1024)),
    }),
    route({
      method: 'GET',
      path: '/faulty/:account/bad-sql',
      handler: (ctx) => ctx.db.read('SELECT nothing FROM nowhere'),
    }),
    route({
      method: 'GET',
      path: '/faulty/:account/told',
      handler: (ctx) => ({ account: ctx.account, traceparent: ctx.traceparent, requestId: ctx.requestId }),
    }),
    route({ method: 'GET', path: '/faulty/:account/nothing', handler: () => reply(204, undefined) }),
    route({
      method: 'GET',
      path: '/faulty/numbers/:number',
      params: z.object({ number: z.coerce.number().int() }),
      handler: (_ctx, { params }) => params,
    }),
  ],
});
