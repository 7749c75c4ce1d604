/** The SQL that docs/replicas.md tells an administrator to run is enough: a group works with just those rights. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { ReplicatedStore } from '../../db/replicated-store.ts';
import { systemClock } from '../../shared/clock.ts';
import type { MysqlReplicaConfig } from '../../shared/config/cluster-schema.ts';
import { parseClusterConfig } from '../../shared/config/load-cluster-config.ts';
import { silentLogger } from '../../shared/log.ts';
import { SMALL_CLUSTER } from '../support/cluster-text.ts';
import { mariadbSkipReason, startMariadb } from '../support/mariadb.ts';
import { fencesOf, readDocument } from '../support/markdown.ts';
import { tempFolder } from '../support/test-cluster.ts';

const fences = fencesOf(readDocument('docs/replicas.md'));
const textOf = (info: string): string => fences.find((fence) => fence.info === info)?.text ?? '';

/** The replicas of the document's YAML, checked as a part of a whole config. */
function documentedReplicas(): readonly MysqlReplicaConfig[] {
  const indented = textOf('yaml').replace(/^(?=.)/gm, '    ');
  const ofFirstGroup = / {4}replicas:\n {6}- \{ id: g1r1.*\n {6}- \{ id: g1r2.*\n/;
  const result = parseClusterConfig(
    SMALL_CLUSTER.replace(ofFirstGroup, () => indented),
    'docs/replicas.md',
  );
  assert.deepEqual(result.ok ? [] : result.problems, []);
  assert.ok(result.ok);
  return (result.config.groups[0]?.replicas ?? []).flatMap((replica) => (replica.kind === 'mysql' ? [replica] : []));
}

test('a group works on MariaDB servers set up as docs/replicas.md says', { skip: mariadbSkipReason() }, async (t) => {
  const servers = await Promise.all([startMariadb(), startMariadb()]);
  t.after(() => Promise.all(servers.map((server) => server.stop())));
  for (const server of servers) {
    for (const statement of textOf('sql').split(';\n')) if (statement.trim() !== '') await server.query(statement);
  }
  const folder = tempFolder();
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(path.join(folder, 'secrets'));
  writeFileSync(path.join(folder, 'secrets/writer'), 'writer-secret\n');
  writeFileSync(path.join(folder, 'secrets/reader'), 'reader-secret\n');
  const documented = documentedReplicas();
  assert.equal(documented.length, servers.length);
  const store = await ReplicatedStore.open({
    groupId: 'g1',
    replicas: documented.map((replica, index) => ({ ...replica, address: `127.0.0.1:${servers[index]?.port}` })),
    dataFolder: folder,
    secretsFolder: folder,
    schema: [
      'CREATE TABLE IF NOT EXISTS notes (account VARCHAR(256) NOT NULL PRIMARY KEY, words VARCHAR(200))',
      'CREATE INDEX IF NOT EXISTS notes_words ON notes (words)',
    ],
    log: silentLogger,
  });
  t.after(() => store.close());
  const deadlineAtMs = systemClock.nowMs() + 10_000;
  const fence = { name: 'locks/nightly', token: 1 };
  const request = { requestId: 'r1', fingerprint: 'f', account: 'alice', bucket: 1, deadlineAtMs, fence };
  await store.write(request, async (tx) => {
    await tx.execute('INSERT INTO notes (account, words) VALUES (?, ?)', ['alice', 'hello']);
    await tx.execute('UPDATE notes SET words = ? WHERE account = ?', ['hi', 'alice']);
    await tx.execute('DELETE FROM notes WHERE account = ?', ['bob']);
    return tx.query('SELECT words FROM notes WHERE account = ?', ['alice']);
  });
  assert.deepEqual(await store.read('SELECT words FROM notes', [], deadlineAtMs), [{ words: 'hi' }]);
  for (const server of servers) {
    assert.deepEqual(await server.query('SELECT COUNT(*) AS n FROM tl_log', 'trunkline_g1'), [{ n: 1 }]);
  }
  assert.ok(store.status().every(({ healthy }) => healthy));
});
