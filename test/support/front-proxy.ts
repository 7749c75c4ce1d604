/** nginx or HAProxy in front of interface servers, with the config of deploy/proxies: as it ships, on other addresses. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { requireProgram, TEST_PROGRAMS } from '../../deploy/checks/test-programs.ts';
import { GuardedProcess } from '../../deploy/local-cluster/guarded-process.ts';
import { eventually } from './eventually.ts';
import { freeAddress } from './free-ports.ts';
import { tempFolder } from './test-cluster.ts';

export interface FrontProxy {
  /** host:port for clients. */
  readonly address: string;
  stop(): Promise<void>;
}

export type ProxyKind = 'nginx' | 'haproxy';

const FOLDER = path.resolve(import.meta.dirname, '../../deploy/proxies');
const READY_TIMEOUT_MS = 10_000;

/** What runs the shipped part as a program of a test: in the foreground, one worker, files in a folder of its own. */
const NGINX_MAIN = `daemon off;
worker_processes 1;
USER
pid FOLDER/pid;
error_log FOLDER/error.log;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path FOLDER/body;
  proxy_temp_path FOLDER/proxy;
  fastcgi_temp_path FOLDER/fastcgi;
  uwsgi_temp_path FOLDER/uwsgi;
  scgi_temp_path FOLDER/scgi;
  include FOLDER/trunkline.conf;
}
`;

/** One thread: its idle connections to interface servers are then everybody's. */
const HAPROXY_MORE = 'global\n  nbthread 1\n';

/** @param servers host:port of one or two interface servers; a second of the shipped config is dropped if there is one */
export async function startFrontProxy(kind: ProxyKind, servers: readonly string[]): Promise<FrontProxy> {
  const program = requireProgram(TEST_PROGRAMS[kind]);
  const folder = tempFolder();
  const address = await freeAddress();
  const args = kind === 'nginx' ? nginxArguments(folder, address, servers) : haproxyArguments(folder, address, servers);
  const running = await GuardedProcess.start(program, args);
  const stop = async (): Promise<void> => {
    await running.end('SIGTERM');
    fs.rmSync(folder, { recursive: true, force: true });
  };
  const isReady = async (): Promise<boolean> => {
    if (running.hasEnded) throw new Error(`${kind} ended at its start:\n${running.lastWords}`);
    const response = await fetch(`http://${address}/-/ready`).catch(() => undefined);
    await response?.text();
    return response?.status === 200;
  };
  await eventually(`${kind} to pass on requests`, isReady, READY_TIMEOUT_MS).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return { address, stop };
}

function nginxArguments(folder: string, address: string, servers: readonly string[]): string[] {
  const text = shippedConfig('nginx.conf', address, servers, /^ *server 127\.0\.0\.1:\d+/);
  fs.writeFileSync(path.join(folder, 'trunkline.conf'), text);
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  fs.writeFileSync(path.join(folder, 'nginx.conf'), NGINX_MAIN.replaceAll('FOLDER', folder).replace('USER', user));
  return ['-e', path.join(folder, 'error.log'), '-p', folder, '-c', path.join(folder, 'nginx.conf')];
}

function haproxyArguments(folder: string, address: string, servers: readonly string[]): string[] {
  const files = ['haproxy.cfg', 'more.cfg'].map((name) => path.join(folder, name)) as [string, string];
  fs.writeFileSync(files[0], shippedConfig('haproxy.cfg', address, servers, /^ *server i\d 127\.0\.0\.1:\d+/));
  fs.writeFileSync(files[1], HAPROXY_MORE);
  return ['-db', ...files.flatMap((file) => ['-f', file])];
}

/** The file as it ships, with other addresses. */
function shippedConfig(name: string, address: string, servers: readonly string[], serverLine: RegExp): string {
  const left = [...servers];
  const lines = fs.readFileSync(path.join(FOLDER, name), 'utf8').split('\n');
  const text = lines.flatMap((line) => {
    if (!serverLine.test(line)) return [line.replace('127.0.0.1:8000', address)];
    const server = left.shift();
    return server === undefined ? [] : [line.replace(/127\.0\.0\.1:\d+/, server)];
  });
  assert.deepEqual(left, [], `${name} has room for fewer servers`);
  return text.join('\n');
}
