/** An interface server as a process of its own. */
import { runServerProcess } from '../shared/server-main.ts';
import { startInterfaceServer } from './start-interface-server.ts';

await runServerProcess('interface', startInterfaceServer);
