/**
 * What clients know about accounts: what was acknowledged and what was only begun. From that follows what any balance
 * that is read in between may be, and what each must be in the end.
 *
 * B1: a read shows every change that was acknowledged before it began, and none that had not begun when it ended.
 * B2: an acknowledged change has an entry number, and no two of an account have the same.
 */

/** Sums of amounts. They only grow, so a reading of them at one time is a bound at any later one. */
interface Account {
  /** Deposits. */
  inBegun: number;
  inAcknowledged: number;
  /** Withdrawals. */
  outBegun: number;
  outAcknowledged: number;
  changesBegun: number;
  readonly entryNumbers: Set<number>;
}

export interface BookedChange {
  readonly account: string;
  /** Negative: a withdrawal. */
  readonly amount: number;
}

export class AccountBook {
  readonly #accounts = new Map<string, Account>();

  open(account: string): void {
    const zero = { inBegun: 0, inAcknowledged: 0, outBegun: 0, outAcknowledged: 0, changesBegun: 0 };
    this.#accounts.set(account, { ...zero, entryNumbers: new Set() });
  }

  get accounts(): string[] {
    return [...this.#accounts.keys()];
  }

  /** What may surely be withdrawn, whatever else is under way. */
  available(account: string): number {
    const { inAcknowledged, outBegun } = this.#of(account);
    return inAcknowledged - outBegun;
  }

  begin({ account, amount }: BookedChange): void {
    const known = this.#of(account);
    known.changesBegun++;
    if (amount >= 0) known.inBegun += amount;
    else known.outBegun -= amount;
  }

  /** B2 @returns what is wrong with the acknowledgement, '' when nothing is */
  acknowledge({ account, amount }: BookedChange, entryNumber: number): string {
    const known = this.#of(account);
    if (amount >= 0) known.inAcknowledged += amount;
    else known.outAcknowledged -= amount;
    if (known.entryNumbers.has(entryNumber)) return `${account}: entry ${entryNumber} was acknowledged twice`;
    known.entryNumbers.add(entryNumber);
    return '';
  }

  /** A read begins. @returns the judge of what it shows: '' when that may be */
  beginRead(account: string): (balance: number) => string {
    const known = this.#of(account);
    const { inAcknowledged, outAcknowledged } = known;
    return (balance) => {
      const least = inAcknowledged - known.outBegun; // B1
      const most = known.inBegun - outAcknowledged;
      if (balance >= least && balance <= most) return '';
      return `${account}: a read showed ${balance}, expected ${least}..${most}`;
    };
  }

  /** With nothing under way: what is wrong with an account, '' when nothing is. What nobody was told the outcome of may be in it or not. */
  judgeSettled(account: string, balance: number, entries: number): string {
    const { changesBegun, entryNumbers } = this.#of(account);
    const wrong = this.beginRead(account)(balance);
    if (wrong !== '') return wrong;
    if (entries >= entryNumbers.size && entries <= changesBegun) return '';
    return `${account}: ${entries} entries, expected ${entryNumbers.size}..${changesBegun}`;
  }

  #of(account: string): Account {
    const known = this.#accounts.get(account);
    if (known === undefined) throw new Error(`expected an account that was opened, got ${account}`);
    return known;
  }
}
