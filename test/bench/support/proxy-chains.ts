/**
 * What a user would build instead of the interface server and the dispatcher: two proxies in a row, the second of which
 * sends each account to one of two bare servers by its hash.
 *
 * Set up as somebody would who wants them fast: one worker a hop, as we have one process a hop; connections kept alive
 * on both sides; no logs, no TLS, bodies in memory.
 */
import fs from 'node:fs';
import path from 'node:path';
import { findProgram } from '../../../deploy/checks/peer-programs.ts';
import { freePorts } from '../../support/free-ports.ts';
import { tempFolder } from '../../support/test-cluster.ts';
import { startBareEcho } from './bare-servers.ts';
import type { LoadedServer } from './loaded-server.ts';
import { PeerProcess } from './peer-process.ts';

interface Hop {
  /** Where its files may lie. */
  readonly folder: string;
  readonly port: number;
  readonly nextPorts: readonly number[];
  /** Whether the account's hash chooses the next one. */
  readonly byAccount: boolean;
}

interface ProxyKind {
  readonly name: string;
  readonly program: 'nginx' | 'haproxy';
  config(hop: Hop): string;
  arguments(configFile: string, folder: string): string[];
}

const NGINX: ProxyKind = {
  name: 'nginx → nginx',
  program: 'nginx',
  arguments: (configFile, folder) => ['-p', folder, '-e', 'stderr', '-c', configFile],
  config: ({ folder, port, nextPorts, byAccount }) => `
daemon off;
worker_processes 1;
worker_rlimit_nofile 8192;
pid ${folder}/pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off;
  tcp_nodelay on;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  client_body_buffer_size 64k;
${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `  ${kind}_temp_path ${folder}/${kind};\n`).join('')}
  upstream next {
    ${byAccount ? 'hash $arg_account consistent;' : ''}
    ${nextPorts.map((next) => `server 127.0.0.1:${next};`).join(' ')}
    keepalive 512;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://next;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
}
`,
};

const HAPROXY: ProxyKind = {
  name: 'HAProxy → HAProxy',
  program: 'haproxy',
  arguments: (configFile) => ['-db', '-q', '-f', configFile],
  config: ({ port, nextPorts, byAccount }) => `
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  maxconn 4096
  option http-keep-alive
  http-reuse always
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
frontend front
  bind 127.0.0.1:${port} backlog 4096
  default_backend next
backend next
${byAccount ? '  balance url_param account\n  hash-type consistent\n' : ''}${nextPorts
  .map((next, index) => `  server next${index} 127.0.0.1:${next} pool-purge-delay 1h\n`)
  .join('')}`,
};

export function startNginxChain(): Promise<LoadedServer> {
  return startChain(NGINX);
}

export function startHaproxyChain(): Promise<LoadedServer> {
  return startChain(HAPROXY);
}

async function startChain(kind: ProxyKind): Promise<LoadedServer> {
  const folder = tempFolder();
  const started: { pids(): number[]; close(): Promise<void> }[] = [];
  const close = async (): Promise<void> => {
    for (const one of started.reverse()) await one.close();
    fs.rmSync(folder, { recursive: true, force: true });
  };
  try {
    const backends = [await startBareEcho(), await startBareEcho()];
    started.push(...backends);
    const [first, second] = (await freePorts(2)) as [number, number];
    const backendPorts = backends.map(({ url }) => Number(new URL(url).port));
    started.push(await startHop(kind, { folder, port: second, nextPorts: backendPorts, byAccount: true }));
    started.push(await startHop(kind, { folder, port: first, nextPorts: [second], byAccount: false }));
    const pids = (): number[] => started.flatMap((one) => one.pids());
    return { name: kind.name, url: `http://127.0.0.1:${first}`, pids, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function startHop(kind: ProxyKind, hop: Hop): Promise<PeerProcess> {
  const folder = path.join(hop.folder, String(hop.port));
  fs.mkdirSync(folder);
  // A worker that root starts runs as nobody: it must be able to reach its folder.
  for (const one of [hop.folder, folder]) fs.chmodSync(one, 0o755);
  const configFile = path.join(folder, 'config');
  fs.writeFileSync(configFile, kind.config({ ...hop, folder }));
  const program = findProgram(kind.program);
  if (program === undefined) throw new Error(`expected ${kind.program} on this machine`);
  return PeerProcess.start(program, kind.arguments(configFile, folder), `http://127.0.0.1:${hop.port}/echo?account=a`);
}
