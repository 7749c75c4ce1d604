/** What reads configs, published states and notices: files of people and of servers, and what servers tell each other. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after } from 'node:test';
import { parsePublication } from '../../../coordinator-server/publication-schema.ts';
import { DispatcherReach } from '../../../interface-server/dispatcher-reach.ts';
import { Peer } from '../../../shared/balance/peer-pool.ts';
import { formatConfigProblems, PROBLEMS_MAX, parseClusterConfig } from '../../../shared/config/load-cluster-config.ts';
import { parseYaml } from '../../../shared/config/yaml-source.ts';
import { parseJoin, parseLease, parseRenew } from '../../../shared/coordination-messages.ts';
import { REACH_TOPIC } from '../../../shared/dispatcher-messages.ts';
import { PublishedStateFile } from '../../../shared/published-state-file.ts';
import { parsePublishedState } from '../../../shared/published-state-schema.ts';
import { assignFrames } from '../../../shared/routing/frames.ts';
import { splitAddress } from '../../../shared/web-server.ts';
import { SMALL_CLUSTER } from '../../support/cluster-text.ts';
import { parserTest } from '../../support/parser-property.ts';
import { echoRoute, smallClusterConfig, smallState } from '../../support/small-cluster.ts';
import { tempFolder } from '../../support/test-cluster.ts';

const CONFIG = smallClusterConfig();
const TWO_BUCKETS = { ...CONFIG, hash: { ...CONFIG.hash, buckets: 2 } };

/** A value out of the JSON that came, or nothing where none came. */
function jsonOf(input: Buffer): unknown {
  try {
    return JSON.parse(input.toString());
  } catch {
    return undefined;
  }
}

const JOIN = {
  tier: 'app',
  serverId: 'g1a',
  incarnation: '00112233445566aa',
  listen: '127.0.0.1:1',
  admin: '127.0.0.1:2',
  version: '1',
  stateEpoch: 3,
  mapEpoch: 2,
};

parserTest('a join', {
  samples: [JSON.stringify(JOIN), JSON.stringify({ ...JOIN, routes: [echoRoute()] })],
  refusals: ['CONFIG_INVALID'],
  parse(input) {
    const join = parseJoin(jsonOf(input));
    assert.ok(join.stateEpoch >= 0 && join.mapEpoch < 2 ** 32 && /^[0-9a-f]{16}$/.test(join.incarnation));
    assert.deepEqual(parseJoin(join), join);
    return true;
  },
});

parserTest('a renewal', {
  samples: ['{"sequence":1,"load":{"inFlight":3}}', '{"sequence":2,"load":null}'],
  refusals: ['CONFIG_INVALID'],
  parse(input) {
    const { sequence } = parseRenew(jsonOf(input));
    assert.ok(Number.isSafeInteger(sequence) && sequence >= 0);
    return true;
  },
});

parserTest('a lease', {
  samples: ['{"sequence":1,"ttlMs":1000}', '{"sequence":9,"ttlMs":0}'],
  refusals: ['CONFIG_INVALID'],
  parse(input) {
    const { ttlMs } = parseLease(jsonOf(input));
    assert.ok(ttlMs >= 0 && ttlMs <= 600_000);
    return true;
  },
});

const reach = new DispatcherReach();
const peer = new Peer('d1', '127.0.0.1:1');

parserTest('what a dispatcher reaches', {
  samples: ['{"groups":["g1","g2"]}', '{"groups":[]}'],
  parse(input) {
    const value = jsonOf(input);
    reach.onNotice(peer, REACH_TOPIC, value);
    assert.ok(Array.isArray(reach.missing(smallState(1), [peer])));
    return value !== undefined;
  },
});

/** Small ones: most of the time goes into the config, of which one part is like another. */
const STATE = JSON.stringify(smallState(7));

parserTest('a published state', {
  samples: [STATE],
  refusals: ['CONFIG_INVALID'],
  parse(input) {
    const state = parsePublishedState(jsonOf(input));
    assert.equal(state.bucketMap.owners.length, state.config.hash.buckets);
    assert.ok(state.bucketMap.owners.every((owner) => state.bucketMap.groupIds[owner] !== undefined));
    return true;
  },
});

