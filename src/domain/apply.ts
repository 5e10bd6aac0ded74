/**
 * Applies the events of a command to the ledger: the only thing that changes it, live and in replay.
 *
 * It asserts what execute() promises, so that a log which breaks a promise stops its reader.
 */

import { add, type Money, ZERO } from "./amount.ts";
import { commandThatWrote, moduleOf } from "./commands/commands.ts";
import { postingsOf, type WalletEvent } from "./event-table.ts";
import { ImpossibleState } from "./impossible-state.ts";
import type { Ledger } from "./ledger.ts";
import { type Currency, WORLD } from "./names.ts";

/** `events` are all those of one command. Throws ImpossibleState if they cannot follow those before them. */
export function apply(ledger: Ledger, events: readonly WalletEvent[]): void {
  const seq = ledger.seq + events.length;
  const [first] = events;
  if ((first?.type === "LedgerOpened") !== (ledger.seq === 0))
    impossible(ledger.seq + 1, "a ledger is opened by its first event, once");
  const unbalanced = imbalance(events);
  if (unbalanced) impossible(seq, unbalanced);
  const command = commandThatWrote(events);
  if (!command || !first) impossible(seq, "no command writes these events");
  for (const event of events) {
    ledger.seq++;
    assertAccounts(ledger, event);
    ledger.balances.apply(event);
  }
  if (first.type === "LedgerOpened") ledger.opened = first;
  if (command.kind === "open_ledger") return;
  const { from_account, to_account, amount, currency } = moduleOf(command.kind).content(command);
  const reason = first.type === "TransactionFailed" ? first.reason : undefined;
  const { kind, transaction_id } = command;
  ledger.transactions.record(transaction_id, {
    kind,
    from_account,
    to_account,
    amount,
    currency,
    reason,
    seq,
  });
}

/** How the postings of a command's events do not add up to zero in each currency; undefined if they do. */
export function imbalance(events: readonly WalletEvent[]): string | undefined {
  let only: Currency | undefined;
  let sum: Money = ZERO;
  let others: Map<Currency, Money> | undefined;
  for (const event of events) {
    for (const { currency, available, frozen } of postingsOf(event)) {
      only ??= currency;
      if (currency === only) sum = add(sum, add(available, frozen));
      else {
        others ??= new Map();
        others.set(currency, add(others.get(currency) ?? ZERO, add(available, frozen)));
      }
    }
  }
  if (only !== undefined && sum !== ZERO) return `the postings add up to ${sum} ${only}`;
  for (const [currency, other] of others ?? [])
    if (other !== ZERO) return `the postings add up to ${other} ${currency}`;
  return undefined;
}

function assertAccounts({ balances, opened, seq }: Ledger, event: WalletEvent): void {
  if (event.type === "AccountOpened" && balances.get(event.account, event.currency))
    impossible(seq, `${event.account} is open in ${event.currency} already`);
  if (event.type !== "MoneyCredited" || !opened?.strict || event.account === WORLD) return;
  if (!balances.get(event.account, event.currency))
    impossible(seq, `${event.account} was never opened in ${event.currency}`);
}

function impossible(seq: number, what: string): never {
  throw new ImpossibleState(`impossible state at seq ${seq}: ${what}`);
}
