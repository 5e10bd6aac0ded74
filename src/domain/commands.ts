/** What the ledger can be asked to do. Field names are those of the wire. */

import type { Money } from "./amount.ts";
import type { AccountId, Currency, TransactionId } from "./names.ts";

/** The version of events.log that an opening starts. */
export const LOG_FORMAT = 1;

/** The first command of every ledger; later ones change nothing. */
export interface OpenLedger {
  readonly kind: "open_ledger";
  readonly format: number;
  readonly ledger_id: TransactionId;
  readonly currency: Currency;
  readonly strict: boolean;
}

export interface OpenAccount {
  readonly kind: "open_account";
  readonly transaction_id: TransactionId;
  readonly account: AccountId;
  readonly currency: Currency;
  readonly initial_balance: Money;
}

/** Moves money. A deposit's payer and a withdrawal's receiver are `@world`; a transfer has neither. */
export interface Transfer {
  readonly kind: "transfer" | "deposit" | "withdraw";
  readonly transaction_id: TransactionId;
  readonly from_account: AccountId;
  readonly to_account: AccountId;
  readonly amount: Money;
  readonly currency: Currency;
}

export type Command = OpenLedger | OpenAccount | Transfer;

/** The kinds that carry a transaction id and can be decided once, in the order of their wire numbers. */
export const TRANSACTION_KINDS = ["transfer", "deposit", "withdraw", "open_account"] as const;
export type TransactionKind = (typeof TRANSACTION_KINDS)[number];
