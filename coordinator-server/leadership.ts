/**
 * Which coordinator runs the controllers (publishing, members, orders). With a journal there is one coordinator, and it
 * leads; with etcd several run, and etcd's election says which one does (store/etcd-leadership.ts).
 */
export interface LeadershipHandlers {
  /** This coordinator leads from now on. */
  onElected(): void;
  /** It does not any more; what it still tries to write, its store refuses. */
  onDeposed(): void;
}

export interface Leadership {
  readonly leading: boolean;
  /** Server id of the coordinator that leads; '' while that is not known. */
  readonly leaderId: string;
  start(handlers: LeadershipHandlers): void;
  /** Hands over to another one, if there is. */
  close(): Promise<void>;
}

/** Of a coordinator that shares its store with no other. */
export class SoleLeadership implements Leadership {
  readonly leaderId: string;
  #leading = false;

  constructor(serverId: string) {
    this.leaderId = serverId;
  }

  get leading(): boolean {
    return this.#leading;
  }

  start(handlers: LeadershipHandlers): void {
    this.#leading = true;
    handlers.onElected();
  }

  async close(): Promise<void> {
    this.#leading = false;
  }
}
