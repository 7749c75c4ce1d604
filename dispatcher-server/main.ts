/** A dispatcher as a process of its own. */
import { runServerProcess } from '../shared/server-main.ts';
import { startDispatcherServer } from './start-dispatcher-server.ts';

await runServerProcess('dispatcher', startDispatcherServer);
