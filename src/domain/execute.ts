/**
 * Decides what a command does to the ledger. Changes nothing: apply() is the only thing that does.
 *
 * Invariants: a committed transfer's events add up to zero in its currency; no account but @world
 * goes below zero; no balance leaves ±(2^63−1); an id that was decided is never decided again.
 */

import { add, MAX_MONEY, MIN_MONEY, type Money, subtract, ZERO } from "./amount.ts";
import { type Balance, total } from "./balances.ts";
import type { Command, OpenAccount, OpenLedger, Transfer } from "./commands.ts";
import type { TransactionFailed, WalletEvent } from "./events.ts";
import type { Ledger } from "./ledger.ts";
import { type AccountId, type Currency, WORLD } from "./names.ts";
import type { Rejection } from "./rejections.ts";

const NOTHING: readonly WalletEvent[] = [];

/** The events of a command; none where it changes nothing (a repeat, a conflict, an open account). */
export function execute(ledger: Ledger, command: Command): readonly WalletEvent[] {
  if (command.kind === "open_ledger") return ledger.opened ? NOTHING : [ledgerOpened(command)];
  if (!ledger.opened) return NOTHING;
  if (ledger.transactions.find(command.transaction_id)) return NOTHING;
  return command.kind === "open_account" ? openAccount(ledger, command) : transfer(ledger, command);
}

function ledgerOpened({ format, ledger_id, currency, strict }: OpenLedger): WalletEvent {
  return { type: "LedgerOpened", format, ledger_id, currency, strict };
}

function openAccount(ledger: Ledger, command: OpenAccount): readonly WalletEvent[] {
  const { transaction_id, account, currency, initial_balance } = command;
  if (ledger.balances.get(account, currency)) return NOTHING;
  const world = availableOf(ledger.balances.get(WORLD, currency));
  if (subtract(world, initial_balance) < MIN_MONEY) {
    return [failed("balance_overflow", command, WORLD, account, initial_balance)];
  }
  return [{ type: "AccountOpened", transaction_id, account, currency, initial_balance }];
}

function transfer(ledger: Ledger, command: Transfer): readonly WalletEvent[] {
  const { transaction_id, from_account, to_account, amount, currency } = command;
  const reason = rejectionOf(ledger, command);
  if (reason) return [failed(reason, command, from_account, to_account, amount)];
  return [
    { type: "MoneyDeducted", transaction_id, account: from_account, amount, currency },
    { type: "MoneyCredited", transaction_id, account: to_account, amount, currency },
  ];
}

function rejectionOf(ledger: Ledger, command: Transfer): Rejection | undefined {
  const { from_account, to_account, amount, currency } = command;
  const from = ledger.balances.get(from_account, currency);
  const to = ledger.balances.get(to_account, currency);
  if (ledger.opened?.strict && (isUnknown(from, from_account) || isUnknown(to, to_account))) {
    return "account_not_found";
  }
  if (from_account === WORLD) {
    if (subtract(availableOf(from), amount) < MIN_MONEY) return "balance_overflow";
  } else if (availableOf(from) < amount) {
    return "insufficient_funds";
  }
  return add(to ? total(to) : ZERO, amount) > MAX_MONEY ? "balance_overflow" : undefined;
}

function isUnknown(balance: Balance | undefined, account: AccountId): boolean {
  return balance === undefined && account !== WORLD;
}

function availableOf(balance: Balance | undefined): Money {
  return balance ? balance.available : ZERO;
}

function failed(
  reason: Rejection,
  {
    kind,
    transaction_id,
    currency,
  }: {
    kind: TransactionFailed["kind"];
    transaction_id: TransactionFailed["transaction_id"];
    currency: Currency;
  },
  from_account: AccountId,
  to_account: AccountId,
  amount: Money,
): TransactionFailed {
  return {
    type: "TransactionFailed",
    transaction_id,
    from_account,
    reason,
    kind,
    to_account,
    amount,
    currency,
  };
}
