/**
 * Accounts with a balance: create, deposit, withdraw, and list the entries.
 *
 * A1: an account's balance is the sum of its entries' amounts: both change in one transaction.
 * A2: a balance is 0..2^53-1, so JSON carries it exactly.
 * A3: entries are numbered 1, 2, 3, … without a gap.
 *
 * The SQL is SQLite's and MySQL's alike, and gives the same result on every replica. Each write changes the account's
 * row first: on MySQL that takes its lock, so what is read after it is the newest and stays so until the commit.
 */
import { type Context, defineService, integerText, problem, reply, route, type WriteTransaction, z } from '#sdk';

const BALANCE_MAX = Number.MAX_SAFE_INTEGER;
/** Ten billion in a currency of cents: a typing mistake is caught long before BALANCE_MAX. */
const AMOUNT_MAX = 1_000_000_000_000;
const ENTRIES_SHOWN_MAX = 1000;

const noBody = z.strictObject({}).optional();
const transfer = z.strictObject({ amount: z.int().min(1).max(AMOUNT_MAX) });
const account = z.object({ account: z.string(), balance: z.int() });
const entry = z.object({ number: z.int(), amount: z.int(), atMs: z.int() });
const accountWithEntry = z.object({ ...account.shape, entry });

function unknownAccount(name: string): Error {
  return problem(
    404,
    'account-unknown',
    'No such account',
    `create it first: PUT /accounts/${encodeURIComponent(name)}`,
  );
}

async function balanceOf(tx: WriteTransaction, name: string): Promise<number | undefined> {
  const [row] = await tx.query('SELECT balance FROM accounts WHERE account = ?', [name]);
  return row === undefined ? undefined : Number(row.balance);
}

/** Adds `amount`, negative to take away; `refusal` makes the error when the balance would leave `from..to`. */
async function post(
  ctx: Context,
  amount: number,
  range: { readonly from: number; readonly to: number },
  refusal: (balance: number) => Error,
) {
  // Both rows change in this one transaction (A1).
  const posted = await ctx.db.write(async (tx) => {
    const { changes } = await tx.execute(
      `UPDATE accounts SET balance = balance + ?, entry_count = entry_count + 1
        WHERE account = ? AND balance >= ? AND balance <= ?`,
      [amount, ctx.account, range.from, range.to],
    );
    if (changes === 0) {
      const balance = await balanceOf(tx, ctx.account);
      throw balance === undefined ? unknownAccount(ctx.account) : refusal(balance);
    }
    const [row] = await tx.query('SELECT balance, entry_count FROM accounts WHERE account = ?', [ctx.account]);
    const number = Number(row?.entry_count);
    const atMs = tx.now();
    await tx.execute('INSERT INTO account_entries (account, entry_number, amount, at_ms) VALUES (?, ?, ?, ?)', [
      ctx.account,
      number,
      amount,
      atMs,
    ]);
    return { balance: Number(row?.balance), entry: { number, amount, atMs } };
  });
  return reply(201, { account: ctx.account, ...posted });
}

export const service = defineService({
  name: 'accounts',
  schema: [
    `CREATE TABLE IF NOT EXISTS accounts (
      account VARCHAR(256) NOT NULL PRIMARY KEY,
      balance BIGINT NOT NULL,
      entry_count BIGINT NOT NULL
    )`,
    `CREATE TABLE IF NOT EXISTS account_entries (
      account VARCHAR(256) NOT NULL,
      entry_number BIGINT NOT NULL,
      amount BIGINT NOT NULL,
      at_ms BIGINT NOT NULL,
      PRIMARY KEY (account, entry_number)
    )`,
  ],
  routes: [
    route({
      method: 'PUT',
      path: '/accounts/:account',
      body: noBody,
      reply: account,
      async handler(ctx) {
        const created = await ctx.db.write(async (tx) => {
          const { changes } = await tx.execute(
            `INSERT INTO accounts (account, balance, entry_count)
              SELECT ?, 0, 0 FROM (SELECT 1 AS one_row) AS source
               WHERE NOT EXISTS (SELECT 1 FROM accounts WHERE account = ?)`,
            [ctx.account, ctx.account],
          );
          return { isNew: changes === 1, balance: (await balanceOf(tx, ctx.account)) ?? 0 };
        });
        return reply(created.isNew ? 201 : 200, { account: ctx.account, balance: created.balance });
      },
    }),
    route({
      method: 'GET',
      path: '/accounts/:account',
      reply: account,
      async handler(ctx) {
        const [row] = await ctx.db.read('SELECT balance FROM accounts WHERE account = ?', [ctx.account]);
        if (row === undefined) throw unknownAccount(ctx.account);
        return { account: ctx.account, balance: Number(row.balance) };
      },
    }),
    route({
      method: 'GET',
      path: '/accounts/:account/entries',
      query: z.object({
        limit: integerText({ min: 1, max: ENTRIES_SHOWN_MAX }).default(100),
        before: integerText({ min: 1, max: Number.MAX_SAFE_INTEGER }).optional(),
      }),
      // `before`: what to ask with for the next page; null on the last one.
      reply: z.object({ account: z.string(), entries: z.array(entry), before: z.int().nullable() }),
      async handler(ctx, { query }) {
        const [row] = await ctx.db.read('SELECT entry_count FROM accounts WHERE account = ?', [ctx.account]);
        if (row === undefined) throw unknownAccount(ctx.account);
        // Numbers have no gaps (A3), so a page is a range: no OFFSET, and no LIMIT, which MySQL will not prepare.
        const before = Math.min(query.before ?? BALANCE_MAX, Number(row.entry_count) + 1);
        const first = Math.max(1, before - query.limit);
        const rows = await ctx.db.read(
          `SELECT entry_number, amount, at_ms FROM account_entries
            WHERE account = ? AND entry_number >= ? AND entry_number < ? ORDER BY entry_number DESC`,
          [ctx.account, first, before],
        );
        const entries = rows.map((one) => ({
          number: Number(one.entry_number),
          amount: Number(one.amount),
          atMs: Number(one.at_ms),
        }));
        return { account: ctx.account, entries, before: first > 1 ? first : null };
      },
    }),
    route({
      method: 'POST',
      path: '/accounts/:account/deposits',
      body: transfer,
      reply: accountWithEntry,
      handler(ctx, { body: { amount } }) {
        const refusal = (balance: number) =>
          problem(409, 'balance-too-large', 'Balance too large', `${balance} + ${amount} would pass ${BALANCE_MAX}`);
        return post(ctx, amount, { from: 0, to: BALANCE_MAX - amount }, refusal); // A2
      },
    }),
    route({
      method: 'POST',
      path: '/accounts/:account/withdrawals',
      body: transfer,
      reply: accountWithEntry,
      handler(ctx, { body: { amount } }) {
        const refusal = (balance: number) =>
          problem(409, 'insufficient-funds', 'Insufficient funds', `expected at most ${balance}, got ${amount}`);
        return post(ctx, -amount, { from: amount, to: BALANCE_MAX }, refusal); // A2
      },
    }),
  ],
});
