/** The floor: the same echo on one bare uWebSockets.js server, as a process of its own. Prints its address. */
import { createWebApp, listenExclusive } from '../../../shared/web-server.ts';

const app = createWebApp();
app.any('/*', (response) => {
  response.writeHeader('content-type', 'application/json').end('{"account":"alice","method":"GET"}');
});
const socket = await listenExclusive(app, '127.0.0.1:0');
process.stdout.write(`${socket.address}\n`);
