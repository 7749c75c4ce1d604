/**
 * Where a publication lives: in the park, and as a copy in this coordinator's own file, like every server's.
 *
 * | node                              | value                                                   |
 * |-----------------------------------|---------------------------------------------------------|
 * | `trunkline.published/state`       | PublishedState: config, bucket map, routes, taken-out   |
 * | `trunkline.manifests/<server id>` | RouteManifest: what an app server declared              |
 *
 * K1: a publication is in the park before it is anywhere else. The manifests are written before the state made of them:
 *     a crash in between leaves manifests that the next publication takes up.
 * K2: a file that is newer than the park, or beside an empty one, means that the park lost something (a folder that was
 *     deleted, or restored from an old copy): then the file counts, and is put into the park.
 */
import { toPlatformError } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import { PARK_LIMITS, type ParkNode, type ParkWrite } from '../shared/park/park-model.ts';
import type { PublishedStateFile, StateFileContent } from '../shared/published-state-file.ts';
import type { Publication } from './publication.ts';
import { parsePublication } from './publication-schema.ts';
import type { RouteManifest } from './route-catalog.ts';
import { type ParkStore, PLATFORM_WRITER } from './store/park-store.ts';

export const PUBLISHED_DOMAIN = 'trunkline.published';
export const STATE_NODE = 'state';
export const MANIFESTS_DOMAIN = 'trunkline.manifests';

export interface ParkPublicationOptions {
  readonly store: ParkStore;
  readonly file: PublishedStateFile<Publication>;
  readonly log: Logger;
}

export class ParkPublication {
  readonly #store: ParkStore;
  readonly #file: PublishedStateFile<Publication>;
  readonly #log: Logger;

  constructor(options: ParkPublicationOptions) {
    this.#store = options.store;
    this.#file = options.file;
    this.#log = options.log;
  }

  /** How messages call it. */
  get file(): string {
    return `${PUBLISHED_DOMAIN}/${STATE_NODE} of the park`;
  }

  /** @throws PlatformError CONFIG_INVALID when the park holds something else, STORE_UNAVAILABLE */
  async read(): Promise<StateFileContent<Publication>> {
    const inFile = this.#file.read();
    const { node } = await this.#store.get(PUBLISHED_DOMAIN, STATE_NODE);
    if (node === undefined) {
      if (inFile.kind === 'whole') await this.#writeToPark(inFile.value);
      return inFile;
    }
    const manifests = await this.#manifests();
    const value = parsePublication({
      state: JSON.parse(node.value),
      manifests: manifests.map((manifest) => JSON.parse(manifest.value)),
    });
    if (!('value' in inFile) || inFile.value.state.epoch <= value.state.epoch) return { kind: 'whole', value };
    const epochs = { park: value.state.epoch, file: inFile.value.state.epoch };
    this.#log.error({ epochs }, 'the park is older than what this coordinator published; the newer is taken');
    await this.#writeToPark(inFile.value);
    return inFile; // K2
  }

  async write(publication: Publication): Promise<void> {
    await this.#writeToPark(publication);
    await this.#file.write(publication).catch((thrown: unknown) => {
      const reason = toPlatformError(thrown).detail;
      this.#log.warn({ reason }, 'published state not kept on disk as well; the park has it');
    }); // K1
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #writeToPark({ state, manifests }: Publication): Promise<void> {
    await this.#writeManifests(manifests);
    const value = JSON.stringify(state);
    const { node } = await this.#store.get(PUBLISHED_DOMAIN, STATE_NODE);
    if (node?.value === value) return;
    await this.#put([{ op: 'put', domain: PUBLISHED_DOMAIN, node: STATE_NODE, value, access: 'read' }]);
  }

  async #writeManifests(manifests: readonly RouteManifest[]): Promise<void> {
    const kept = new Map((await this.#manifests()).map((node) => [node.node, node.value]));
    const writes: ParkWrite[] = [];
    for (const manifest of manifests) {
      const value = JSON.stringify(manifest);
      if (kept.get(manifest.serverId) !== value)
        writes.push({ op: 'put', domain: MANIFESTS_DOMAIN, node: manifest.serverId, value, access: 'read' });
      kept.delete(manifest.serverId);
    }
    for (const node of kept.keys()) writes.push({ op: 'delete', domain: MANIFESTS_DOMAIN, node });
    for (let from = 0; from < writes.length; from += PARK_LIMITS.writesMax)
      await this.#put(writes.slice(from, from + PARK_LIMITS.writesMax));
  }

  async #put(writes: readonly ParkWrite[]): Promise<void> {
    await this.#store.write(PLATFORM_WRITER, { writes });
  }

  async #manifests(): Promise<ParkNode[]> {
    const nodes: ParkNode[] = [];
    let after = '';
    do {
      const page = await this.#store.list(MANIFESTS_DOMAIN, after, PARK_LIMITS.listNodesMax);
      nodes.push(...page.nodes);
      after = page.next;
    } while (after !== '');
    return nodes;
  }
}
