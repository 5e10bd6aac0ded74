/** Tells whether a message of the queue holds the command that the log says was its last. */

import { kindOf } from "../domain/apply.ts";
import type { Command } from "../domain/commands.ts";
import type { WalletEvent } from "../domain/events.ts";
import type { Currency } from "../domain/names.ts";
import type { QueueMessage } from "../ports/command-queue.ts";
import type { LogPosition } from "../ports/log-position.ts";
import { UnknownCommand } from "../wire/frame.ts";
import { readMessage } from "../wire/messages.ts";

/** `events` are those of the command at `position`; `currency` is the ledger's default. */
export function holdsCommand(
  message: QueueMessage,
  position: LogPosition,
  events: readonly WalletEvent[],
  currency: Currency | undefined,
): boolean {
  if (message.sequence !== position.sequence || message.at > position.at) return false;
  const command = commandAt(message.data, position.index, currency);
  const logged = commandOf(events);
  return command !== undefined && logged !== undefined && sameCommand(command, logged);
}

function commandAt(data: Uint8Array, index: number, currency: Currency | undefined): Command | undefined {
  try {
    const content = readMessage(data, currency);
    return content.from === "nobody" ? undefined : content.commands[index];
  } catch (error) {
    // What this node does not know it did not log.
    if (error instanceof UnknownCommand) return undefined;
    throw error;
  }
}

/** The command that wrote these events. */
function commandOf(events: readonly WalletEvent[]): Command | undefined {
  const [first, second] = events;
  switch (first?.type) {
    case "LedgerOpened": {
      const { format, ledger_id, currency, strict } = first;
      return { kind: "open_ledger", format, ledger_id, currency, strict };
    }
    case "AccountOpened": {
      const { transaction_id, account, currency, initial_balance } = first;
      return { kind: "open_account", transaction_id, account, currency, initial_balance };
    }
    case "MoneyDeducted": {
      if (second?.type !== "MoneyCredited") return undefined;
      const { transaction_id, account: from_account, amount, currency } = first;
      const kind = kindOf(from_account, second.account);
      return { kind, transaction_id, from_account, to_account: second.account, amount, currency };
    }
    case "TransactionFailed": {
      const { transaction_id, kind, from_account, to_account, amount, currency } = first;
      if (kind !== "open_account")
        return { kind, transaction_id, from_account, to_account, amount, currency };
      return { kind, transaction_id, account: to_account, currency, initial_balance: amount };
    }
    default:
      return undefined;
  }
}

function sameCommand(a: Command, b: Command): boolean {
  const left = Object.entries(a);
  const right = new Map<string, unknown>(Object.entries(b));
  return left.length === right.size && left.every(([name, value]) => right.get(name) === value);
}
