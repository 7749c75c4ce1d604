/**
 * Starts a worker thread from TypeScript sources, with the types taken out in this thread.
 *
 * Node can do that in the worker itself, but then loads its TypeScript parser there again: 14 MiB more for each thread
 * (24 instead of 10, Node 22.23), where an app server is meant to idle below 70.
 */
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { type ResourceLimits, Worker } from 'node:worker_threads';

/** Runs in the worker before anything else, as whatever module kind: hands Node the prepared sources for the files. */
const BOOT = `
const { registerHooks } = process.getBuiltinModule('node:module');
const { workerData } = process.getBuiltinModule('node:worker_threads');
registerHooks({
  load(url, context, nextLoad) {
    const source = workerData.sources.get(url);
    if (source === undefined) return nextLoad(url, context);
    return { format: 'module', source, shortCircuit: true };
  },
});
import(workerData.entry);
`;

const RELATIVE_IMPORT = /^(?:import|export)\s[^;]*?from\s+'(\.{1,2}\/[^']+\.ts)';|^import\s+'(\.{1,2}\/[^']+\.ts)';/gm;

/**
 * @param entry file URL of the worker's .ts file; it and what it imports import each other statically
 * @param data copied to the worker, as `workerData.data`
 */
export function startTypeScriptWorker(entry: URL, data: unknown, resourceLimits: ResourceLimits): Worker {
  const sources = new Map<string, string>();
  collectSources(entry, sources);
  return new Worker(BOOT, {
    eval: true,
    name: entry.pathname,
    workerData: { entry: entry.href, sources, data },
    resourceLimits,
  });
}

function collectSources(url: URL, sources: Map<string, string>): void {
  if (sources.has(url.href)) return;
  const javaScript = stripTypeScriptTypes(readFileSync(url, 'utf8'));
  sources.set(url.href, javaScript);
  for (const match of javaScript.matchAll(RELATIVE_IMPORT)) {
    const target = match[1] ?? match[2];
    if (target !== undefined) collectSources(new URL(target, url), sources);
  }
}
