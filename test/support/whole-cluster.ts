/** Whether every server of a cluster is up and every server thinks so of those it talks to. */
import assert from 'node:assert/strict';
import { clusterServers } from '../../shared/cluster-servers.ts';
import type { ClusterConfig } from '../../shared/config/cluster-schema.ts';
import { eventually } from './eventually.ts';

interface PeerView {
  readonly id: string;
  readonly state: string;
  readonly reason: string;
}

interface StatusView {
  readonly dispatchers?: readonly PeerView[];
  readonly groups?: readonly { readonly group: string; readonly appServers: readonly PeerView[] }[];
}

/** Far more than it takes: a test tells how long it took, it does not judge it. */
const WHOLE_WITHIN_MS = 20_000;

/** A look asks every server twice: more often would slow down what it waits for. */
const LOOK_EVERY_MS = 100;

/** @returns what is missing, in words; empty when the cluster is whole */
export async function missingFrom(config: ClusterConfig): Promise<string[]> {
  const views = await Promise.all(
    clusterServers(config).map((server) => missingFromServer(server.serverId, server.admin)),
  );
  return views.flat();
}

/** Resolves once the cluster is whole. @returns how long it took, ms */
export async function untilWhole(config: ClusterConfig): Promise<number> {
  const startedAt = performance.now();
  let missing: readonly string[] = [];
  const whole = async (): Promise<boolean> => {
    missing = await missingFrom(config);
    return missing.length === 0;
  };
  await eventually('a whole cluster', whole, WHOLE_WITHIN_MS, LOOK_EVERY_MS).catch(() =>
    assert.fail(`not whole: ${missing.join('; ')}`),
  );
  return performance.now() - startedAt;
}

async function missingFromServer(serverId: string, admin: string): Promise<string[]> {
  try {
    const ready = await fetch(`http://${admin}/-/ready`);
    if (ready.status !== 200) return [`${serverId}: ${(await ready.text()).trim()}`];
    const status = (await (await fetch(`http://${admin}/-/status`)).json()) as StatusView;
    const peers = [...(status.dispatchers ?? []), ...(status.groups ?? []).flatMap(({ appServers }) => appServers)];
    return peers.filter(({ state }) => state !== 'ready').map(({ id, reason }) => `${serverId} → ${id}: ${reason}`);
  } catch (error) {
    return [`${serverId}: ${error instanceof Error ? error.message : String(error)}`];
  }
}
