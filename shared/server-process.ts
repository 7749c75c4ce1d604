/** What every server is to whoever starts it: a process of its own (`main.ts`), the local cluster, or a test. */
import type { ClusterConfig } from './config/cluster-schema.ts';
import type { Logger } from './log.ts';

export type Tier = 'coordinator' | 'interface' | 'dispatcher' | 'app';

export interface ServerOptions {
  /** Validated config; relative paths in it are resolved against `rootFolder`. */
  readonly config: ClusterConfig;
  /** Id of this server in the config. */
  readonly serverId: string;
  /** The cluster token itself. */
  readonly token: string;
  /** Absolute path that `dataFolder` and `services` are relative to. */
  readonly rootFolder: string;
  /** The file the config came from, watched by the coordinator. */
  readonly configFile: string;
  readonly log: Logger;
}

export interface RunningServer {
  readonly serverId: string;
  readonly tier: Tier;
  /** host:port really listened on. */
  readonly listen: string;
  readonly admin: string;
  /** Takes no new requests, finishes those in flight (at most `limits.drainMs`), then closes everything. */
  stop(): Promise<void>;
}

export type StartServer = (options: ServerOptions) => Promise<RunningServer>;
