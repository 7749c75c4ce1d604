/** ARCHITECTURE.md, and the other documents, name files that exist. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { readDocument } from '../../support/markdown.ts';
import { listFiles } from '../../support/tidy/source-tree.ts';

const CHECKOUT = path.resolve(import.meta.dirname, '../../..');
/** Written by the reader of the README. */
const READERS_OWN = /^my-services\//;

test('every file and folder that the documents name exists', () => {
  const files = listFiles(CHECKOUT);
  const documents = ['README.md', 'ARCHITECTURE.md', 'PROTOCOL.md', 'CONTRIBUTING.md'].concat(
    fs.readdirSync(path.join(CHECKOUT, 'docs')).map((name) => `docs/${name}`),
  );
  const exists = (name: string): boolean =>
    files.some(
      (file) => file === name || file.endsWith(`/${name}`) || (name.endsWith('/') && `/${file}`.includes(`/${name}`)),
    );
  for (const document of documents) {
    const named = [...readDocument(document).matchAll(/`([\w./-]+(?:\.ts|\.json|\.yaml|\/))`/g)].map((m) => m[1] ?? '');
    const missing = named.filter((name) => !exists(name) && !READERS_OWN.test(name) && !WRITTEN_LATER.has(name));
    assert.deepEqual(missing, [], document);
  }
});

/** Made by a running cluster, by its operator, or by `./trunkline`. */
const WRITTEN_LATER = new Set(['cluster.yaml', 'logs/', '.runtime/', '/']);
