/**
 * Every balance of the ledger, and the effect of each event on it (the table of events.log's format).
 *
 * The engine, the read model and replay each have one of their own; all of them change it only here.
 */

import { add, MAX_MONEY, MIN_MONEY, type Money, ZERO } from "./amount.ts";
import { postingsOf, type WalletEvent } from "./event-table.ts";
import { ImpossibleState } from "./impossible-state.ts";
import { type AccountId, type Currency, WORLD } from "./names.ts";

export interface Balance {
  readonly account: AccountId;
  readonly currency: Currency;
  /** Its place in Balances.all. */
  readonly number: number;
  available: Money;
  frozen: Money;
  /** What it was opened with; 0 if a credit opened it. */
  initial: Money;
}

/** What an account holds: available + frozen. */
export function total(balance: Balance): Money {
  return add(balance.available, balance.frozen);
}

export class Balances {
  /** In the order in which they were touched first. */
  readonly #all: Balance[] = [];
  readonly #currencies = new Map<Currency, Map<AccountId, Balance>>();
  #lastCurrency: Currency | undefined;
  #lastBalances: Map<AccountId, Balance> | undefined;
  /** The balances that were changed last. */
  #last: Balance | undefined;
  #secondLast: Balance | undefined;
  #accounts = 0;

  /** How many (account, currency) pairs are open, `@world`'s not counted. */
  get accounts(): number {
    return this.#accounts;
  }

  get(account: AccountId, currency: Currency): Balance | undefined {
    return this.#lately(account, currency) ?? this.#of(currency)?.get(account);
  }

  currencies(): readonly Currency[] {
    return [...this.#currencies.keys()];
  }

  /** Every balance that an event touched, in the order in which they were touched first: it only grows. */
  get all(): readonly Readonly<Balance>[] {
    return this.#all;
  }

  [Symbol.iterator](): IterableIterator<Readonly<Balance>> {
    return this.#all.values();
  }

  /** Throws ImpossibleState if a balance would leave its limits. */
  apply(event: WalletEvent): void {
    for (const { account, currency, available, frozen } of postingsOf(event)) {
      const balance = this.#touch(account, currency);
      balance.available = add(balance.available, available);
      if (frozen !== ZERO) balance.frozen = add(balance.frozen, frozen);
      if (!isWithinLimits(balance)) impossible(balance);
    }
    if (event.type === "AccountOpened")
      this.#touch(event.account, event.currency).initial = event.initial_balance;
  }

  /** Sets a balance as it was before, in a ledger that is built again. */
  restore(account: AccountId, currency: Currency, available: Money, frozen: Money, initial = ZERO): void {
    const balance = this.#touch(account, currency);
    balance.available = available;
    balance.frozen = frozen;
    balance.initial = initial;
  }

  #touch(account: AccountId, currency: Currency): Balance {
    const lately = this.#lately(account, currency);
    if (lately) return lately;
    let balances = this.#of(currency);
    if (!balances) {
      balances = new Map();
      this.#currencies.set(currency, balances);
    }
    let balance = balances.get(account);
    if (!balance) {
      const number = this.#all.length;
      balance = { account, currency, number, available: ZERO, frozen: ZERO, initial: ZERO };
      balances.set(account, balance);
      this.#all.push(balance);
      if (account !== WORLD) this.#accounts++;
    }
    this.#secondLast = this.#last;
    this.#last = balance;
    return balance;
  }

  /** A command asks for the same two balances several times over. */
  #lately(account: AccountId, currency: Currency): Balance | undefined {
    const last = this.#last;
    if (last && last.account === account && last.currency === currency) return last;
    const secondLast = this.#secondLast;
    if (secondLast && secondLast.account === account && secondLast.currency === currency) return secondLast;
    return undefined;
  }

  /** Nearly always it is the currency of the time before. */
  #of(currency: Currency): Map<AccountId, Balance> | undefined {
    if (currency !== this.#lastCurrency || this.#lastBalances === undefined) {
      this.#lastCurrency = currency;
      this.#lastBalances = this.#currencies.get(currency);
    }
    return this.#lastBalances;
  }
}

function isWithinLimits(balance: Balance): boolean {
  const { account, available, frozen } = balance;
  if (frozen < 0 || available < (account === WORLD ? MIN_MONEY : 0)) return false;
  const sum = total(balance);
  return typeof sum === "number" || sum <= MAX_MONEY;
}

function impossible({ account, currency, available }: Balance): never {
  throw new ImpossibleState(`impossible state: ${account} would have ${available} ${currency}`);
}
