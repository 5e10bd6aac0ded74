/**
 * Applies an event to the ledger: the only thing that changes it, live and in replay.
 *
 * It asserts what execute() promises, so that a log which breaks a promise stops its reader.
 */

import type { AccountOpened, MoneyCredited, WalletEvent } from "./events.ts";
import { ImpossibleState, unreachable } from "./impossible-state.ts";
import type { Ledger } from "./ledger.ts";
import { WORLD } from "./names.ts";

export function apply(ledger: Ledger, event: WalletEvent): void {
  const seq = ledger.seq + 1;
  if ((event.type === "LedgerOpened") !== (seq === 1))
    impossible(seq, "a ledger is opened by its first event, once");
  const debit = ledger.halfTransfer;
  if (debit && (event.type !== "MoneyCredited" || event.transaction_id !== debit.transaction_id)) {
    impossible(seq, `the credit of transaction ${debit.transaction_id} is missing`);
  }
  if (event.type === "AccountOpened") assertCanOpen(ledger, event, seq);
  if (event.type === "MoneyCredited" && ledger.opened?.strict) assertKnown(ledger, event, seq);
  ledger.balances.apply(event);
  ledger.seq = seq;
  switch (event.type) {
    case "LedgerOpened":
      ledger.opened = event;
      return;
    case "AccountOpened":
      ledger.transactions.record(event.transaction_id, {
        kind: "open_account",
        from_account: WORLD,
        to_account: event.account,
        amount: event.initial_balance,
        currency: event.currency,
        reason: undefined,
        seq,
      });
      return;
    case "MoneyDeducted":
      ledger.halfTransfer = event;
      return;
    case "MoneyCredited":
      credited(ledger, event);
      return;
    case "TransactionFailed": {
      const { transaction_id, kind, from_account, to_account, amount, currency, reason } = event;
      ledger.transactions.record(transaction_id, {
        kind,
        from_account,
        to_account,
        amount,
        currency,
        reason,
        seq,
      });
      return;
    }
    default:
      unreachable(event);
  }
}

function assertCanOpen({ balances }: Ledger, { account, currency }: AccountOpened, seq: number): void {
  if (account === WORLD) impossible(seq, "@world cannot be opened");
  if (balances.get(account, currency)) impossible(seq, `${account} is open in ${currency} already`);
}

function assertKnown({ balances }: Ledger, { account, currency }: MoneyCredited, seq: number): void {
  if (account !== WORLD && !balances.get(account, currency))
    impossible(seq, `${account} was never opened in ${currency}`);
}

function credited(ledger: Ledger, event: MoneyCredited): void {
  const debit = ledger.halfTransfer;
  if (!debit)
    throw new ImpossibleState(`impossible state at seq ${ledger.seq}: a credit without a deduction`);
  if (debit.amount !== event.amount || debit.currency !== event.currency || debit.account === event.account) {
    impossible(ledger.seq, `the two sides of transaction ${event.transaction_id} do not match`);
  }
  ledger.halfTransfer = undefined;
  ledger.transactions.record(event.transaction_id, {
    kind: kindOf(debit.account, event.account),
    from_account: debit.account,
    to_account: event.account,
    amount: event.amount,
    currency: event.currency,
    reason: undefined,
    seq: ledger.seq,
  });
}

/** A committed transfer's kind, which its accounts tell. */
export function kindOf(from: string, to: string): "transfer" | "deposit" | "withdraw" {
  if (from === WORLD) return "deposit";
  return to === WORLD ? "withdraw" : "transfer";
}

function impossible(seq: number, what: string): never {
  throw new ImpossibleState(`impossible state at seq ${seq}: ${what}`);
}
