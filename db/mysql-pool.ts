/**
 * Door to generic-pool: connections of one account to one server, each used by one transaction at a time.
 *
 * What the pool hands out is a seat; the connection in it is made when somebody sits down. So a server that does not
 * answer costs each caller one failed dial, not a pool that dials in a loop while everybody waits.
 */
import type { Pool } from 'generic-pool';
import type { Clock } from '../shared/clock.ts';
import { PlatformError, toPlatformError } from '../shared/errors.ts';
import { requirePackage } from '../shared/require-package.ts';
import type { MysqlConnection } from './mysql-connection.ts';

const { createPool } = requirePackage('generic-pool') as typeof import('generic-pool');

/** Callers waiting for a seat; the lanes and the reads in flight bound it further. */
const WAITING_MAX = 16_384;

/** After a dial that failed the next callers are told so at once, for this long. */
const REDIAL_PAUSE_MS = 200;

interface Seat {
  connection: MysqlConnection | undefined;
}

export class MysqlPool {
  readonly #connect: () => Promise<MysqlConnection>;
  readonly #clock: Clock;
  readonly #pool: Pool<Seat>;
  readonly #seats = new Map<MysqlConnection, Seat>();
  #dialFailure: PlatformError | undefined;
  #redialAtMs = 0;

  constructor(connect: () => Promise<MysqlConnection>, connectionsMax: number, clock: Clock) {
    this.#connect = connect;
    this.#clock = clock;
    this.#pool = createPool<Seat>(
      { create: async () => ({ connection: undefined }), destroy: async (seat) => seat.connection?.close() },
      { max: connectionsMax, min: 0, maxWaitingClients: WAITING_MAX, fifo: false },
    );
  }

  /** @throws PlatformError STORE_BUSY when no connection is free in time, STORE_UNAVAILABLE when the server does not answer */
  async acquire(timeoutMs: number): Promise<MysqlConnection> {
    if (this.#dialFailure !== undefined && this.#clock.nowMs() < this.#redialAtMs) throw this.#dialFailure;
    const seat = await this.#seat(timeoutMs);
    try {
      if (seat.connection?.open !== true) {
        if (seat.connection !== undefined) this.#seats.delete(seat.connection);
        seat.connection = await this.#connect();
        this.#seats.set(seat.connection, seat);
        this.#dialFailure = undefined;
      }
      return seat.connection;
    } catch (thrown) {
      seat.connection = undefined;
      await this.#pool.release(seat);
      this.#dialFailure = toPlatformError(thrown, 'STORE_UNAVAILABLE');
      this.#redialAtMs = this.#clock.nowMs() + REDIAL_PAUSE_MS;
      throw this.#dialFailure;
    }
  }

  /** Gives a connection back; one that is in an unknown state must be destroyed first. */
  release(connection: MysqlConnection): void {
    const seat = this.#seats.get(connection);
    if (seat === undefined) return;
    if (!connection.open) {
      seat.connection = undefined;
      this.#seats.delete(connection);
    }
    // It only rejects for a seat that is not out, which the map rules out.
    this.#pool.release(seat).catch(() => undefined);
  }

  async close(): Promise<void> {
    await this.#pool.drain();
    await this.#pool.clear();
  }

  /** generic-pool's own time limit is per pool; ours is per caller. A seat that comes too late goes back. */
  #seat(timeoutMs: number): Promise<Seat> {
    return new Promise((resolve, reject) => {
      let late = false;
      const timer = this.#clock.after(timeoutMs, () => {
        late = true;
        reject(new PlatformError('STORE_BUSY', 'every connection to the database is in use; try again later'));
      });
      this.#pool.acquire().then(
        (seat) => {
          timer.cancel();
          if (late) this.#pool.release(seat).catch(() => undefined);
          else resolve(seat);
        },
        (thrown: unknown) => {
          timer.cancel();
          reject(toPlatformError(thrown, 'STORE_BUSY'));
        },
      );
    });
  }
}
