/** The read model: balances and totals, fed with durable events only, in their order. */

import { add, type Money, subtract, ZERO } from "../domain/amount.ts";
import { Balances } from "../domain/balances.ts";
import type { LedgerOpened, WalletEvent } from "../domain/events.ts";
import { type AccountId, type Currency, WORLD } from "../domain/names.ts";
import type { BalancesView, BalanceView, LedgerView } from "../ports/balances.ts";

const NOTHING: BalanceView = { available: ZERO, frozen: ZERO };

export class BalancesProjection implements BalancesView {
  readonly #balances = new Balances();
  /** Of each currency, the sum over all accounts, `@world` included. */
  readonly #sums = new Map<Currency, Money>();
  #opened: LedgerOpened | undefined;
  #seq = 0;
  #transactions = 0;

  get seq(): number {
    return this.#seq;
  }

  get defaultCurrency(): Currency | undefined {
    return this.#opened?.currency;
  }

  apply(events: readonly WalletEvent[]): void {
    for (const event of events) {
      this.#balances.apply(event);
      this.#count(event);
    }
    this.#seq += events.length;
  }

  balance(account: AccountId, currency: Currency): BalanceView | undefined {
    const balance = this.#balances.get(account, currency);
    return balance ?? (account === WORLD ? NOTHING : undefined);
  }

  ledger(): LedgerView | undefined {
    if (!this.#opened) return undefined;
    const totals = this.#balances.currencies().map((currency) => ({
      currency,
      sum: this.#sums.get(currency) ?? ZERO,
      in_circulation: subtract(ZERO, this.balance(WORLD, currency)?.available ?? ZERO),
    }));
    return {
      ledger_id: this.#opened.ledger_id,
      seq: this.#seq,
      accounts: this.#balances.accounts,
      transactions: this.#transactions,
      totals: totals.sort((a, b) => (a.currency < b.currency ? -1 : 1)),
    };
  }

  #count(event: WalletEvent): void {
    switch (event.type) {
      case "LedgerOpened":
        this.#opened = event;
        return;
      case "MoneyDeducted":
        this.#sums.set(event.currency, subtract(this.#sums.get(event.currency) ?? ZERO, event.amount));
        return;
      case "MoneyCredited":
        this.#sums.set(event.currency, add(this.#sums.get(event.currency) ?? ZERO, event.amount));
        this.#transactions++;
        return;
      case "AccountOpened":
      case "TransactionFailed":
        this.#transactions++;
        return;
    }
  }
}
