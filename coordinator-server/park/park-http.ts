/**
 * The park over HTTP, on the coordinator's admin listener, for programs in any language. docs/coordination.md tells it with
 * examples.
 *
 * | request                                   | does                                                                  |
 * |-------------------------------------------|-----------------------------------------------------------------------|
 * | GET /park?prefix=&after=                  | domains                                                               |
 * | GET /park/D?after=&limit=                 | nodes of a domain; with `watch`, its changes as server-sent events    |
 * | POST /park/D                              | creates a node with a generated name                                  |
 * | PATCH /park/D {"deletable": true}         | everybody may delete the domain                                       |
 * | DELETE /park/D                            | deletes the domain                                                    |
 * | GET /park/D/N                             | a node; `wait=30s` until it differs from If-None-Match; or `watch`    |
 * | PUT /park/D/N                             | creates or updates; If-Match: only that one; If-None-Match: * creates |
 * | DELETE /park/D/N                          | deletes; If-Match: only that one                                      |
 * | POST /park-transactions                   | several writes and checks, all or none                                |
 * | POST /park-sessions, PUT and DELETE …/ID  | opens, renews, ends a session                                         |
 *
 * H1: who asks is known before anything is looked at (park-access.ts); platform domains are never written here.
 * H2: an ETag is a node's modRevision; what a condition names is compared in the same transaction as the write.
 */
import { type AdminExchange, type Answer, jsonAnswer } from '../../shared/admin-exchange.ts';
import type { AdminRoute } from '../../shared/admin-server.ts';
import type { Clock } from '../../shared/clock.ts';
import { PlatformError } from '../../shared/errors.ts';
import {
  PARK_LIMITS,
  type ParkCheck,
  type ParkNode,
  type ParkTransaction,
  type ParkWrite,
} from '../../shared/park/park-model.ts';
import type { ParkStore, Writer } from '../store/park-store.ts';
import type { Caller, ParkAccess } from './park-access.ts';
import {
  accessOf,
  durationOf,
  flagOf,
  invalid,
  numberOf,
  requireJson,
  revisionOf,
  type Target,
  targetOf,
  unknownPath,
} from './park-http-requests.ts';
import { streamChanges, untilChanged } from './park-http-watch.ts';
import { parseTransaction, touchedDomains } from './park-transaction-json.ts';
import { wireNode } from './park-wire.ts';

const WAIT_MS_MAX = 60_000;
/** Requests that wait, and streams: each is a watch. */
const WAITING_MAX = 1_000;
const SESSION_TTL_MS_DEFAULT = 10_000;
/** A transaction's values, quoted once more. */
const BODY_BYTES_MAX = 2 * PARK_LIMITS.transactionBytesMax;

export interface ParkHttpOptions {
  readonly store: ParkStore;
  readonly access: ParkAccess;
  readonly clock: Clock;
}

/** For startAdminServer. */
export function parkRoutes(options: ParkHttpOptions): readonly AdminRoute[] {
  const http = new ParkHttp(options);
  return [{ prefix: '/park', bodyBytesMax: BODY_BYTES_MAX, serve: (exchange) => http.serve(exchange) }];
}

class ParkHttp {
  readonly #store: ParkStore;
  readonly #access: ParkAccess;
  readonly #clock: Clock;
  #waiting = 0;

  constructor({ store, access, clock }: ParkHttpOptions) {
    this.#store = store;
    this.#access = access;
    this.#clock = clock;
  }

  async serve(exchange: AdminExchange): Promise<Answer | undefined> {
    const caller = this.#access.callerOf(exchange.header('authorization')); // H1
    const target = targetOf(exchange.path);
    switch (target.kind) {
      case 'domains':
        requireMethod(exchange, ['GET']);
        return await this.#domains(exchange, caller);
      case 'domain':
        return await this.#domain(exchange, caller, target.domain);
      case 'node':
        return await this.#node(exchange, caller, target);
      case 'transactions':
        requireMethod(exchange, ['POST']);
        return await this.#transact(exchange, caller);
      case 'sessions':
      case 'session':
        return await this.#session(exchange, caller, target);
    }
  }

