/**
 * Turns accepted configs and manifests into published states, one after the other.
 *
 * S1: a state is in the park before any server hears of it, so an epoch never names two contents, nor goes back after a crash.
 * S2: changes that come while a write is under way are published together by the next one.
 * S3: a disk that fails stops publishing, nothing else: the last published state stands, and writing is tried again.
 */
import { type Clock, systemClock, type TimerHandle } from '../shared/clock.ts';
import { clusterServers } from '../shared/cluster-servers.ts';
import { PlatformError, toPlatformError } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import { PARK_LIMITS } from '../shared/park/park-model.ts';
import type { PublishedState, TakenOut, TakenOutServers } from '../shared/published-state.ts';
import type { StateFileContent } from '../shared/published-state-file.ts';
import type { AcceptedConfig } from './config-publisher.ts';
import { aboveEpochs, birthEpochOf, type Draft, nextPublication, type Publication } from './publication.ts';
import { type RouteManifest, unionRoutes, withManifest } from './route-catalog.ts';

export const WRITE_RETRY_MS = 1_000;
/** Room for the epoch of the state that is really published. */
const EPOCH_DIGITS_MAX = 16;

/** Where publications last: the park (park-publication.ts). */
export interface PublicationKeeper {
  /** What messages call it. */
  readonly file: string;
  read(): StateFileContent<Publication> | Promise<StateFileContent<Publication>>;
  /** Resolves once it lasts. */
  write(publication: Publication): Promise<void>;
  close(): Promise<void>;
}

export interface StatePublisherOptions {
  readonly keeper: PublicationKeeper;
  /** Of the journal; 0 with etcd. */
  readonly term: number;
  readonly log: Logger;
  readonly clock?: Clock;
  /** A state has been published: it is to be sent to every server. */
  readonly onPublished: (state: PublishedState) => void;
}

export class StatePublisher {
  readonly #keeper: PublicationKeeper;
  readonly #term: number;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #onPublished: (state: PublishedState) => void;
  #published: Publication | undefined;
  #publishedAtWallMs = 0;
  #draft: Draft | undefined;
  #run: Promise<void> = Promise.resolve();
  #running = false;
  #retry: TimerHandle | undefined;
  #writeFailure = '';
  #conflicts: readonly string[] = [];
  #begun = false;
  #closed = false;

  constructor(options: StatePublisherOptions) {
    this.#keeper = options.keeper;
    this.#term = options.term;
    this.#log = options.log;
    this.#clock = options.clock ?? systemClock;
    this.#onPublished = options.onPublished;
  }

