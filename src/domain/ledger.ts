/** The state that decisions are made on. Changed by apply() alone. */

import { add, type Money, ZERO } from "./amount.ts";
import { type Balance, Balances, total } from "./balances.ts";
import type { Posting, WalletEvent } from "./event-table.ts";
import { postingsOf } from "./event-table.ts";
import type { LedgerOpened } from "./events.ts";
import type { TransactionKind } from "./kinds.ts";
import type { AccountId, Currency, TransactionId } from "./names.ts";
import type { Rejection } from "./rejections.ts";

/** What makes two commands of one kind the same. */
export interface Content {
  readonly from_account: AccountId;
  readonly to_account: AccountId;
  readonly amount: Money;
  readonly currency: Currency;
}

/** What was decided about a transaction id, and the content it was decided for. */
export interface DecidedTransaction extends Content {
  readonly kind: TransactionKind;
  /** Why it was rejected; undefined if it was committed. */
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

/** What a decision may look at. */
export interface LedgerView {
  /** The first event; undefined until the ledger is opened. */
  readonly opened: LedgerOpened | undefined;
  /** The number of the last event. */
  readonly seq: number;
  /** Undefined for an account that was never opened in this currency. */
  balance(account: AccountId, currency: Currency): Readonly<Balance> | undefined;
  decided(id: TransactionId): DecidedTransaction | undefined;
}

export class Ledger implements LedgerView {
  opened: LedgerOpened | undefined;
  seq = 0;
  readonly balances = new Balances();

  constructor(readonly transactions: DecidedTransactions) {}

  balance(account: AccountId, currency: Currency): Readonly<Balance> | undefined {
    return this.balances.get(account, currency);
  }

  decided(id: TransactionId): DecidedTransaction | undefined {
    return this.transactions.find(id);
  }
}

/**
 * A view with events on top that are not applied: later postings of a command see earlier ones, and a dry run
 * leaves nothing behind.
 */
export class LedgerOverlay implements LedgerView {
  readonly #changed = new Map<string, Balance>();
  #seq: number;

  constructor(private readonly below: LedgerView) {
    this.#seq = below.seq;
  }

  get opened(): LedgerOpened | undefined {
    return this.below.opened;
  }

  get seq(): number {
    return this.#seq;
  }

  balance(account: AccountId, currency: Currency): Readonly<Balance> | undefined {
    return this.#changed.get(`${account} ${currency}`) ?? this.below.balance(account, currency);
  }

  decided(id: TransactionId): DecidedTransaction | undefined {
    return this.below.decided(id);
  }

  add(event: WalletEvent): void {
    for (const posting of postingsOf(event)) this.#add(posting);
    this.#seq++;
  }

  #add({ account, currency, available, frozen }: Posting): void {
    const before = this.balance(account, currency);
    this.#changed.set(`${account} ${currency}`, {
      account,
      currency,
      number: before?.number ?? -1,
      initial: before?.initial ?? ZERO,
      available: add(before?.available ?? ZERO, available),
      frozen: add(before?.frozen ?? ZERO, frozen),
    });
  }
}

export function availableOf(balance: Readonly<Balance> | undefined): Money {
  return balance ? balance.available : ZERO;
}

/** What an account holds, available and frozen together. */
export function totalOf(balance: Readonly<Balance> | undefined): Money {
  return balance ? total(balance) : ZERO;
}
