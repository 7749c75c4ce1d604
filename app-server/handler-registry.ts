/**
 * The routes of all services an app server has loaded: what it publishes when it joins, and where a request goes.
 *
 * G1: no two services share a name, a table, or a method and pattern: a request has one handler or none.
 */
import { PlatformError } from '../shared/errors.ts';
import type { RouteEntry } from '../shared/published-state.ts';
import { patternShape, type RouteMatch, RouteTable } from '../shared/routing/route-table.ts';
import type { RouteDefinition, ServiceDefinition } from './sdk/service-definition.ts';

/** A route with all that is known of it before a request comes. */
export interface RouteBinding {
  readonly service: string;
  readonly route: RouteDefinition;
  /** e.g. `POST /accounts/:account/deposits`; in logs, and in the ids of a client's idempotent writes. */
  readonly label: string;
}

function conflict(what: string, first: string, second: string, fix: string): PlatformError {
  return new PlatformError('SERVICE_INVALID', `${what} is claimed by '${first}' and by '${second}'; ${fix}`);
}

/** G1 */
function checkConflicts(services: readonly ServiceDefinition[]): void {
  const ownerByClaim = new Map<string, string>();
  const claim = (key: string, what: string, service: string, fix: string): void => {
    const other = ownerByClaim.get(key);
    if (other !== undefined) throw conflict(what, other, service, fix);
    ownerByClaim.set(key, service);
  };
  for (const { name, tables, routes } of services) {
    claim(`service ${name}`, `service name '${name}'`, name, 'rename one of them, or load it once');
    for (const table of tables) claim(`table ${table}`, `table '${table}'`, name, `rename one, e.g. ${name}_${table}`);
    for (const { method, path } of routes) {
      const shape = `${method} ${patternShape(path)}`;
      claim(`route ${shape}`, `route ${method} ${path}`, name, 'change the path or the method of one of them');
    }
  }
}

export class HandlerRegistry {
  /** One entry per route, in the order of the services; goes to the coordinator as it is. */
  readonly manifest: readonly RouteEntry[];
  /** DDL of all services, in order. */
  readonly schema: readonly string[];
  readonly #table: RouteTable<RouteBinding>;

  /** @throws PlatformError SERVICE_INVALID, naming both services that claim the same thing */
  constructor(services: readonly ServiceDefinition[]) {
    checkConflicts(services);
    const bindings = services.flatMap((service) =>
      service.routes.map((route) => ({ service: service.name, route, label: `${route.method} ${route.path}` })),
    );
    this.manifest = bindings.map(({ service, route }) => ({
      service,
      method: route.method,
      pattern: route.path,
      accountParam: route.accountParam,
      requestClass: route.requestClass,
      contentTypes: route.contentTypes,
    }));
    this.schema = services.flatMap((service) => service.schema);
    this.#table = RouteTable.build(
      bindings.map((value) => ({ method: value.route.method, pattern: value.route.path, value })),
    );
  }

  /** @param target path as sent, percent-encoded; a query after `?` is ignored */
  find(method: string, target: string): RouteMatch<RouteBinding> {
    return this.#table.find(method, target);
  }

  /** Methods that have a route at this path; `['*']` for all. */
  methodsOf(target: string): string[] {
    return this.#table.methodsOf(target);
  }
}