parserTest('a bucket map and routes', {
  samples: [
    JSON.stringify({ epoch: 3, groupIds: ['g1', 'g2'], routes: [echoRoute('/a/:b')] }),
    JSON.stringify({ epoch: 4, groupIds: ['g2', 'g1'], routes: [] }),
  ],
  refusals: ['CONFIG_INVALID'],
  parse(input) {
    const given = jsonOf(input) as { epoch?: unknown; groupIds?: unknown; routes?: unknown } | null | undefined;
    const bucketMap = { epoch: given?.epoch, groupIds: given?.groupIds, owners: [0, 1] };
    const state = parsePublishedState({ epoch: 1, config: TWO_BUCKETS, bucketMap, routes: given?.routes });
    assert.deepEqual(state.bucketMap.owners, [0, 1]);
    return true;
  },
});

parserTest('what a coordinator keeps', {
  samples: [
    JSON.stringify({
      state: smallState(7),
      manifests: [{ serverId: 'g1a', version: '1', order: 1, routes: [echoRoute()] }],
    }),
  ],
  refusals: ['CONFIG_INVALID'],
  parse(input) {
    parsePublication(jsonOf(input));
    return true;
  },
});

const folder = tempFolder();
after(() => fs.rmSync(folder, { recursive: true, force: true }));
const keptFile = new PublishedStateFile(path.join(folder, 'state.json'), (value) => value);
const CONTENT = '{"epoch":5,"text":"kept"}';
const checksum = createHash('sha256').update(`1\n${CONTENT}`).digest('hex');
const KEPT = `${JSON.stringify({ format: 'trunkline-published-state', version: 1, checksum })}\n${CONTENT}`;

parserTest('a published state on disk', {
  samples: [KEPT],
  divisor: 10, // each case is a file written and read
  parse(input) {
    fs.writeFileSync(keptFile.file, input);
    const content = keptFile.peek();
    if (content.kind !== 'whole') return false;
    assert.deepEqual(content.value, { epoch: 5, text: 'kept' }, 'expected the checksum to tell every change');
    return true;
  },
});

parserTest('a small config text', {
  samples: [
    'version: 1\ncluster: small\n',
    'a: &x [1, {b: c}]\nd: *x\n',
    '{"cluster":"x","groups":[{"id":"g1"}]}',
    '- |\n  a\n',
  ],
  parse(input) {
    const text = input.toString();
    const yaml = parseYaml(text);
    if (yaml.ok) void yaml.source.value;
    else for (const { line, column } of yaml.problems) assert.ok(line >= 1 && column >= 1);
    const config = parseClusterConfig(text, 'x.yaml');
    assert.ok(!config.ok && config.problems.length >= 1);
    return yaml.ok;
  },
});

parserTest('a whole config', {
  samples: [SMALL_CLUSTER],
  divisor: 10, // close to a millisecond a case
  parse(input) {
    const text = input.toString();
    const result = parseClusterConfig(text, 'x.yaml');
    if (!result.ok) {
      assert.ok(result.problems.length >= 1 && result.problems.length <= PROBLEMS_MAX + 1);
      assert.ok(formatConfigProblems(result.problems).startsWith('x.yaml:'));
      return false;
    }
    const again = parseClusterConfig(JSON.stringify(result.config), 'x.yaml');
    assert.ok(again.ok);
    assert.deepEqual(again.config, result.config);
    return true;
  },
});

parserTest('frames of buckets', {
  samples: ['0-49|50-99', '0-9,20-49|10-19,50-99', '0-98|99', '7|0-6,8-99'],
  parse(input) {
    const groups = input.toString('latin1').split('|');
    const config = structuredSmall(groups.map((text) => text.split(',')));
    const { owners, problems } = assignFrames(config);
    assert.equal(owners.length, 100);
    if (problems.length > 0) return false;
    assert.ok(owners.every((owner) => owner >= 0 && owner < groups.length));
    return true;
  },
});

/** The small cluster with a group for each list of frames; only texts that the schema lets pass get this far. */
function structuredSmall(frames: readonly (readonly string[])[]): typeof CONFIG {
  const [first] = CONFIG.groups;
  assert.ok(first !== undefined);
  const passes = (text: string): boolean => /^\d{1,6}(-\d{1,6})?$/.test(text);
  const groups = frames.map((texts, index) => ({ ...first, id: `g${index}`, frames: texts.filter(passes) }));
  return { ...CONFIG, groups };
}

parserTest('an address', {
  samples: ['127.0.0.1:8080', '[::1]:7', 'localhost:0'],
  parse(input) {
    const { host, port } = splitAddress(input.toString('latin1'));
    assert.equal(typeof host, 'string');
    return Number.isInteger(port);
  },
});
