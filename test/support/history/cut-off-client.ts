/** A client of the park whose ways to the coordinators can be cut, in one direction or both. */
import { makeIncarnation } from '../../../shared/ids.ts';
import { linkSettingsOf } from '../../../shared/link/link-settings.ts';
import { silentLogger } from '../../../shared/log.ts';
import { ParkClient } from '../../../shared/park/park-client.ts';
import { ParkLinkChannel } from '../../../shared/park/park-link-channel.ts';
import { systemRandom } from '../../../shared/random.ts';
import { type Direction, OneWayProxy } from './one-way-proxy.ts';
import type { TrialCoordinators } from './trial-coordinators.ts';

/** Longer than a coordinator takes to come back, so that most reads outlive it. */
const CALL_TIMEOUT_MS = 3_000;

export class CutOffClient {
  readonly name: string;
  readonly park: ParkClient;
  readonly #proxies: readonly OneWayProxy[];

  private constructor(name: string, park: ParkClient, proxies: readonly OneWayProxy[]) {
    this.name = name;
    this.park = park;
    this.#proxies = proxies;
  }

  static async open(set: TrialCoordinators, name: string): Promise<CutOffClient> {
    const { config, token } = set;
    const proxies: OneWayProxy[] = [];
    for (const { listen } of config.coordinator.servers) proxies.push(await OneWayProxy.listen(listen));
    const incarnation = makeIncarnation(systemRandom);
    const channel = new ParkLinkChannel({
      coordinators: proxies.map(({ address }) => address),
      identity: { cluster: config.cluster, token, role: 'tool', serverId: name, incarnation },
      settings: linkSettingsOf(config),
      log: silentLogger,
    });
    const park = new ParkClient({ channel, name, callTimeoutMs: CALL_TIMEOUT_MS });
    park.start();
    return new CutOffClient(name, park, proxies);
  }

  cut(...directions: readonly Direction[]): void {
    for (const proxy of this.#proxies) for (const direction of directions) proxy.cut(direction);
  }

  heal(): void {
    for (const proxy of this.#proxies) proxy.heal();
  }

  /** As if the network had forgotten its connections, and carried again. */
  reset(): void {
    for (const proxy of this.#proxies) proxy.reset();
    this.heal();
  }

  close(): void {
    this.park.close();
    for (const proxy of this.#proxies) proxy.close();
  }
}
