/**
 * README.md does what it says: its commands are run as they stand, and must print what it shows.
 *
 * What a fence's opening line says behind its language:
 * - `console cluster`: each line behind `$ ` is run by a shell against a running cluster, in the order of the document
 * - `console command`, `console first-service`: the same, and needs no cluster
 * - `ts file=PATH`: a file to write; `yaml line=KEY`: the line of cluster.yaml that takes the place of that key's
 * Ids, times, durations and which server of a group answered may differ; ports are those of the test's own cluster.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { tableText, thingsToTry } from '../../deploy/local-cluster/cluster-text.ts';
import { type LocalCluster, startLocalCluster } from '../../deploy/local-cluster/local-cluster.ts';
import { clusterServers } from '../../shared/cluster-servers.ts';
import type { ClusterConfig } from '../../shared/config/cluster-schema.ts';
import { parseClusterConfig } from '../../shared/config/load-cluster-config.ts';
import { hasCurl, installCurl } from '../support/curl-stand-in.ts';
import { freePorts } from '../support/free-ports.ts';
import { type Fence, fencesOf, readDocument, tableOf } from '../support/markdown.ts';
import { tempFolder } from '../support/test-cluster.ts';
import { untilWhole } from '../support/whole-cluster.ts';

const CHECKOUT = path.resolve(import.meta.dirname, '../..');
const COMMAND_MS_MAX = 15_000;

const readme = readDocument('README.md');
const fences = fencesOf(readme);

interface Step {
  readonly command: string;
  readonly expected: string;
}

/** `$ command`, then what it prints, and so on. */
function stepsOf(fence: Fence): Step[] {
  return fence.text
    .split(/^\$ /m)
    .slice(1)
    .map((step) => {
      const lineEnd = step.indexOf('\n');
      return { command: step.slice(0, lineEnd), expected: step.slice(lineEnd + 1) };
    });
}

function fencesFor(info: string): Fence[] {
  const found = fences.filter((fence) => fence.info === info);
  assert.notEqual(found.length, 0, `README.md has a fence \`\`\`${info}`);
  return found;
}

/** What may differ between two runs. */
function comparable(text: string): string {
  return text
    .replaceAll('\r', '')
    .replace(/\b[0-9a-f]{32}\b/g, '<request id>')
    .replace(/"atMs":\d{13}/g, '"atMs":<time>')
    .replace(/\bdur=\d+(\.\d+)?/g, 'dur=<ms>')
    .replace(/^(x-served-by: g\d)[ab]$/gm, '$1<a server>')
    .replace(/^Date: .*$/gm, 'Date: <date>')
    .trim();
}

/** The checkout, seen through links, so that what a reader adds to it lands in a temp folder. */
function mirrorCheckout(): string {
  const folder = tempFolder();
  const left = new Set(['data', 'cluster.yaml', 'my-services', '.git']);
  for (const entry of fs.readdirSync(CHECKOUT)) {
    if (!left.has(entry)) fs.symlinkSync(path.join(CHECKOUT, entry), path.join(folder, entry));
  }
  return folder;
}

class Reader {
  readonly folder = mirrorCheckout();
  readonly #tools = tempFolder();
  readonly #portOf = new Map<string, string>();

  constructor() {
    if (!hasCurl()) installCurl(this.#tools);
  }

  /** The command line, but this process's Node without any set-up, and the ports of the test's cluster. */
  #adapted(command: string): string {
    return command
      .replace(/^\.\/trunkline (\w+)/, `'${process.execPath}' --disable-warning=ExperimentalWarning deploy/cli.ts $1`)
      .replace(/^(.* deploy\/cli\.ts route) /, '$1 --config deploy/clusters/local.yaml ')
      .replace(/\blocalhost:(\d+)/g, (_, port: string) => `localhost:${this.#portOf.get(port) ?? port}`);
  }

  async run({ command, expected }: Step): Promise<void> {
    const run = promisify(execFile);
    const { stdout } = await run('bash', ['-c', this.#adapted(command)], {
      cwd: this.folder,
      timeout: COMMAND_MS_MAX,
      env: { ...process.env, PATH: `${this.#tools}${path.delimiter}${process.env['PATH']}` },
    });
    assert.equal(comparable(stdout), comparable(expected), `$ ${command}`);
  }

  /** What "Your first service" tells a reader to do, up to the start. @returns the text of cluster.yaml */
  async addFirstService(): Promise<string> {
    for (const fence of fencesFor('console first-service')) for (const step of stepsOf(fence)) await this.run(step);
    for (const fence of fences.filter(({ info }) => info.startsWith('ts file='))) {
      fs.writeFileSync(path.join(this.folder, fence.info.slice('ts file='.length)), fence.text);
    }
    const configFile = path.join(this.folder, 'cluster.yaml');
    let text = fs.readFileSync(configFile, 'utf8');
    for (const fence of fences.filter(({ info }) => info.startsWith('yaml line='))) {
      const line = new RegExp(`^${fence.info.slice('yaml line='.length)}:.*\\n`, 'm');
      assert.match(text, line);
      text = text.replace(line, () => fence.text);
    }
    fs.writeFileSync(configFile, text);
    return text;
  }

