/**
 * Answers at once with what came: to try a cluster out, and to measure it.
 *
 * A request's body comes back with its content type; a request without one is told its account and method. There is
 * no schema and no promise here, so what a measurement shows is the platform.
 */
import { defineService, rawReply, route } from '#sdk';

const BYTES = 'application/octet-stream';
const JSON_TYPE = 'application/json';

export const service = defineService({
  name: 'echo',
  routes: [
    route({
      method: '*',
      path: '/echo',
      handler(ctx, { body }) {
        if (body.byteLength > 0) return rawReply(200, ctx.header('content-type') ?? BYTES, body);
        // A method is a word of ASCII letters: it needs no escapes.
        return rawReply(200, JSON_TYPE, `{"account":${JSON.stringify(ctx.account)},"method":"${ctx.method}"}`);
      },
    }),
  ],
});
