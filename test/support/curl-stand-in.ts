/**
 * As much of curl as README.md uses, for machines that have none, or one from before `--json` (7.82).
 * `installCurl` puts it into a folder for a PATH; run as a program it is that curl.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { parseArgs } from 'node:util';

/** @returns whether this machine's curl will do */
export function hasCurl(): boolean {
  try {
    const [, major = 0, minor = 0] =
      /^curl (\d+)\.(\d+)/.exec(execFileSync('curl', ['--version'], { encoding: 'utf8' })) ?? [];
    return Number(major) > 7 || (Number(major) === 7 && Number(minor) >= 82);
  } catch {
    return false;
  }
}

/** @param folder gets a program `curl` */
export function installCurl(folder: string): void {
  fs.mkdirSync(folder, { recursive: true });
  const program = `#!/bin/sh\nexec '${process.execPath}' --disable-warning=ExperimentalWarning '${import.meta.filename}' "$@"\n`;
  fs.writeFileSync(path.join(folder, 'curl'), program, { mode: 0o755 });
}

function runCurl(args: string[]): void {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      request: { type: 'string', short: 'X' },
      header: { type: 'string', short: 'H', multiple: true, default: [] },
      json: { type: 'string' },
      include: { type: 'boolean', short: 'i' },
      silent: { type: 'boolean', short: 's' },
    },
  });
  const { json } = values;
  const headers: Record<string, string> = { accept: '*/*', connection: 'keep-alive' };
  if (json !== undefined) Object.assign(headers, { accept: 'application/json', 'content-type': 'application/json' });
  for (const header of values.header) {
    const colon = header.indexOf(':');
    headers[header.slice(0, colon)] = header.slice(colon + 1).trim();
  }
  const method = values.request ?? (json === undefined ? 'GET' : 'POST');
  const request = http.request(`http://${positionals[0]}`, { method, headers, agent: false }, (response) => {
    const lines = [`HTTP/1.1 ${response.statusCode} ${response.statusMessage}`];
    for (let at = 0; at < response.rawHeaders.length; at += 2) {
      lines.push(`${response.rawHeaders[at]}: ${response.rawHeaders[at + 1]}`);
    }
    if (values.include === true) process.stdout.write(`${lines.join('\r\n')}\r\n\r\n`);
    response.pipe(process.stdout);
    response.on('end', () => request.destroy());
  });
  request.end(json);
}

if (process.argv[1] === import.meta.filename) runCurl(process.argv.slice(2));
