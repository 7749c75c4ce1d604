/** Paths under `/-/` that every interface server answers by itself, on its public port. */

import type { Readiness } from '../shared/cluster-member.ts';
import { ERROR_KINDS, type ErrorCode, errorAnchor } from '../shared/errors.ts';
import type { WebApp, WebResponse } from '../shared/web-server.ts';

export interface PlatformRoutesOptions {
  readonly serverId: string;
  readonly ready: () => Readiness;
}

/** Health, readiness, and the pages that the `type` of a problem points to. */
export function servePlatformRoutes(app: WebApp, options: PlatformRoutesOptions): void {
  const errorPage = renderErrorPage();
  app.get('/-/health', (response) => endJson(response, '200 OK', { status: 'alive', server: options.serverId }));
  app.get('/-/ready', (response) => {
    const { ready, reasons, takenOut = 'not ready' } = options.ready();
    if (ready) endJson(response, '200 OK', { status: 'ready', server: options.serverId });
    else endJson(response, '503 Service Unavailable', { status: takenOut, server: options.serverId, reasons });
  });
  app.get('/-/errors', (response) => {
    response.writeHeader('content-type', 'text/html; charset=utf-8').end(errorPage);
  });
}

function endJson(response: WebResponse, status: string, value: unknown): void {
  response.writeStatus(status).writeHeader('content-type', 'application/json').writeHeader('cache-control', 'no-store');
  response.end(`${JSON.stringify(value)}\n`);
}

function renderErrorPage(): string {
  const rows = (Object.keys(ERROR_KINDS) as ErrorCode[]).map((code) => {
    const { status, title, retryable } = ERROR_KINDS[code];
    const again = retryable ? 'may succeed when sent again' : 'will not succeed when sent again unchanged';
    return `<dt id="${errorAnchor(code)}"><code>${code}</code> (${status})</dt><dd>${title}; ${again}.</dd>`;
  });
  return `<!doctype html><meta charset="utf-8"><title>Errors</title><h1>Errors</h1><dl>${rows.join('')}</dl>`;
}
