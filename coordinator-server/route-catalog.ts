/**
 * The routes of the cluster, out of what each app server declared when it joined (its manifest). Pure.
 *
 * R1: a manifest stays until the same server joins with another one, or the config no longer names the server: a server
 *     that is down or restarting takes no route away.
 * R2: where servers of different versions declare one service differently, the manifest that joined last decides the
 *     whole service. Joining again with the same manifest does not make it newer, so a crash of an old version in the
 *     middle of an upgrade turns nothing back.
 * R3: the result does not depend on the order in which equal manifests arrived.
 */
import { isDeepStrictEqual } from 'node:util';
import type { RouteEntry } from '../shared/published-state.ts';

/** What one app server declared. */
export interface RouteManifest {
  readonly serverId: string;
  readonly version: string;
  /** Grows with every manifest that differs from what its server had declared before. */
  readonly order: number;
  readonly routes: readonly RouteEntry[];
}

export interface RouteUnion {
  readonly routes: readonly RouteEntry[];
  /** One sentence per disagreement between servers, sorted; for the log and the status. */
  readonly conflicts: readonly string[];
}

/** @returns the manifests with this one in its server's place, or the same array when it says nothing new (R1, R2). */
export function withManifest(
  manifests: readonly RouteManifest[],
  declared: Omit<RouteManifest, 'order'>,
): readonly RouteManifest[] {
  const { serverId, version, routes } = declared;
  const known = manifests.find((manifest) => manifest.serverId === serverId);
  if (known !== undefined && known.version === version && isDeepStrictEqual(known.routes, routes)) return manifests;
  const order = manifests.reduce((highest, manifest) => Math.max(highest, manifest.order), 0) + 1;
  return [...manifests.filter((manifest) => manifest !== known), { serverId, version, order, routes }];
}

/** @returns the manifests of servers still named, or the same array when all are (R1). */
export function onlyNamed(manifests: readonly RouteManifest[], named: ReadonlySet<string>): readonly RouteManifest[] {
  const kept = manifests.filter((manifest) => named.has(manifest.serverId));
  return kept.length === manifests.length ? manifests : kept;
}

export function unionRoutes(manifests: readonly RouteManifest[]): RouteUnion {
  const conflicts: string[] = [];
  const newestFirst = [...manifests].sort((a, b) => b.order - a.order);
  const declaredBy = new Map<string, { manifest: RouteManifest; routes: RouteEntry[] }>();
  for (const manifest of newestFirst) {
    for (const [service, routes] of byService(manifest.routes)) {
      const decided = declaredBy.get(service);
      if (decided === undefined) {
        declaredBy.set(service, { manifest, routes }); // R2
      } else if (!isDeepStrictEqual(decided.routes, routes)) {
        conflicts.push(serviceConflict(service, decided.manifest, manifest));
      }
    }
  }
  const bySlot = new Map<string, RouteEntry>();
  for (const { routes } of declaredBy.values()) {
    for (const route of routes) {
      const taken = bySlot.get(slotOf(route));
      if (taken === undefined) bySlot.set(slotOf(route), route);
      else if (taken.service !== route.service) conflicts.push(slotConflict(taken, route));
    }
  }
  return { routes: [...bySlot.values()].sort(byText), conflicts: conflicts.sort() };
}

/** Two routes are in each other's way when they differ only in the names of their parameters. */
function slotOf(route: RouteEntry): string {
  return `${route.method} ${route.pattern.replaceAll(/:[^/]+/g, ':')}`;
}

function byService(routes: readonly RouteEntry[]): Map<string, RouteEntry[]> {
  const grouped = new Map<string, RouteEntry[]>();
  for (const route of [...routes].sort(byText)) {
    const same = grouped.get(route.service);
    if (same === undefined) grouped.set(route.service, [route]);
    else same.push(route);
  }
  return grouped;
}

/** Code-point order, not the locale's: R3 has to hold between machines. */
function byText(a: RouteEntry, b: RouteEntry): number {
  const [left, right] = [textOf(a), textOf(b)];
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

function textOf(route: RouteEntry): string {
  return `${route.service} ${route.pattern} ${route.method}`;
}

function serviceConflict(service: string, newer: RouteManifest, older: RouteManifest): string {
  const names = [newer, older].map((manifest) => `${manifest.serverId} (version ${manifest.version})`);
  return `Service ${service} is declared differently by ${names[0]} and ${names[1]}: that of ${newer.serverId}, which joined last, is published.`;
}

function slotConflict(taken: RouteEntry, other: RouteEntry): string {
  return `${other.method} ${other.pattern} is declared by service ${other.service} and, as ${taken.pattern}, by ${taken.service}, which joined last: that one is published.`;
}
