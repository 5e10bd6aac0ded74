import type { Money } from "../domain/amount.ts";
import type { AccountId, Currency } from "../domain/names.ts";

export interface BalanceView {
  readonly available: Money;
  readonly frozen: Money;
}

export interface LedgerSummary {
  readonly ledger_id: string;
  readonly seq: number;
  /** (account, currency) pairs that are open, without @world's. */
  readonly accounts: number;
  /** Ids that were decided. */
  readonly transactions: number;
  readonly totals: readonly {
    readonly currency: Currency;
    readonly sum: Money;
    readonly in_circulation: Money;
  }[];
}

/** The read model: balances as of the last durable event that it has applied. */
export interface BalancesView {
  /** The last event that was applied. */
  readonly seq: number;
  /** Undefined where the account was never opened in that currency. */
  balance(account: AccountId, currency: Currency): BalanceView | undefined;
  /** Undefined until the ledger is open. */
  ledger(): LedgerSummary | undefined;
  /** The ledger's default currency; undefined until it is open. */
  readonly defaultCurrency: Currency | undefined;
}
