/**
 * Decides what a command does to the ledger. Changes nothing: apply() is the only thing that does.
 *
 * Invariants: a command's postings add up to zero in each currency; no account but @world goes below zero; no
 * balance leaves ±(2^63−1); an id that was decided is never decided again.
 */

import { type Command, moduleOf } from "./commands/commands.ts";
import { openLedger } from "./commands/open-ledger.ts";
import type { WalletEvent } from "./event-table.ts";
import type { LedgerView } from "./ledger.ts";

const NOTHING: readonly WalletEvent[] = [];

/** The events of a command; none if it changes nothing (a repeat, a conflict, an open account). */
export function execute(view: LedgerView, command: Command): readonly WalletEvent[] {
  if (command.kind === "open_ledger") return openLedger(view, command);
  if (!view.opened || view.decided(command.transaction_id)) return NOTHING;
  return moduleOf(command.kind).execute(view, command);
}
