/**
 * What the leading coordinator does besides keeping the park: it takes up the config file, publishes states, records
 * configs and lists members. A coordinator that does not lead passes on what the leader published, and keeps what
 * servers tell it for the day it is elected.
 *
 * E1: the park is read anew at every election: what this coordinator knew from an earlier term is not published.
 * E2: terms do not overlap in one process: the next begins when the work of the one before has ended.
 */
import type { Clock } from '../shared/clock.ts';
import type { ClusterConfig } from '../shared/config/cluster-schema.ts';
import { toPlatformError } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import type { ParkEvent } from '../shared/park/park-model.ts';
import { parsePublishedState } from '../shared/published-state-schema.ts';
import type { ConfigHistory } from './config-history.ts';
import type { CoordinatorPipeline } from './coordinator-pipeline.ts';
import type { Leadership } from './leadership.ts';
import type { MemberNodes } from './member-nodes.ts';
import { PUBLISHED_DOMAIN, STATE_NODE } from './park-publication.ts';
import type { StatePublisher } from './state-publisher.ts';
import type { ParkStore, WatchHandle } from './store/park-store.ts';

const WATCH_AGAIN_MS = 200;
const LEAD_AGAIN_MS = 1_000;

export interface ControllersOptions {
  readonly store: ParkStore;
  readonly leadership: Leadership;
  readonly publisher: StatePublisher;
  readonly pipeline: CoordinatorPipeline;
  readonly history: ConfigHistory;
  readonly members: MemberNodes;
  readonly cluster: string;
  readonly log: Logger;
  readonly clock: Clock;
}

export class Controllers {
  readonly #options: ControllersOptions;
  /** The file's newest config, for the day this coordinator leads. */
  #config: ClusterConfig | undefined;
  #watch: WatchHandle | undefined;
  #watchedRevision = 0;
  #term: Promise<void> = Promise.resolve();
  #firstTerm: { resolve(): void; reject(reason: unknown): void } | undefined;
  #closed = false;

  constructor(options: ControllersOptions) {
    this.#options = options;
  }

  /**
   * Resolves when this coordinator has published, or follows another one.
   * @throws PlatformError CONFIG_INVALID, STORE_UNAVAILABLE: it leads, and cannot publish
   */
  async start(): Promise<void> {
    const { leadership } = this.#options;
    this.#follow();
    const first = new Promise<void>((resolve, reject) => {
      this.#firstTerm = { resolve, reject };
    });
    first.catch(() => undefined);
    leadership.start({ onElected: () => this.#onElected(), onDeposed: () => this.#onDeposed() });
    if (leadership.leading) await first;
    else this.#firstTerm = undefined; // elected later, it tries until it can publish
  }

  /** @param text of the file; undefined when this is only what the process was started with */
  offerConfig(config: ClusterConfig, text?: string): void {
    const { history, leadership, pipeline, publisher } = this.#options;
    this.#config = config;
    history.offered(config, text);
    if (!leadership.leading) return;
    pipeline.offerConfig(config);
    if (publisher.state !== undefined) history.published(publisher.state); // H3 of config-history.ts
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watch?.close();
    await this.#options.leadership.close();
    await this.#term.catch(() => undefined);
    await this.#options.members.close();
    await this.#options.history.settled();
  }

  #onElected(): void {
    this.#term = this.#term.then(() => this.#lead()); // E2
  }

  #onDeposed(): void {
    const { log, publisher, members } = this.#options;
    log.warn('another coordinator leads from now on');
    this.#term = this.#term.then(async () => {
      members.end();
      await publisher.pause();
    });
  }

  async #lead(): Promise<void> {
    const { publisher, pipeline, members, history, cluster, log, leadership, clock } = this.#options;
    if (this.#closed || !leadership.leading) return;
    try {
      history.begin();
      await publisher.recover(cluster); // E1
      if (this.#config !== undefined) pipeline.offerConfig(this.#config);
      pipeline.declareJoined();
      publisher.begin();
      await publisher.settled();
      members.begin(pipeline.leaseTtlMs, pipeline.members.list());
      if (publisher.state !== undefined) history.published(publisher.state);
      if (publisher.state === undefined && this.#firstTerm !== undefined) throw new Error(publisher.writeFailure);
      log.info({ epoch: publisher.state?.epoch }, 'this coordinator leads');
      this.#firstTerm?.resolve();
    } catch (thrown) {
      const first = this.#firstTerm;
      if (first !== undefined) first.reject(toPlatformError(thrown, 'STORE_UNAVAILABLE'));
      else this.#leadAgain(thrown, clock);
    }
    this.#firstTerm = undefined;
  }

  #leadAgain(thrown: unknown, clock: Clock): void {
    this.#options.log.error({ reason: toPlatformError(thrown).detail }, 'elected, but nothing can be published yet');
    clock.after(LEAD_AGAIN_MS, () => this.#onElected());
  }

  /** What the leader publishes reaches the servers linked to this coordinator. */
  #follow(): void {
    if (this.#closed) return;
    const { store, clock, log } = this.#options;
    const request = { domain: PUBLISHED_DOMAIN, node: STATE_NODE, afterRevision: this.#watchedRevision };
    this.#watch = store.watch(request, {
      onEvents: (events, upTo) => {
        for (const event of events) this.#onEvent(event);
        this.#watchedRevision = Math.max(this.#watchedRevision, upTo);
      },
      onEnd: (reason) => {
        if (this.#closed) return;
        log.warn({ reason: toPlatformError(reason).detail }, 'the watch on the published state ended; it begins again');
        clock.after(WATCH_AGAIN_MS, () => this.#follow());
      },
    });
  }

  #onEvent(event: ParkEvent): void {
    const { leadership, publisher, log } = this.#options;
    if (leadership.leading) return; // it wrote that itself
    if (event.kind === 'removed') return;
    for (const { value } of event.kind === 'put' ? [event.node] : event.nodes) {
      try {
        publisher.follow(parsePublishedState(JSON.parse(value)));
      } catch (thrown) {
        log.error({ reason: toPlatformError(thrown).detail }, 'the published state in the park is not one');
      }
    }
  }
}
