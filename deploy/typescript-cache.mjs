/**
 * Preloaded into every process (`node --import`): hands Node the project's TypeScript with the types already taken out,
 * from `.runtime/javascript/`. Node does the same by itself at every start, with a parser that costs 20 MiB of memory and
 * 0.1 s of CPU a process; a cluster on one machine is nine of them.
 *
 * This file is JavaScript because it is what reads TypeScript. Line and column numbers stay as they are in the source.
 *
 * T1: what is handed out was made from exactly the bytes of the source file: their hash ends the cached text.
 * T2: one cached file per source file, so the cache is as bounded as the checkout.
 * T3: a cache that cannot be read or written is done without.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { registerHooks, stripTypeScriptTypes } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { threadId } from 'node:worker_threads';

const CHECKOUT = path.resolve(import.meta.dirname, '..') + path.sep;
const CACHE_FOLDER = path.join(CHECKOUT, '.runtime', 'javascript', process.version);

registerHooks({
  load(url, context, nextLoad) {
    const file = url.startsWith('file:') && url.endsWith('.ts') ? fileURLToPath(url) : '';
    if (!file.startsWith(CHECKOUT)) return nextLoad(url, context); // T2: services of elsewhere are Node's to read
    return { format: 'module', source: javaScriptOf(file), shortCircuit: true };
  },
});

/** @param {string} file */
function javaScriptOf(file) {
  const source = readFileSync(file);
  const mark = `\n//${createHash('sha256').update(source).digest('hex')}`;
  const cached = path.join(CACHE_FOLDER, `${createHash('sha256').update(file).digest('hex')}.js`); // T2
  try {
    const text = readFileSync(cached, 'utf8');
    if (text.endsWith(mark)) return text; // T1
  } catch {
    // T3: not there yet
  }
  const text = stripTypeScriptTypes(source.toString('utf8')) + mark;
  try {
    mkdirSync(CACHE_FOLDER, { recursive: true });
    const incoming = `${cached}.${process.pid}-${threadId}`; // renamed when whole: other processes read the same file
    writeFileSync(incoming, text);
    renameSync(incoming, cached);
  } catch {
    // T3: made anew next time
  }
  return text;
}
