/** The state that decisions are made on. Changed by apply() alone. */

import type { Money } from "./amount.ts";
import { Balances } from "./balances.ts";
import type { TransactionKind } from "./commands.ts";
import type { LedgerOpened, MoneyDeducted } from "./events.ts";
import type { AccountId, Currency, TransactionId } from "./names.ts";
import type { Rejection } from "./rejections.ts";

/** What was decided about a transaction id, and the content it was decided for. */
export interface DecidedTransaction {
  readonly kind: TransactionKind;
  readonly from_account: AccountId;
  readonly to_account: AccountId;
  readonly amount: Money;
  readonly currency: Currency;
  /** Why it was rejected; undefined where it was committed. */
  readonly reason: Rejection | undefined;
  /** The seq of its last line. */
  readonly seq: number;
}

/** Every id that was ever decided. An id is recorded once. */
export interface DecidedTransactions {
  readonly size: number;
  find(id: TransactionId): DecidedTransaction | undefined;
  record(id: TransactionId, decided: DecidedTransaction): void;
}

export class Ledger {
  /** The first event; undefined until the ledger is opened. */
  opened: LedgerOpened | undefined;
  /** The number of the last event. */
  seq = 0;
  /** A deduction whose credit has not been applied yet. */
  halfTransfer: MoneyDeducted | undefined;
  readonly balances = new Balances();

  constructor(readonly transactions: DecidedTransactions) {}
}
