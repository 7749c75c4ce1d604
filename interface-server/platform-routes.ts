/** Paths under `/-/` that every interface server answers by itself, on its public port. */

import type { Readiness } from '../shared/cluster-member.ts';
import { ERROR_KINDS, type ErrorCode, errorAnchor } from '../shared/errors.ts';
import type { WebApp, WebResponse } from '../shared/web-server.ts';
import type { InterfacePipeline } from './interface-pipeline.ts';

export interface PlatformRoutesOptions {
  readonly serverId: string;
  readonly ready: () => Readiness;
  /** Its door and its way out are these paths' too. */
  readonly pipeline: InterfacePipeline;
}

/** Health, readiness, and the pages that the `type` of a problem points to. */
export function servePlatformRoutes(app: WebApp, options: PlatformRoutesOptions): void {
  const { serverId, pipeline } = options;
  const errorPage: Page = { status: '200 OK', contentType: 'text/html; charset=utf-8', body: renderErrorPage() };
  const serve = (path: string, page: () => Page): void => {
    app.get(path, (response, request) => {
      if (pipeline.admitsBodiless(response, request)) write(response, page(), pipeline);
    });
  };
  serve('/-/health', () => json('200 OK', { status: 'alive', server: serverId }));
  serve('/-/ready', () => {
    const { ready, reasons, takenOut = 'not ready' } = options.ready();
    if (ready) return json('200 OK', { status: 'ready', server: serverId });
    return json('503 Service Unavailable', { status: takenOut, server: serverId, reasons });
  });
  serve('/-/errors', () => errorPage);
}

interface Page {
  readonly status: string;
  readonly contentType: string;
  readonly body: string;
}

function json(status: string, value: unknown): Page {
  return { status, contentType: 'application/json\r\ncache-control: no-store', body: `${JSON.stringify(value)}\n` };
}

function write(response: WebResponse, page: Page, { unread }: InterfacePipeline): void {
  response.writeStatus(page.status).writeHeader('content-type', page.contentType);
  unread.end(response, Buffer.from(page.body));
}

function renderErrorPage(): string {
  const rows = (Object.keys(ERROR_KINDS) as ErrorCode[]).map((code) => {
    const { status, title, retryable } = ERROR_KINDS[code];
    const again = retryable ? 'may succeed when sent again' : 'will not succeed when sent again unchanged';
    return `<dt id="${errorAnchor(code)}"><code>${code}</code> (${status})</dt><dd>${title}; ${again}.</dd>`;
  });
  return `<!doctype html><meta charset="utf-8"><title>Errors</title><h1>Errors</h1><dl>${rows.join('')}</dl>`;
}
