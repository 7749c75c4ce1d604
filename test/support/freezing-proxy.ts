/** A TCP proxy that can freeze the connections it has: they stay open and carry nothing, as when a machine hangs. */
import { connect, createServer, type Server, type Socket } from 'node:net';

export class FreezingProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly address: string;
  /** Connections taken so far. */
  taken = 0;

  private constructor(server: Server, address: string) {
    this.#server = server;
    this.address = address;
  }

  /** @param target host:port of what stands behind it */
  static async listen(target: string): Promise<FreezingProxy> {
    const server = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address !== 'object') throw new Error('expected a TCP address');
    const proxy = new FreezingProxy(server, `127.0.0.1:${address.port}`);
    server.on('connection', (client) => proxy.#join(client, target));
    return proxy;
  }

  /** Client connections that are open. */
  get open(): number {
    return this.#sockets.size;
  }

  /** From here on the connections of now carry nothing; later ones do. */
  freeze(): void {
    for (const client of this.#sockets) client.emit('freeze');
  }

  close(): void {
    this.#server.close();
    for (const client of this.#sockets) client.destroy();
  }

  #join(client: Socket, target: string): void {
    this.taken++;
    this.#sockets.add(client);
    const port = Number(target.slice(target.lastIndexOf(':') + 1));
    const behind = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    let frozen = false;
    client.once('freeze', () => {
      frozen = true;
    });
    client.on('data', (bytes) => frozen || behind.write(bytes));
    behind.on('data', (bytes) => frozen || client.write(bytes));
    behind.on('end', () => frozen || client.end());
    client.on('end', () => (frozen ? client.destroy() : behind.end()));
    for (const socket of [client, behind]) socket.on('error', () => {});
    client.on('close', () => {
      this.#sockets.delete(client);
      behind.destroy();
    });
    behind.on('close', () => frozen || client.destroy());
  }
}