  /**
   * Takes up what is kept.
   * @param cluster name that the state has to be of
   * @throws PlatformError CONFIG_INVALID when it is a state that this coordinator must not replace
   */
  async recover(cluster: string): Promise<void> {
    const { file } = this.#keeper;
    const content = await this.#keeper.read();
    if (content.kind === 'absent') return;
    if (content.kind === 'damaged') {
      this.#log.error(
        { reason: content.reason },
        'published state lost; the config file is taken as it is. Compare its frames with where the data is',
      );
      return;
    }
    if (content.kind === 'foreign') {
      const detail = `${content.reason}. Run the version that wrote it, or move the file away to begin from the config file as it is.`;
      throw new PlatformError('CONFIG_INVALID', detail);
    }
    const { state, manifests } = content.value;
    if (state.config.cluster !== cluster) {
      const detail = `${file} is of cluster ${state.config.cluster}, the config file of ${cluster}. Give each cluster a dataFolder of its own, or put the name back.`;
      throw new PlatformError('CONFIG_INVALID', detail);
    }
    const { config, bucketMap, takenOut } = state;
    this.#draft = { accepted: { config, bucketMap }, manifests, takenOut, epochFloor: 0, term: this.#term };
    if (content.kind === 'whole') {
      this.#published = content.value;
      this.#publishedAtWallMs = this.#clock.wallMs();
    } else {
      // S1: the generation that was lost may have been published one epoch higher, with another content.
      this.#log.error({ reason: content.reason }, 'published state damaged; going on from the generation before');
      this.#draft = aboveEpochs(this.#draft, state.epoch + 1, state.bucketMap.epoch + 1);
    }
  }

  /** Publishes what is accepted so far. Not before this process owns the coordinator's address: two must not write. */
  begin(): void {
    this.#begun = true;
    this.#start();
  }

  /** Publishes nothing until it recovers and begins again: another coordinator does. */
  async pause(): Promise<void> {
    this.#begun = false;
    this.#retry?.cancel();
    await this.#run;
  }

  /** Another coordinator has published this. */
  follow(state: PublishedState): void {
    if (this.#begun || state.epoch <= (this.#published?.state.epoch ?? -1)) return;
    const manifests = this.#draft?.manifests ?? [];
    this.#published = { state, manifests };
    this.#publishedAtWallMs = this.#clock.wallMs();
    const { config, bucketMap, takenOut } = state;
    this.#draft = { accepted: { config, bucketMap }, manifests, takenOut, epochFloor: 0, term: this.#term };
    this.#onPublished(state);
  }

  /** What every server may be told (S1). */
  get state(): PublishedState | undefined {
    return this.#published?.state;
  }

  /** The newest accepted config, published or about to be. */
  get accepted(): AcceptedConfig | undefined {
    return this.#draft?.accepted;
  }

  get term(): number {
    return this.#term;
  }

  get publishedAtWallMs(): number {
    return this.#publishedAtWallMs;
  }

  get manifests(): readonly RouteManifest[] {
    return this.#draft?.manifests ?? [];
  }

  /** Disagreements between manifests, in words. */
  get conflicts(): readonly string[] {
    return this.#conflicts;
  }

  /** Why the newest change is not published yet; '' when all is well. */
  get writeFailure(): string {
    return this.#writeFailure;
  }

  /** @throws PlatformError CONFIG_INVALID when the state would be too large to send */
  accept(accepted: AcceptedConfig): void {
    const draft = this.#draft ?? { manifests: [], takenOut: {}, epochFloor: 0, term: this.#term };
    this.#take({ ...draft, accepted, takenOut: onlyServersOf(accepted, draft.takenOut) });
  }

  get takenOut(): TakenOutServers {
    return this.#draft?.takenOut ?? {};
  }

  /**
   * Takes a server out of service, or puts it back (`undefined`).
   * @returns epoch of the state that says so, once it is on disk and sent
   * @throws PlatformError STORE_UNAVAILABLE when the disk fails: it is published when the disk works again
   */
  async takeOut(serverId: string, how: TakenOut | undefined): Promise<number> {
    if (this.#draft === undefined) throw new PlatformError('NOT_READY', 'no config is accepted yet');
    const { [serverId]: _, ...others } = this.#draft.takenOut;
    this.#take({ ...this.#draft, takenOut: how === undefined ? others : { ...others, [serverId]: how } });
    await this.settled();
    if (this.#writeFailure !== '') throw new PlatformError('STORE_UNAVAILABLE', this.#writeFailure);
    return this.#published?.state.epoch ?? 0;
  }

  /**
   * An app server has joined with these routes.
   * @throws PlatformError CONFIG_INVALID when the state would be too large to send
   */
  declare(manifest: Omit<RouteManifest, 'order'>): void {
    if (this.#draft === undefined) return;
    const manifests = withManifest(this.#draft.manifests, manifest);
    if (manifests !== this.#draft.manifests) this.#take({ ...this.#draft, manifests });
  }

  /** A server acts on a state of these epochs: when this coordinator never published it, it publishes above them. */
  raiseFloor(stateEpoch: number, mapEpoch: number): void {
    if (this.#draft === undefined) return;
    const { epoch, bucketMap } = this.#published?.state ?? { epoch: 0, bucketMap: { epoch: 0 } };
    if (stateEpoch <= epoch && mapEpoch <= bucketMap.epoch) return;
    const draft = aboveEpochs(this.#draft, stateEpoch, mapEpoch);
    if (draft === this.#draft) return;
    this.#log.warn(
      { stateEpoch, mapEpoch, published: epoch },
      'a server acts on a newer state than this coordinator knows of; publishing above it',
    );
    this.#take(draft);
  }

  /** Resolves when nothing is left to write, or writing has failed. */
  async settled(): Promise<void> {
    await this.#run;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#retry?.cancel();
    await this.#run;
    await this.#keeper.close();
  }

  #take(draft: Draft): void {
    const { state } = nextPublication(this.#published, draft, 0).publication;
    const stateBytes = Buffer.byteLength(JSON.stringify(state)) + EPOCH_DIGITS_MAX;
    if (stateBytes > PARK_LIMITS.valueBytesMax) {
      const detail = `Expected config and routes of at most ${PARK_LIMITS.valueBytesMax} bytes together, got ${stateBytes}: fewer routes or servers.`;
      throw new PlatformError('CONFIG_INVALID', detail);
    }
    this.#draft = draft;
    this.#start();
  }

  #start(): void {
    if (!this.#begun || this.#closed || this.#running) return; // S2
    this.#retry?.cancel();
    this.#run = this.#publishAll();
  }

  async #publishAll(): Promise<void> {
    this.#running = true;
    try {
      while (this.#draft !== undefined && this.#begun && !this.#closed) {
        const birthEpoch = birthEpochOf(this.#clock.wallMs());
        const { publication, changed } = nextPublication(this.#published, this.#draft, birthEpoch);
        this.#reportConflicts(publication.manifests);
        if (changed === 'nothing' || !(await this.#write(publication))) return;
        this.#published = publication;
        if (changed === 'manifests') continue;
        this.#publishedAtWallMs = this.#clock.wallMs();
        this.#log.info({ epoch: publication.state.epoch, routes: publication.state.routes.length }, 'state published');
        this.#onPublished(publication.state);
      }
    } finally {
      this.#running = false; // in the turn of the last look: a change that comes after it starts anew
    }
  }

  /** S1 @returns whether it is on disk */
  async #write(publication: Publication): Promise<boolean> {
    try {
      await this.#keeper.write(publication);
    } catch (thrown) {
      this.#onWriteFailure(thrown);
      return false;
    }
    this.#writeFailure = '';
    return true;
  }

  /** S3 */
  #onWriteFailure(thrown: unknown): void {
    const failure = `${this.#keeper.file} cannot be written: ${toPlatformError(thrown).detail}`;
    if (failure !== this.#writeFailure) this.#log.error({ failure, retryInMs: WRITE_RETRY_MS }, 'state not published');
    this.#writeFailure = failure;
    if (!this.#closed) this.#retry = this.#clock.after(WRITE_RETRY_MS, () => this.#start());
  }

  #reportConflicts(manifests: readonly RouteManifest[]): void {
    const { conflicts } = unionRoutes(manifests);
    for (const conflict of conflicts) {
      if (!this.#conflicts.includes(conflict)) this.#log.warn({ conflict }, 'app servers disagree about routes');
    }
    this.#conflicts = conflicts;
  }
}

/** A server that the config no longer names comes back, if it does, in service. */
function onlyServersOf({ config }: AcceptedConfig, takenOut: TakenOutServers): TakenOutServers {
  const named = new Set(clusterServers(config).map(({ serverId }) => serverId));
  return Object.fromEntries(Object.entries(takenOut).filter(([serverId]) => named.has(serverId)));
}
