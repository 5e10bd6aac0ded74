/** What happened, as events.log tells it (format 1). Field names are those of the log. */

import type { Money } from "./amount.ts";
import type { TransactionKind } from "./commands.ts";
import type { AccountId, Currency, TransactionId } from "./names.ts";
import type { Rejection } from "./rejections.ts";

export interface LedgerOpened {
  readonly type: "LedgerOpened";
  readonly format: number;
  readonly ledger_id: TransactionId;
  readonly currency: Currency;
  readonly strict: boolean;
}

export interface AccountOpened {
  readonly type: "AccountOpened";
  readonly transaction_id: TransactionId;
  readonly account: AccountId;
  readonly currency: Currency;
  readonly initial_balance: Money;
}

export interface MoneyDeducted {
  readonly type: "MoneyDeducted";
  readonly transaction_id: TransactionId;
  readonly account: AccountId;
  readonly amount: Money;
  readonly currency: Currency;
}

export interface MoneyCredited {
  readonly type: "MoneyCredited";
  readonly transaction_id: TransactionId;
  readonly account: AccountId;
  readonly amount: Money;
  readonly currency: Currency;
}

/** A rejected command, with its whole content, so that a repeat can be judged after a restart. */
export interface TransactionFailed {
  readonly type: "TransactionFailed";
  readonly transaction_id: TransactionId;
  readonly from_account: AccountId;
  readonly reason: Rejection;
  readonly kind: TransactionKind;
  readonly to_account: AccountId;
  readonly amount: Money;
  readonly currency: Currency;
}

export type WalletEvent = LedgerOpened | AccountOpened | MoneyDeducted | MoneyCredited | TransactionFailed;
