/**
 * Who asks the park over HTTP, and what of it is theirs: the cluster's token opens all of it, a client's own key the
 * domains that the config gives it.
 *
 * K1: keys are compared as digests in constant time; none stands in a message or a log.
 * K2: reading needs a key, too.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { ParkClientConfig } from '../../shared/config/cluster-schema.ts';
import { readSecret } from '../../shared/config/secret.ts';
import { PlatformError, toPlatformError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';

export interface Caller {
  /** For people. */
  readonly name: string;
  /** Holds the cluster token: may override access rights. */
  readonly isOperator: boolean;
  /** @throws PlatformError PARK_RIGHTS_MISSING */
  requireDomain(domain: string, what: 'read' | 'write'): void;
  /** Whether it may see the domain. */
  sees(domain: string): boolean;
}

interface KnownClient {
  readonly digest: Buffer;
  readonly caller: Caller;
}

export class ParkAccess {
  readonly #tokenDigest: Buffer;
  readonly #rootFolder: string;
  readonly #log: Logger;
  #clients: readonly KnownClient[] = [];

  constructor(token: string, rootFolder: string, log: Logger) {
    this.#tokenDigest = digestOf(token);
    this.#rootFolder = rootFolder;
    this.#log = log;
  }

  /** A client whose key cannot be read is left out, and the log says so. */
  setClients(clients: readonly ParkClientConfig[]): void {
    this.#clients = clients.flatMap((client) => {
      try {
        return [{ digest: digestOf(readSecret(client.key, this.#rootFolder)), caller: callerOf(client) }];
      } catch (thrown) {
        this.#log.error(
          { client: client.name, reason: toPlatformError(thrown).detail },
          'client of the park without a key',
        );
        return [];
      }
    });
  }

  /** @param authorization the header @throws PlatformError TOKEN_REFUSED */
  callerOf(authorization: string): Caller {
    const [scheme, key] = [authorization.slice(0, 7), authorization.slice(7)];
    const digest = digestOf(key); // K1
    if (scheme.toLowerCase() === 'bearer ') {
      if (timingSafeEqual(digest, this.#tokenDigest)) return OPERATOR;
      const known = this.#clients.find((client) => timingSafeEqual(digest, client.digest));
      if (known !== undefined) return known.caller;
    }
    const detail =
      'Expected `authorization: Bearer <key>` with the cluster token or the key of one of coordinator.parkClients.'; // K2
    throw new PlatformError('TOKEN_REFUSED', detail);
  }
}

const OPERATOR: Caller = { name: 'operator', isOperator: true, requireDomain: () => {}, sees: () => true };

function callerOf({ name, domains, rights }: ParkClientConfig): Caller {
  const sees = (domain: string): boolean =>
    domains.some((pattern) => (pattern.endsWith('*') ? domain.startsWith(pattern.slice(0, -1)) : domain === pattern));
  return {
    name,
    isOperator: false,
    sees,
    requireDomain: (domain, what) => {
      if (sees(domain) && (what === 'read' || rights === 'read-write')) return;
      const may = sees(domain) ? `may only read ${domain}` : `may see ${domains.join(', ')}, not ${domain}`;
      throw new PlatformError(
        'PARK_RIGHTS_MISSING',
        `client ${name} ${may}: see coordinator.parkClients of the config`,
      );
    },
  };
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
