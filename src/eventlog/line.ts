/** Reads one line of events.log back into its event, and checks every field that it has. */

import { type Money, parseAmount, parseBalance } from "../domain/amount.ts";
import { LOG_FORMAT, TRANSACTION_KINDS } from "../domain/commands.ts";
import type { WalletEvent } from "../domain/events.ts";
import {
  type AccountId,
  type Currency,
  parseAccount,
  parseCurrency,
  parseTransactionId,
  type TransactionId,
  WORLD,
} from "../domain/names.ts";
import { REJECTIONS } from "../domain/rejections.ts";

/** The line does not stand as it should. */
export class BadLine extends Error {
  override readonly name = "BadLine";
}

/** The log was written by a newer Coffer: nothing of it may be judged, let alone cut. */
export class NewerFormat extends Error {
  override readonly name = "NewerFormat";
}

/** What a command's last line says of the command. */
export interface CommandEnd {
  readonly at: number;
  readonly sequence: number;
  readonly index: number;
}

export interface Line {
  readonly seq: number;
  readonly event: WalletEvent;
  /** Undefined where the command has more lines. */
  readonly end: CommandEnd | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

const COMMAND = /^([1-9][0-9]{0,15})\.(0|[1-9][0-9]{0,9})$/;

/** `text` without its line end; `currency` is the ledger's default. Throws BadLine, NewerFormat. */
export function parseLine(text: string, currency: Currency | undefined): Line {
  let fields: Fields;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw new SyntaxError("not an object");
    fields = value as Fields;
  } catch {
    throw new BadLine("a JSON object");
  }
  const event = readEvent(fields, text, currency);
  return {
    seq: integer(fields, "seq"),
    event,
    end: "command" in fields || "crc" in fields ? readEnd(fields) : undefined,
  };
}

function readEvent(fields: Fields, text: string, defaultCurrency: Currency | undefined): WalletEvent {
  const type = fields.type;
  if (type === "LedgerOpened") {
    const format = integer(fields, "format");
    if (format > LOG_FORMAT)
      throw new NewerFormat(`events.log has format ${format}; this version reads ${LOG_FORMAT}`);
    if (format < LOG_FORMAT) throw new BadLine(`"format":${LOG_FORMAT}`);
    const ledger_id = id(fields, "ledger_id");
    return {
      type,
      format,
      ledger_id,
      currency: currencyOf(fields, undefined),
      strict: boolean(fields, "strict"),
    };
  }
  const transaction_id = id(fields, "transaction_id");
  const currency = currencyOf(fields, defaultCurrency);
  switch (type) {
    case "MoneyDeducted":
    case "MoneyCredited":
      return {
        type,
        transaction_id,
        account: account(fields, "account"),
        amount: amount(fields, text),
        currency,
      };
    case "AccountOpened":
      return {
        type,
        transaction_id,
        account: account(fields, "account"),
        currency,
        initial_balance: initialBalance(fields, text),
      };
    case "TransactionFailed":
      return {
        type,
        transaction_id,
        from_account: account(fields, "from_account"),
        reason: oneOf(fields, "reason", REJECTIONS),
        kind: oneOf(fields, "kind", TRANSACTION_KINDS),
        to_account: account(fields, "to_account"),
        amount: amount(fields, text),
        currency,
      };
    default:
      throw new BadLine("a type of event that this version knows");
  }
}

function readEnd(fields: Fields): CommandEnd {
  const command = COMMAND.exec(string(fields, "command"));
  if (!command) throw new BadLine('"command" as "<sequence>.<index>"');
  return { at: integer(fields, "at"), sequence: Number(command[1]), index: Number(command[2]) };
}

function string(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== "string") throw new BadLine(`"${name}" as a string`);
  return value;
}

function boolean(fields: Fields, name: string): boolean {
  const value = fields[name];
  if (typeof value !== "boolean") throw new BadLine(`"${name}" as true or false`);
  return value;
}

function integer(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw new BadLine(`"${name}" as an integer`);
  return value;
}

function oneOf<T extends string>(fields: Fields, name: string, values: readonly T[]): T {
  const value = values.find((known) => known === fields[name]);
  if (value === undefined) throw new BadLine(`"${name}" as one of ${values.join(", ")}`);
  return value;
}

function id(fields: Fields, name: string): TransactionId {
  const text = string(fields, name);
  const value = parseTransactionId(text);
  if (!value || value !== text) throw new BadLine(`"${name}" as a UUID in lower case`);
  return value;
}

function account(fields: Fields, name: string): AccountId {
  const text = string(fields, name);
  const value = text === WORLD ? WORLD : parseAccount(text);
  if (!value) throw new BadLine(`"${name}" as an account`);
  return value;
}

function currencyOf(fields: Fields, ifAbsent: Currency | undefined): Currency {
  if (!("currency" in fields) && ifAbsent) return ifAbsent;
  const value = parseCurrency(string(fields, "currency"));
  if (!value) throw new BadLine('"currency" as a currency');
  return value;
}

function amount(fields: Fields, text: string): Money {
  const value = parseAmount(digits(fields, "amount", text));
  if (value === undefined) throw new BadLine('"amount" from 1 to 2^63-1');
  return value;
}

function initialBalance(fields: Fields, text: string): Money {
  const value = parseBalance(digits(fields, "initial_balance", text));
  if (value === undefined) throw new BadLine('"initial_balance" from 0 to 2^63-1');
  return value;
}

/** JSON.parse as ECMAScript has it, whose reviver is told the text of each value; TypeScript does not know yet. */
const parseWithSource = JSON.parse as (
  text: string,
  reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
) => unknown;

/** A number's digits. JSON.parse rounds above 2^53, so there they are taken from the line itself. */
function digits(fields: Fields, name: string, text: string): string {
  const value = fields[name];
  if (typeof value !== "number") throw new BadLine(`"${name}" as an integer`);
  if (Number.isSafeInteger(value)) return String(value);
  const sources = parseWithSource(text, (key, inner, { source }) => (key === name ? source : inner));
  return String((sources as Fields)[name]);
}
