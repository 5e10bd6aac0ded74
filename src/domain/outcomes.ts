/** What a command came to, as its caller is told. Read off the ledger right after its events were applied. */

import { type Money, ZERO } from "./amount.ts";
import { type Balance, total } from "./balances.ts";
import type { Command, OpenAccount, Transfer } from "./commands.ts";
import type { WalletEvent } from "./events.ts";
import type { DecidedTransaction, Ledger } from "./ledger.ts";
import type { AccountId, Currency } from "./names.ts";
import type { Rejection } from "./rejections.ts";

/** Money moved; the balances (available + frozen) are today's where it is a repeat. */
export interface Committed {
  readonly status: "committed";
  readonly seq: number;
  readonly replayed: boolean;
  readonly from_balance: Money;
  readonly to_balance: Money;
}

/** The account is open: by this command (or its repeat), or, with `existed`, already before it. */
export interface Opened {
  readonly status: "opened";
  readonly seq: number;
  readonly replayed: boolean;
  readonly existed: boolean;
  readonly available: Money;
  readonly frozen: Money;
}

export interface Rejected {
  readonly status: "rejected";
  readonly seq: number;
  readonly replayed: boolean;
  readonly reason: Rejection;
}

/** Refused without a trace in the log. `seq` is the ledger's at that moment. */
export interface Refused {
  readonly status: "refused";
  readonly seq: number;
  readonly replayed: false;
  readonly reason: "transaction_id_conflict" | "account_exists" | "ledger_not_open" | "ledger_already_open";
}

export type Outcome = Committed | Opened | Rejected | Refused;

/** What `command` came to; `events` are those of execute(), applied. */
export function outcomeOf(ledger: Ledger, command: Command, events: readonly WalletEvent[]): Outcome {
  const { seq } = ledger;
  if (command.kind === "open_ledger") return refused(ledger, "ledger_already_open");
  const last = events[events.length - 1];
  if (!last) return withoutEvents(ledger, command);
  if (last.type === "TransactionFailed")
    return { status: "rejected", seq, replayed: false, reason: last.reason };
  return done(ledger, command, seq, false);
}

function withoutEvents(ledger: Ledger, command: Transfer | OpenAccount): Outcome {
  if (!ledger.opened) return refused(ledger, "ledger_not_open");
  const decided = ledger.transactions.find(command.transaction_id);
  if (decided) {
    if (!sameContent(decided, command)) return refused(ledger, "transaction_id_conflict");
    const { seq, reason } = decided;
    return reason ? { status: "rejected", seq, replayed: true, reason } : done(ledger, command, seq, true);
  }
  if (command.kind === "open_account") {
    const open = ledger.balances.get(command.account, command.currency);
    if (open?.initial === command.initial_balance) return opened(open, ledger.seq, false, true);
  }
  return refused(ledger, "account_exists");
}

/** Whether a command says the same as the one that was decided under its id. */
function sameContent(decided: DecidedTransaction, command: Transfer | OpenAccount): boolean {
  if (decided.kind !== command.kind || decided.currency !== command.currency) return false;
  if (command.kind === "open_account") {
    return decided.to_account === command.account && decided.amount === command.initial_balance;
  }
  const { from_account, to_account, amount } = command;
  return (
    decided.from_account === from_account && decided.to_account === to_account && decided.amount === amount
  );
}

function done(
  ledger: Ledger,
  command: Transfer | OpenAccount,
  seq: number,
  replayed: boolean,
): Committed | Opened {
  if (command.kind === "open_account") {
    return opened(ledger.balances.get(command.account, command.currency), seq, replayed, false);
  }
  const { from_account, to_account, currency } = command;
  const from_balance = totalOf(ledger, from_account, currency);
  const to_balance = totalOf(ledger, to_account, currency);
  return { status: "committed", seq, replayed, from_balance, to_balance };
}

function opened(balance: Balance | undefined, seq: number, replayed: boolean, existed: boolean): Opened {
  const { available, frozen } = balance ?? { available: ZERO, frozen: ZERO };
  return { status: "opened", seq, replayed, existed, available, frozen };
}

function totalOf(ledger: Ledger, account: AccountId, currency: Currency): Money {
  const balance = ledger.balances.get(account, currency);
  return balance ? total(balance) : ZERO;
}

function refused(ledger: Ledger, reason: Refused["reason"]): Refused {
  return { status: "refused", seq: ledger.seq, replayed: false, reason };
}
