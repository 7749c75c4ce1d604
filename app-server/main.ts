/** An app server as a process of its own. */
import { runServerProcess } from '../shared/server-main.ts';
import { startAppServer } from './start-app-server.ts';

await runServerProcess('app', startAppServer);
