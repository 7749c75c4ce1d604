/** Fills a contestant with accounts, through its own HTTP. */
import { accountNames } from './load-requests.ts';

/** Requests under way at once. */
const CONCURRENCY = 8;
/** Inserts next to each other into an empty table deadlock over and over on MariaDB; creating again does no harm. */
const ATTEMPTS_MAX = 100;

export async function createAccounts(url: string, count?: number): Promise<void> {
  const left = accountNames(count);
  const worker = async (): Promise<void> => {
    for (let name = left.pop(); name !== undefined; name = left.pop()) await create(`${url}/accounts/${name}`);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
}

async function create(url: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const response = await fetch(url, { method: 'PUT' });
    const text = await response.text();
    if (response.ok) return;
    if (attempt === ATTEMPTS_MAX) throw new Error(`PUT ${url} was answered ${response.status}: ${text}`);
  }
}
