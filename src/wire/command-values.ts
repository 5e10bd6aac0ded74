/** Commands from the values of their fields. */

import { type Command, LOG_FORMAT, moduleOf, type TransactionCommand } from "../domain/commands/commands.ts";
import type { TransactionKind } from "../domain/kinds.ts";
import { UnknownCommand } from "./frame.ts";

/**
 * The command that has these values, each of which its type has parsed; undefined if they do not go together. Throws
 * UnknownCommand for the opening of a log that only a newer version can write.
 */
export function commandOfValues(
  kind: TransactionKind | "open_ledger",
  values: Readonly<Record<string, unknown>>,
): Command | undefined {
  const command = { kind, ...values } as unknown as Command;
  if (command.kind !== "open_ledger") {
    const { flaw } = moduleOf(command.kind);
    return flaw?.(command as TransactionCommand) ? undefined : command;
  }
  if (command.format > LOG_FORMAT)
    throw new UnknownCommand(`the opening of a log of format ${command.format}`);
  return command.format === LOG_FORMAT ? command : undefined;
}
