/** Tells whether a message of the queue holds the command that the log says was its last. */

import { type Command, commandThatWrote } from "../domain/commands/commands.ts";
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
  const logged = commandThatWrote(events);
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

function sameCommand(a: Command, b: Command): boolean {
  const left = Object.entries(a);
  const right = new Map<string, unknown>(Object.entries(b));
  return left.length === right.size && left.every(([name, value]) => right.get(name) === value);
}