  async #domains({ query }: AdminExchange, caller: Caller): Promise<Answer> {
    const found = await this.#store.domains(query.get('prefix') ?? '', query.get('after') ?? '');
    const domains = found.filter(({ domain }) => caller.sees(domain));
    const next = found.length < PARK_LIMITS.listNodesMax ? '' : (found.at(-1)?.domain ?? '');
    return jsonAnswer(200, { domains, next });
  }

  async #domain(exchange: AdminExchange, caller: Caller, domain: string): Promise<Answer | undefined> {
    requireMethod(exchange, ['GET', 'POST', 'PATCH', 'DELETE']);
    const isRead = exchange.method === 'GET' || exchange.method === 'HEAD';
    caller.requireDomain(domain, isRead ? 'read' : 'write');
    if (exchange.method === 'POST') return await this.#create(exchange, caller, domain);
    if (exchange.method === 'DELETE') return await this.#write(exchange, caller, { op: 'delete-domain', domain });
    if (exchange.method === 'PATCH') {
      const { deletable } = (await exchange.readJson()) as { deletable?: unknown };
      if (deletable !== true) throw invalid('expected {"deletable": true}');
      return await this.#write(exchange, caller, { op: 'set-deletable', domain });
    }
    if (flagOf(exchange, 'watch')) return this.#stream(exchange, domain, '');
    const limit = numberOf(exchange.query.get('limit'), 'limit', PARK_LIMITS.listNodesMax);
    const read = await this.#store.list(domain, exchange.query.get('after') ?? '', limit);
    return jsonAnswer(200, { revision: read.revision, nodes: read.nodes.map(wireNode), next: read.next });
  }

  async #create(exchange: AdminExchange, caller: Caller, domain: string): Promise<Answer> {
    const value = requireJson(await exchange.readText());
    const write = { op: 'create', domain, value, ...lifeOf(exchange) } as const;
    const { revision, results } = await this.#store.write(writerOf(exchange, caller), { writes: [write] });
    const node = results[0]?.node ?? '';
    return jsonAnswer(
      201,
      { domain, node, version: 1, revision },
      { etag: `"${revision}"`, location: `/park/${domain}/${node}` },
    );
  }

  async #node(
    exchange: AdminExchange,
    caller: Caller,
    target: Extract<Target, { kind: 'node' }>,
  ): Promise<Answer | undefined> {
    requireMethod(exchange, ['GET', 'PUT', 'DELETE']);
    const { domain, node } = target;
    const isRead = exchange.method === 'GET' || exchange.method === 'HEAD';
    caller.requireDomain(domain, isRead ? 'read' : 'write');
    if (!isRead) return await this.#change(exchange, caller, domain, node);
    if (flagOf(exchange, 'watch')) return this.#stream(exchange, domain, node);
    const known = revisionOf(exchange.header('if-none-match'), 'if-none-match');
    const waitMs = durationOf(exchange.query.get('wait'), 'wait', WAIT_MS_MAX);
    const found = await this.#find(exchange, domain, node, known ?? 0, waitMs);
    if (found === 'unchanged' || (found !== undefined && found.modRevision === known))
      return { status: 304, contentType: 'application/json', body: '', headers: { etag: `"${known ?? 0}"` } };
    if (found !== undefined) return valueAnswer(found);
    throw new PlatformError('PARK_NODE_UNKNOWN', `expected a node ${domain}/${node}, there is none: PUT creates it`);
  }

  async #find(
    exchange: AdminExchange,
    domain: string,
    node: string,
    revision: number,
    waitMs: number,
  ): Promise<ParkNode | undefined | 'unchanged'> {
    if (waitMs === 0) return (await this.#store.get(domain, node)).node;
    this.#requireRoom();
    this.#waiting += 1;
    try {
      return await untilChanged(exchange, this.#store, { domain, node, revision }, waitMs, this.#clock);
    } finally {
      this.#waiting -= 1;
    }
  }

  async #change(exchange: AdminExchange, caller: Caller, domain: string, node: string): Promise<Answer> {
    const revision = revisionOf(exchange.header('if-match'), 'if-match');
    const checks = revision === undefined ? [] : [{ domain, node, revision }]; // H2
    if (exchange.method === 'DELETE')
      return await this.#write(exchange, caller, { op: 'delete', domain, node }, checks);
    const value = requireJson(await exchange.readText());
    const { access, ttlMs, ephemeral } = lifeOf(exchange);
    if (exchange.header('if-none-match').trim() === '*' || ephemeral)
      return await this.#write(
        exchange,
        caller,
        { op: 'create', domain, node, value, access, ttlMs, ephemeral },
        checks,
      );
    return await this.#write(exchange, caller, { op: 'put', domain, node, value, access, ttlMs }, checks);
  }

  async #write(
    exchange: AdminExchange,
    caller: Caller,
    write: ParkWrite,
    checks: readonly ParkCheck[] = [],
  ): Promise<Answer> {
    const { revision, results } = await this.#store.write(writerOf(exchange, caller), { checks, writes: [write] });
    const [result] = results;
    const isNew = result?.version === 1;
    const headers = result === undefined || result.version === 0 ? {} : { etag: `"${revision}"` };
    return jsonAnswer(isNew ? 201 : 200, { ...result, revision }, headers);
  }

  async #transact(exchange: AdminExchange, caller: Caller): Promise<Answer> {
    const transaction: ParkTransaction = parseTransaction(await exchange.readJson());
    for (const { domain, what } of touchedDomains(transaction)) caller.requireDomain(domain, what);
    return jsonAnswer(200, await this.#store.write(writerOf(exchange, caller), transaction));
  }

  async #session(
    exchange: AdminExchange,
    caller: Caller,
    target: Extract<Target, { kind: 'sessions' | 'session' }>,
  ): Promise<Answer> {
    if (target.kind === 'sessions') {
      requireMethod(exchange, ['POST']);
      const { name = caller.name, ttlMs = SESSION_TTL_MS_DEFAULT } = (await exchange.readJson()) as {
        name?: unknown;
        ttlMs?: unknown;
      };
      if (typeof name !== 'string' || typeof ttlMs !== 'number')
        throw invalid('expected {"name": TEXT, "ttlMs": NUMBER}');
      const grant = await this.#store.openSession(name, ttlMs);
      return jsonAnswer(201, { session: grant.id, ttlMs: grant.ttlMs });
    }
    requireMethod(exchange, ['PUT', 'DELETE']);
    if (exchange.method === 'DELETE') {
      await this.#store.endSession(target.id);
      return jsonAnswer(200, {});
    }
    return jsonAnswer(200, { ttlMs: await this.#store.renewSession(target.id) });
  }

  #stream(exchange: AdminExchange, domain: string, node: string): undefined {
    this.#requireRoom();
    const last = exchange.header('last-event-id');
    const afterRevision = numberOf(last === '' ? exchange.query.get('after') : last, 'last-event-id', 0);
    streamChanges(exchange, this.#store, { domain, node, afterRevision }, this.#clock);
    return undefined;
  }

  #requireRoom(): void {
    if (this.#waiting < WAITING_MAX) return;
    throw new PlatformError(
      'PARK_LIMIT',
      `expected at most ${WAITING_MAX} requests that wait, there are so many: watch instead`,
    );
  }
}

function valueAnswer(node: ParkNode): Answer {
  const headers = {
    etag: `"${node.modRevision}"`,
    'x-park-version': String(node.version),
    'x-park-created': String(node.createRevision),
    'x-park-access': node.access,
    'x-park-ephemeral': String(node.ephemeral),
    'x-park-owner': node.owner,
  };
  return { status: 200, contentType: 'application/json', body: node.value, headers };
}

function writerOf(exchange: AdminExchange, caller: Caller): Writer {
  const force = flagOf(exchange, 'force');
  if (force && !caller.isOperator)
    throw new PlatformError('PARK_RIGHTS_MISSING', 'expected the cluster token with force=true');
  return { session: exchange.header('x-park-session'), force, platform: false };
}

function lifeOf(exchange: AdminExchange) {
  const ttlMs = durationOf(exchange.query.get('ttl'), 'ttl', PARK_LIMITS.nodeTtlMsMax);
  return {
    access: accessOf(exchange.query.get('access')),
    ttlMs: ttlMs === 0 ? undefined : ttlMs,
    ephemeral: flagOf(exchange, 'ephemeral'),
  };
}

/** HEAD goes where GET does. */
function requireMethod({ method, path }: AdminExchange, allowed: readonly string[]): void {
  if (allowed.includes(method === 'HEAD' ? 'GET' : method)) return;
  if (allowed.length === 0) throw unknownPath(path);
  throw new PlatformError(
    'METHOD_NOT_ALLOWED',
    `Expected ${allowed.join(', ')} of ${path.slice(0, 200)}, got ${method}.`,
  );
}
