/** Fills a contestant with accounts, through its own HTTP. */
import { accountNames } from './load-requests.ts';

/** Requests under way at once. */
const CONCURRENCY = 64;

export async function createAccounts(url: string, count?: number): Promise<void> {
  const left = accountNames(count);
  const worker = async (): Promise<void> => {
    for (let name = left.pop(); name !== undefined; name = left.pop()) {
      const response = await fetch(`${url}/accounts/${name}`, { method: 'PUT' });
      const text = await response.text();
      if (!response.ok) throw new Error(`PUT /accounts/${name} was answered ${response.status}: ${text}`);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
}
