import { runServerProcess } from '../shared/server-main.ts';
import { parsePublication } from './publication-schema.ts';
import { startCoordinatorServer } from './start-coordinator-server.ts';

await runServerProcess('coordinator', startCoordinatorServer, (kept) => parsePublication(kept).state);
