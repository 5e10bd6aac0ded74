/** The first command of every ledger; later ones change nothing. It has no transaction id. */

import type { WalletEvent } from "../event-table.ts";
import { ANY_CURRENCY, COUNT, FLAG, ID, type ValuesOf } from "../fields.ts";
import type { LedgerView } from "../ledger.ts";

/** The version of events.log that an opening starts. */
export const LOG_FORMAT = 1;

export const OPEN_LEDGER_FIELDS = { ledger_id: ID, format: COUNT, currency: ANY_CURRENCY, strict: FLAG };

export type OpenLedger = { readonly kind: "open_ledger" } & ValuesOf<typeof OPEN_LEDGER_FIELDS>;

export function openLedger(view: LedgerView, command: OpenLedger): readonly WalletEvent[] {
  if (view.opened) return [];
  const { format, ledger_id, currency, strict } = command;
  return [{ type: "LedgerOpened", format, ledger_id, currency, strict }];
}

/** The opening that wrote these events; undefined for others. */
export function openingThatWrote(events: readonly WalletEvent[]): OpenLedger | undefined {
  const [first, second] = events;
  if (first?.type !== "LedgerOpened" || second) return undefined;
  const { format, ledger_id, currency, strict } = first;
  return { kind: "open_ledger", format, ledger_id, currency, strict };
}
