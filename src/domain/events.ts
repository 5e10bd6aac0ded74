/** What happened, as events.log has it: types of the rows of event-table.ts. */

import type { EventOf } from "./event-table.ts";

export type { WalletEvent } from "./event-table.ts";

export type LedgerOpened = EventOf<"LedgerOpened">;
export type AccountOpened = EventOf<"AccountOpened">;
export type MoneyDeducted = EventOf<"MoneyDeducted">;
export type MoneyCredited = EventOf<"MoneyCredited">;
export type TransactionFailed = EventOf<"TransactionFailed">;
