import { runServerProcess } from '../shared/server-main.ts';
import { startCoordinatorServer } from './start-coordinator-server.ts';

await runServerProcess('coordinator', startCoordinatorServer);
