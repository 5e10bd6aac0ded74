/**
 * Every balance of the ledger, and the effect of each event on it (the table of events.log's format).
 *
 * The engine, the read model and replay each have one of their own; all of them change it only here.
 */

import { add, type Money, subtract, ZERO } from "./amount.ts";
import type { WalletEvent } from "./events.ts";
import { type AccountId, type Currency, WORLD } from "./names.ts";

export interface Balance {
  readonly account: AccountId;
  readonly currency: Currency;
  available: Money;
  frozen: Money;
  /** What it was opened with; 0 where a credit opened it. */
  initial: Money;
}

/** What an account holds: available + frozen. */
export function total(balance: Balance): Money {
  return add(balance.available, balance.frozen);
}

export class Balances {
  readonly #currencies = new Map<Currency, Map<AccountId, Balance>>();
  #accounts = 0;

  /** How many (account, currency) pairs are open, `@world`'s not counted. */
  get accounts(): number {
    return this.#accounts;
  }

  get(account: AccountId, currency: Currency): Balance | undefined {
    return this.#currencies.get(currency)?.get(account);
  }

  currencies(): readonly Currency[] {
    return [...this.#currencies.keys()];
  }

  /** Every balance that an event touched, in no promised order. */
  *[Symbol.iterator](): IterableIterator<Readonly<Balance>> {
    for (const balances of this.#currencies.values()) yield* balances.values();
  }

  apply(event: WalletEvent): void {
    switch (event.type) {
      case "MoneyDeducted": {
        const payer = this.#touch(event.account, event.currency);
        payer.available = subtract(payer.available, event.amount);
        return;
      }
      case "MoneyCredited": {
        const receiver = this.#touch(event.account, event.currency);
        receiver.available = add(receiver.available, event.amount);
        return;
      }
      case "AccountOpened": {
        const opened = this.#touch(event.account, event.currency);
        opened.available = add(opened.available, event.initial_balance);
        opened.initial = event.initial_balance;
        const world = this.#touch(WORLD, event.currency);
        world.available = subtract(world.available, event.initial_balance);
        return;
      }
      case "LedgerOpened":
      case "TransactionFailed":
        return;
    }
  }

  #touch(account: AccountId, currency: Currency): Balance {
    let balances = this.#currencies.get(currency);
    if (!balances) {
      balances = new Map();
      this.#currencies.set(currency, balances);
    }
    let balance = balances.get(account);
    if (!balance) {
      balance = { account, currency, available: ZERO, frozen: ZERO, initial: ZERO };
      balances.set(account, balance);
      if (account !== WORLD) this.#accounts++;
    }
    return balance;
  }
}
