/**
 * Reads the commands of frames of version 1, which no gateway writes any more: a stream may still hold some from
 * before an upgrade.
 *
 * A command: kind (1 byte), the lengths of `from`, `to` and `currency` (1 each), the id (16), the amount (8), and the
 * three texts. An opening of an account comes `from` @world with its initial balance as amount; an opening of the
 * ledger has its format there and `strict`, or nothing, as `to`.
 */

import { money } from "../domain/amount.ts";
import type { Command } from "../domain/commands/commands.ts";
import { KINDS_BY_NUMBER, type TransactionKind } from "../domain/kinds.ts";
import { type Currency, parseCurrency, WORLD } from "../domain/names.ts";
import { commandOfValues } from "./command-values.ts";
import { ascii, uuidText } from "./field-bytes.ts";
import { fieldsOf, UnknownCommand } from "./frame.ts";

const COMMAND_HEADER_BYTES = 28;
const ID_AT = 4;
const AMOUNT_AT = 20;
const STRICT = "strict";
/** Kinds beyond these were never in version 1. */
const MAX_KIND = 4;

/** The command at `at`, and where it ends; undefined if no gateway wrote it. Throws UnknownCommand. */
export function readCommandV1(
  message: Uint8Array,
  view: DataView,
  at: number,
  defaultCurrency: Currency | undefined,
): { readonly command: Command; readonly end: number } | undefined {
  if (at + COMMAND_HEADER_BYTES > message.length) return undefined;
  const kindNumber = message[at] as number;
  if (kindNumber > MAX_KIND) throw new UnknownCommand(`a command of kind ${kindNumber}`);
  const from = at + COMMAND_HEADER_BYTES;
  const to = from + (message[at + 1] as number);
  const currencyAt = to + (message[at + 2] as number);
  const end = currencyAt + (message[at + 3] as number);
  if (end > message.length) return undefined;
  const currency = end === currencyAt ? defaultCurrency : parseCurrency(ascii(message, currencyAt, end));
  if (!currency) return undefined;
  const command = commandOf(
    kindNumber,
    uuidText(message, at + ID_AT),
    ascii(message, from, to),
    ascii(message, to, currencyAt),
    String(money(view.getBigUint64(at + AMOUNT_AT, true))),
    currency,
  );
  return command && { command, end };
}

function commandOf(
  kindNumber: number,
  id: string,
  from: string,
  to: string,
  amount: string,
  currency: Currency,
): Command | undefined {
  const kind = KINDS_BY_NUMBER[kindNumber];
  if (!kind) {
    if (from !== "" || (to !== STRICT && to !== "")) return undefined;
    return parsed("open_ledger", { ledger_id: id, format: amount, currency, strict: String(to === STRICT) });
  }
  if (kind !== "open_account")
    return parsed(kind, { transaction_id: id, amount, from_account: from, to_account: to, currency });
  if (from !== WORLD) return undefined;
  return parsed(kind, { transaction_id: id, account: to, currency, initial_balance: amount });
}

function parsed(
  kind: TransactionKind | "open_ledger",
  texts: Readonly<Record<string, string>>,
): Command | undefined {
  const values: Record<string, unknown> = {};
  for (const [name, type] of fieldsOf(kind)) {
    const value = type.parse(texts[name] ?? "");
    if (value === undefined) return undefined;
    values[name] = value;
  }
  return commandOfValues(kind, values);
}
