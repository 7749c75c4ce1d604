/** Door to uWebSockets.js: HTTP and WebSocket servers. */

import type { HttpRequest, HttpResponse, TemplatedApp, us_listen_socket, us_socket, WebSocket } from 'uWebSockets.js';
import { createRequire } from 'node:module';
import { PlatformError } from './errors.ts';

/**
 * Request line and headers that uWebSockets.js takes, in bytes: more than any config allows (64 KiB of headers, 16 KiB
 * of path and query), so that it is our own limits that refuse, in words. It reads this when it is loaded, so it is
 * loaded here and not by an import, which would come first.
 */
process.env.UWS_HTTP_MAX_HEADERS_SIZE = String(96 * 1024);
const uws = createRequire(import.meta.url)('uWebSockets.js') as typeof import('uWebSockets.js');

export type WebApp = TemplatedApp;
export type WebRequest = HttpRequest;
export type WebResponse = HttpResponse;
export type WebSocketPeer<UserData> = WebSocket<UserData>;

export interface ListeningSocket {
  /** host:port really bound (the port is the system's choice when 0 was asked for). */
  readonly address: string;
  /** Accepts no new connections; the open ones go on. */
  close(): void;
}

export function createWebApp(): WebApp {
  return uws.App();
}

/** Splits host:port; an IPv6 host stands in brackets. */
export function splitAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
  return { host, port: Number(address.slice(colon + 1)) };
}

/**
 * Listens on an address of its own.
 * @param address host:port; port 0 lets the system choose
 * @throws PlatformError PORT_TAKEN. uWebSockets.js would share the port silently (SO_REUSEPORT) unless told not to.
 */
export function listenExclusive(app: WebApp, address: string): Promise<ListeningSocket> {
  const { host, port } = splitAddress(address);
  return new Promise((resolve, reject) => {
    const onListening = (socket: us_listen_socket | false): void => {
      if (socket === false) {
        const detail = `Port ${port} on ${host} is taken: another process listens there. Stop it, or change the address in the config.`;
        reject(new PlatformError('PORT_TAKEN', detail));
        return;
      }
      const boundPort = uws.us_socket_local_port(socket as unknown as us_socket);
      let closed = false;
      resolve({
        address: `${host.includes(':') ? `[${host}]` : host}:${boundPort}`,
        close: () => {
          // The binary frees the socket: closing it twice corrupts memory.
          if (!closed) uws.us_listen_socket_close(socket);
          closed = true;
        },
      });
    };
    // The typings lack the (host, port, options, callback) form that the binary has.
    const listen = app.listen as unknown as (
      host: string,
      port: number,
      options: number,
      callback: (socket: us_listen_socket | false) => void,
    ) => void;
    listen.call(app, host, port, EXCLUSIVE_PORT, onListening);
  });
}

/** LIBUS_LISTEN_EXCLUSIVE_PORT: an ambient const enum in the typings, so its value stands here. */
const EXCLUSIVE_PORT = 1;
