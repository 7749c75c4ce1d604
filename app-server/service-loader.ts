/**
 * Finds and loads the services of the config: each is a folder with one file, `service.ts` or named after the folder,
 * that exports `service`.
 *
 * Services are code of the operator, run with all rights of the process: loading checks for mistakes, not for malice.
 */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Clock, systemClock } from '../shared/clock.ts';
import { PlatformError } from '../shared/errors.ts';
import { isServiceDefinition, type ServiceDefinition } from './sdk/service-definition.ts';

/** A service file has nothing to wait for; one that does would keep the server from ever starting. */
const LOAD_TIMEOUT_MS = 10_000;
const MESSAGE_LENGTH_MAX = 1000;

const EXPORT_FIX = 'export one: `export const service = defineService({ name, schema, routes })`';

function invalid(folder: string, message: string, cause?: unknown): PlatformError {
  return new PlatformError('SERVICE_INVALID', `service folder ${folder}: ${message}`, { cause });
}

async function isFile(file: string): Promise<boolean> {
  return stat(file).then(
    (found) => found.isFile(),
    () => false,
  );
}

async function serviceFileOf(folder: string): Promise<string> {
  const found = await stat(folder).catch(() => undefined);
  if (found === undefined)
    throw invalid(folder, 'expected a folder, got nothing there; correct `services` in cluster.yaml');
  if (!found.isDirectory()) throw invalid(folder, 'expected a folder, got a file; name its folder in cluster.yaml');
  const names = [...new Set(['service.ts', `${path.basename(folder)}.ts`])];
  const files: string[] = [];
  for (const name of names) if (await isFile(path.join(folder, name))) files.push(path.join(folder, name));
  const [file] = files;
  if (file === undefined) throw invalid(folder, `expected a file ${names.join(' or ')}, got neither`);
  if (files.length > 1) throw invalid(folder, `expected one of ${names.join(' and ')}, got both; remove one`);
  return file;
}

async function importFile(folder: string, file: string, clock: Clock): Promise<Record<string, unknown>> {
  const timeout = new PlatformError('SERVICE_INVALID', `${file} did not load within ${LOAD_TIMEOUT_MS} ms`);
  let stopWaiting = (): void => {};
  const tooLong = new Promise<never>((_resolve, reject) => {
    const timer = clock.after(LOAD_TIMEOUT_MS, () => reject(timeout));
    stopWaiting = () => timer.cancel();
  });
  try {
    return await Promise.race([import(pathToFileURL(file).href) as Promise<Record<string, unknown>>, tooLong]);
  } catch (thrown) {
    const text = thrown instanceof PlatformError ? thrown.detail : String(thrown);
    const hint = /#sdk/.test(text) ? "; `#sdk` is found from folders inside the project's own folder" : '';
    throw invalid(folder, `loading ${path.basename(file)} failed: ${text.slice(0, MESSAGE_LENGTH_MAX)}${hint}`, thrown);
  } finally {
    stopWaiting();
  }
}

async function loadService(folder: string, clock: Clock): Promise<ServiceDefinition> {
  const file = await serviceFileOf(folder);
  const loaded = await importFile(folder, file, clock);
  const { service } = loaded;
  if (service === undefined) {
    const names = Object.keys(loaded).slice(0, 8).join(', ');
    throw invalid(
      folder,
      `expected ${path.basename(file)} to export 'service', got ${names || 'no export'}; ${EXPORT_FIX}`,
    );
  }
  if (!isServiceDefinition(service)) {
    throw invalid(folder, `expected 'service' to be made by defineService, got ${typeof service}; ${EXPORT_FIX}`);
  }
  return service;
}

/**
 * @param folders as in the config, relative to `rootFolder`
 * @returns one service per folder, in order
 * @throws PlatformError SERVICE_INVALID: names the folder, what was expected, and the fix
 */
export async function loadServices(
  folders: readonly string[],
  rootFolder: string,
  clock: Clock = systemClock,
): Promise<ServiceDefinition[]> {
  const services: ServiceDefinition[] = [];
  const folderByName = new Map<string, string>();
  for (const relative of folders) {
    const folder = path.resolve(rootFolder, relative);
    const service = await loadService(folder, clock);
    const other = folderByName.get(service.name);
    if (other === folder) throw invalid(folder, 'it is listed twice; remove one line of `services` in cluster.yaml');
    if (other !== undefined) throw invalid(folder, `its name '${service.name}' is taken by ${other}; rename one`);
    folderByName.set(service.name, folder);
    services.push(service);
  }
  return services;
}
