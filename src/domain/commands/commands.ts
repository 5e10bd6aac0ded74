/** Every command that the ledger can be asked to do: the table of their modules. */

import type { WalletEvent } from "../event-table.ts";
import type { TransactionKind } from "../kinds.ts";
import { REJECTIONS } from "../rejections.ts";
import type { CommandModule } from "./command.ts";
import { deposit, type Transfer, transfer, withdraw } from "./movements.ts";
import { type OpenAccount, openAccount } from "./open-account.ts";
import { type OpenLedger, openingThatWrote } from "./open-ledger.ts";

export type { CommandModule, Debit, Flaw, RequestField } from "./command.ts";
export type { Transfer } from "./movements.ts";
export type { OpenAccount } from "./open-account.ts";
export { LOG_FORMAT, OPEN_LEDGER_FIELDS, type OpenLedger } from "./open-ledger.ts";

/** A command that is decided once, under its transaction id. */
export type TransactionCommand = Transfer | OpenAccount;
export type Command = OpenLedger | TransactionCommand;

const COMMANDS = { transfer, deposit, withdraw, open_account: openAccount } satisfies Record<
  TransactionKind,
  unknown
>;

/** The commands of a kind. */
export type CommandOf<K extends TransactionKind> = K extends "open_account" ? OpenAccount : Transfer;

/** The module of a kind of command. */
export function moduleOf(kind: TransactionKind): CommandModule<TransactionCommand> {
  return COMMANDS[kind] as unknown as CommandModule<TransactionCommand>;
}

const MODULES = (Object.keys(COMMANDS) as TransactionKind[]).map(moduleOf);

/** The reasons that any command can give. Others have numbers for later. */
export const GIVEN_REJECTIONS = REJECTIONS.filter((reason) =>
  MODULES.some(({ rejections }) => rejections.includes(reason)),
);

/** The command that wrote these events; undefined if no command does. */
export function commandThatWrote(events: readonly WalletEvent[]): Command | undefined {
  const [first] = events;
  if (first?.type === "LedgerOpened") return openingThatWrote(events);
  if (first?.type === "TransactionFailed")
    return events.length === 1 ? moduleOf(first.kind).withContent(first.transaction_id, first) : undefined;
  for (const module of MODULES) {
    const command = module.writtenBy(events);
    if (command) return command;
  }
  return undefined;
}
