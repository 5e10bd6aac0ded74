/** What a command came to, as its caller is answered. Read off the ledger right after its events were applied. */

import type { Money } from "./amount.ts";
import { type Command, moduleOf, type TransactionCommand } from "./commands/commands.ts";
import type { WalletEvent } from "./event-table.ts";
import { ImpossibleState } from "./impossible-state.ts";
import type { Content, LedgerView } from "./ledger.ts";
import type { Rejection } from "./rejections.ts";

/** Money moved; for a repeat the balances (available + frozen) are today's. */
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
export function outcomeOf(view: LedgerView, command: Command, events: readonly WalletEvent[]): Outcome {
  if (command.kind === "open_ledger") return refused(view, "ledger_already_open");
  const { seq } = view;
  const last = events[events.length - 1];
  if (!last) return withoutEvents(view, command);
  if (last.type === "TransactionFailed")
    return { status: "rejected", seq, replayed: false, reason: last.reason };
  return moduleOf(command.kind).outcome(view, command, seq, false);
}

function withoutEvents(view: LedgerView, command: TransactionCommand): Outcome {
  if (!view.opened) return refused(view, "ledger_not_open");
  const module = moduleOf(command.kind);
  const decided = view.decided(command.transaction_id);
  if (!decided) {
    if (!module.unchanged)
      throw new ImpossibleState(`impossible state: a ${command.kind} that wrote nothing`);
    return module.unchanged(view, command);
  }
  if (decided.kind !== command.kind || !sameContent(decided, module.content(command)))
    return refused(view, "transaction_id_conflict");
  const { seq, reason } = decided;
  return reason
    ? { status: "rejected", seq, replayed: true, reason }
    : module.outcome(view, command, seq, true);
}

function sameContent(a: Content, b: Content): boolean {
  return (
    a.from_account === b.from_account &&
    a.to_account === b.to_account &&
    a.amount === b.amount &&
    a.currency === b.currency
  );
}

function refused(view: LedgerView, reason: Refused["reason"]): Refused {
  return { status: "refused", seq: view.seq, replayed: false, reason };
}
