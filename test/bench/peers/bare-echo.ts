/** The floor: the echo service's answers from one bare uWebSockets.js server. Started with its address. */
import { createWebApp, listenExclusive } from '../../../shared/web-server.ts';

const app = createWebApp();
app.any('/*', (response, request) => {
  const account = request.getQuery('account') ?? '';
  const method = request.getMethod().toUpperCase();
  if (method === 'GET') {
    response.writeHeader('content-type', 'application/json').end(JSON.stringify({ account, method }));
    return;
  }
  const contentType = request.getHeader('content-type');
  let body = Buffer.alloc(0);
  let gone = false;
  response.onAborted(() => {
    gone = true;
  });
  response.onData((chunk, isLast) => {
    // The chunk is only lent: a lone one is sent on before it is taken back.
    if (isLast && body.length === 0) {
      if (!gone) response.writeHeader('content-type', contentType).end(chunk);
      return;
    }
    body = Buffer.concat([body, Buffer.from(chunk)]);
    if (isLast && !gone) response.writeHeader('content-type', contentType).end(body);
  });
});
await listenExclusive(app, process.argv[2] as string);
