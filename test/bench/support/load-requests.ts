/** What the load asks for. Accounts differ from request to request, so that what hashes by account spreads them. */

export interface LoadRequest {
  readonly method: 'GET' | 'POST';
  /** Path and query. */
  readonly target: string;
  /** JSON without tabs and line ends; '' for none. */
  readonly body: string;
}

export const ACCOUNTS = 1_000;

const KIB = 1024;
const POST_BODY = JSON.stringify({ text: 'x'.repeat(KIB - '{"text":""}'.length) });

export function accountNames(count: number = ACCOUNTS): string[] {
  return Array.from({ length: count }, (_, index) => `account-${index}`);
}

const forEach = (count: number, make: (account: string) => LoadRequest): LoadRequest[] => accountNames(count).map(make);

export function echoGets(): LoadRequest[] {
  return forEach(ACCOUNTS, (account) => ({ method: 'GET', target: `/echo?account=${account}`, body: '' }));
}

/** With a body of 1 KiB, which comes back. */
export function echoPosts(): LoadRequest[] {
  return forEach(ACCOUNTS, (account) => ({ method: 'POST', target: `/echo?account=${account}`, body: POST_BODY }));
}

export function accountReads(accounts: number = ACCOUNTS): LoadRequest[] {
  return forEach(accounts, (account) => ({ method: 'GET', target: `/accounts/${account}`, body: '' }));
}

export function deposits(): LoadRequest[] {
  const body = JSON.stringify({ amount: 1 });
  return forEach(ACCOUNTS, (account) => ({ method: 'POST', target: `/accounts/${account}/deposits`, body }));
}
