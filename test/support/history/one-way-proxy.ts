/**
 * A TCP proxy whose directions can be cut one by one, as when a route is lost: connections stay open, bytes of that
 * direction wait, new connections wait, too. Healed, what waited arrives late, as TCP sends it again.
 *
 * P1: what waits is bounded by the sockets' own buffers: a direction that is cut is not read.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';

export type Direction = 'to-server' | 'to-client';

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

export class OneWayProxy {
  readonly #server: Server;
  readonly #target: string;
  readonly #pairs = new Set<Pair>();
  readonly #cut = new Set<Direction>();
  readonly address: string;

  private constructor(server: Server, address: string, target: string) {
    this.#server = server;
    this.address = address;
    this.#target = target;
  }

  /** @param target host:port of what stands behind it */
  static async listen(target: string): Promise<OneWayProxy> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address !== 'object') throw new Error('expected a TCP address');
    const proxy = new OneWayProxy(server, `127.0.0.1:${address.port}`, target);
    server.on('connection', (client) => proxy.#join(client));
    return proxy;
  }

  cut(direction: Direction): void {
    this.#cut.add(direction);
    for (const pair of this.#pairs) this.#flow(pair);
  }

  /** Both directions carry again. */
  heal(): void {
    this.#cut.clear();
    for (const pair of this.#pairs) this.#flow(pair);
  }

  /** Connections of now break, and what waited is lost. */
  reset(): void {
    for (const { client, server } of this.#pairs) {
      client.destroy();
      server.destroy();
    }
  }

  close(): void {
    this.#server.close();
    this.reset();
  }

  #join(client: Socket): void {
    const port = Number(this.#target.slice(this.#target.lastIndexOf(':') + 1));
    const server = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const pair: Pair = { client, server };
    this.#pairs.add(pair);
    client.on('data', (bytes) => server.write(bytes));
    server.on('data', (bytes) => client.write(bytes));
    client.on('end', () => server.end());
    server.on('end', () => client.end());
    for (const socket of [client, server]) {
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#pairs.delete(pair);
        client.destroy();
        server.destroy();
      });
    }
    this.#flow(pair);
  }

  /** P1 */
  #flow({ client, server }: Pair): void {
    if (this.#cut.has('to-server')) client.pause();
    else client.resume();
    if (this.#cut.has('to-client')) server.pause();
    else server.resume();
  }
}
