/** Something that answers HTTP, with processes whose CPU and memory count; and what it is worth under load. */
import type { Sample } from './figures.ts';
import type { LoadRequest } from './load-requests.ts';
import { cpuMicros, rssMiB } from './process-figures.ts';
import { runWrk } from './wrk.ts';

export interface LoadedServer {
  readonly name: string;
  /** e.g. `http://127.0.0.1:8080` */
  readonly url: string;
  /** Every process that works for its requests: workers, and databases where it has them. */
  pids(): number[];
  close(): Promise<void>;
}

export interface Load {
  readonly requests: readonly LoadRequest[];
  readonly connections: number;
  readonly seconds: number;
}

export async function underLoad(server: LoadedServer, load: Load): Promise<Sample> {
  const pids = server.pids();
  const cpuBefore = cpuMicros(pids);
  const { requests, ...figures } = await runWrk({ ...load, url: server.url });
  if (requests === 0) throw new Error(`${server.name} answered nothing within ${load.seconds} s`);
  return { ...figures, cpuMicrosPerRequest: (cpuMicros(pids) - cpuBefore) / requests, rssMiB: rssMiB(pids) };
}