  leave(): void {
    for (const folder of [this.folder, this.#tools]) fs.rmSync(folder, { recursive: true, force: true });
  }

  /** Gives every server of the config a free port, and remembers which. */
  async moveToFreePorts(config: ClusterConfig): Promise<void> {
    const ports = await freePorts(clusterServers(config).length * 2);
    const moved = (address: string): string => {
      const port = String(ports.pop());
      this.#portOf.set(address.slice(address.lastIndexOf(':') + 1), port);
      return `127.0.0.1:${port}`;
    };
    const servers = [
      ...config.coordinator.servers,
      ...config.interface.servers,
      ...config.dispatcher.servers,
      ...config.groups.flatMap((group) => group.appServers),
    ];
    for (const server of servers) {
      server.listen = moved(server.listen);
      server.admin = moved(server.admin);
    }
  }
}

function configOf(text: string): ClusterConfig {
  const result = parseClusterConfig(text, 'cluster.yaml');
  assert.deepEqual(result.ok ? [] : result.problems, []);
  assert.ok(result.ok);
  return structuredClone(result.config);
}

describe('README.md, followed by a reader', () => {
  const reader = new Reader();
  let cluster: LocalCluster | undefined;
  const said: string[] = [];

  before(async () => {
    const config = configOf(await reader.addFirstService());
    await reader.moveToFreePorts(config);
    cluster = await startLocalCluster({ config, rootFolder: reader.folder, say: (line) => said.push(line) });
    await cluster.waitReady();
    await untilWhole(config); // a reader is slower than the second app server of a group
  });
  after(async () => {
    await cluster?.stop();
    reader.leave();
  });

  test('every session at the running cluster prints what is shown, the first service included', async () => {
    for (const fence of fencesFor('console cluster')) for (const step of stepsOf(fence)) await reader.run(step);
  });

  test('a server that the reader killed is started again', () => {
    assert.ok(
      said.some((line) => /^g1a died \(SIGKILL\); starting it again/.test(line)),
      said.join('\n'),
    );
  });

  test('every other command prints what is shown', async () => {
    for (const fence of fencesFor('console command')) for (const step of stepsOf(fence)) await reader.run(step);
  });

  test('docs/metrics.md names the labels that the metrics of the running cluster have', async () => {
    const documented = tableOf(readDocument('docs/metrics.md'), ['name', 'type', 'labels', 'tiers']);
    const labelsOf = new Map(documented.map(([name = '', , labels = '']) => [name, labels]));
    for (const { serverId, tier, admin } of cluster?.servers() ?? []) {
      if (serverId === 'g1a') continue; // may be starting again
      const text = await (await fetch(`http://${admin}/metrics`)).text();
      for (const [, name = '', list = ''] of text.matchAll(/^(trunkline_\w+)\{(.*)\} /gm)) {
        const documentedLabels = labelsOf.get(name) ?? labelsOf.get(name.replace(/_(bucket|sum|count)$/, ''));
        assert.notEqual(documentedLabels, undefined, `${name} is in the table`);
        const own = [...list.matchAll(/(\w+)="/g)]
          .map((match) => match[1] ?? '')
          .filter((label) => !['server', 'tier', 'le'].includes(label));
        for (const label of own) assert.match(documentedLabels ?? '', new RegExp(`\\b${label}\\b`), `${tier}: ${name}`);
      }
    }
  });
});

test('the first service of README.md is the example that has tests of its own', () => {
  const [fence] = fences.filter(({ info }) => info.startsWith('ts file='));
  assert.equal(fence?.text, readDocument('deploy/examples/greeting/service.ts'));
});

test('what npm start prints is what README.md shows', () => {
  const config = configOf(readDocument('deploy/clusters/local.yaml'));
  const rows = clusterServers(config).map((server) => ({ ...server, group: server.groupId ?? '', state: 'up' }));
  assert.ok(readme.includes(tableText(rows)));
  assert.ok(readme.includes(thingsToTry(config.interface.servers[0]?.listen ?? '')));
});

test('every command of the table exists, and every command that exists is in it', async () => {
  const help = await promisify(execFile)(process.execPath, ['deploy/cli.ts', '--help'], { cwd: CHECKOUT });
  const existing = [...help.stdout.matchAll(/^ {2}([a-z]+)\b/gm)].map((match) => match[1] ?? '');
  const documented = tableOf(readme, ['command', 'does']).map(([cell]) => /^\.\/trunkline (\w+)/.exec(cell ?? '')?.[1]);
  assert.deepEqual(documented.toSorted(), existing.toSorted());
});

test('a block that could be copied is one that is run, or one that only starts things', () => {
  const run = /^(console (cluster|command|first-service)|ts file=\S+|yaml line=\w+)$/;
  const notRun = fences.filter(({ info }) => !run.test(info));
  for (const { info, text } of notRun) {
    const startsThings = info === 'sh' && /^git clone .*\nnpm start\n$/.test(text);
    assert.ok(startsThings || info === 'text', `a fence that nobody runs: ${text}`);
  }
});

test('links between our documents lead somewhere', () => {
  const documents = ['README.md', 'PROTOCOL.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md'].concat(
    fs.readdirSync(path.join(CHECKOUT, 'docs')).map((name) => `docs/${name}`),
  );
  for (const document of documents) {
    const text = readDocument(document);
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [file = '', anchor] = target.split('#');
      const place = file === '' ? document : path.posix.join(path.posix.dirname(document), file);
      assert.ok(fs.existsSync(path.join(CHECKOUT, place)), `${document} links to ${target}`);
      if (anchor === undefined) continue;
      const anchors = [...readDocument(place).matchAll(/^#+ (.+)$/gm)].map((match) => anchorOf(match[1] ?? ''));
      assert.ok(anchors.includes(anchor), `${document} links to ${target}`);
    }
  }
});

/** As GitHub makes them of headings. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}
