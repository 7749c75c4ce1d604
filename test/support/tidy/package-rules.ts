/** Rules about package.json and package-lock.json. */
import type { Complaint } from './tidy-rules.ts';

interface PackageJson {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

interface LockFile {
  readonly packages: Readonly<
    Record<string, { readonly resolved?: string; readonly optionalDependencies?: Readonly<Record<string, string>> }>
  >;
}

/** Exact versions only: what was tested is what is installed. */
export function pinComplaints(packageJson: PackageJson): Complaint[] {
  const all = { ...packageJson.dependencies, ...packageJson.devDependencies };
  return Object.entries(all)
    .filter(([, version]) => !/^(npm:.+@)?\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
    .map(([name, version]) => `package.json: expected an exact version of ${name}, got ${version}`);
}

/**
 * The lock names the optional binaries of every platform (npm drops those a registry did not have when it was written,
 * and `npm ci` then fails, or skips the binary, elsewhere), and no registry, so that anybody's own is used.
 */
export function lockComplaints(lock: LockFile): Complaint[] {
  const names = new Set(Object.keys(lock.packages).map((key) => key.slice(key.lastIndexOf('node_modules/') + 13)));
  return Object.entries(lock.packages).flatMap(([key, entry]) => [
    ...Object.keys(entry.optionalDependencies ?? {})
      .filter((name) => !names.has(name))
      .map((name) => `package-lock.json: ${name}, an optional binary of ${key}, is missing`),
    ...(entry.resolved === undefined ? [] : [`package-lock.json: ${key} names the registry it came from`]),
  ]);
}
