/** Reads one line of events.log back into its event, and checks every field that it has. */

import { LOG_FORMAT } from "../domain/commands/commands.ts";
import { EVENT_FIELDS, type EventType, type WalletEvent } from "../domain/event-table.ts";
import type { FieldType } from "../domain/fields.ts";
import type { Currency } from "../domain/names.ts";

const JSON_TYPES = { string: "a string", number: "an integer", boolean: "true or false" } as const;

/** The line does not stand as it should. */
export class BadLine extends Error {
  override readonly name = "BadLine";
}

/** The log was written by a newer Coffer: nothing of it may be judged, let alone cut. */
export class NewerFormat extends Error {
  override readonly name = "NewerFormat";
}

/** What a command's last line says of the command. */
export interface LineEnd {
  readonly at: number;
  readonly sequence: number;
  readonly index: number;
}

export interface Line {
  readonly seq: number;
  readonly event: WalletEvent;
  /** Undefined where the command has more lines. */
  readonly end: LineEnd | undefined;
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
  const { type } = fields;
  if (!isEventType(type)) throw new BadLine("an event type known to this version");
  if (type === "LedgerOpened") checkFormat(integer(fields, "format"));
  const event: Record<string, unknown> = { type };
  for (const [name, field] of EVENT_FIELDS[type]) {
    const isDefault = field.omitsDefault && defaultCurrency !== undefined && !(name in fields);
    event[name] = isDefault ? defaultCurrency : fieldValue(field, name, fields, text);
  }
  return event as WalletEvent;
}

function isEventType(type: unknown): type is EventType {
  return typeof type === "string" && Object.hasOwn(EVENT_FIELDS, type);
}

function checkFormat(format: number): void {
  if (format > LOG_FORMAT)
    throw new NewerFormat(`events.log has format ${format}; this version reads ${LOG_FORMAT}`);
  if (format < LOG_FORMAT) throw new BadLine(`"format":${LOG_FORMAT}`);
}

/** Throws BadLine. */
function fieldValue(field: FieldType<unknown>, name: string, fields: Fields, text: string): unknown {
  const value = fields[name];
  if (typeof value !== field.json) throw new BadLine(`"${name}" as ${JSON_TYPES[field.json]}`);
  const valueText = typeof value === "number" ? digits(value, name, text) : String(value);
  const read = field.parse(valueText);
  if (read === undefined) throw new BadLine(`"${name}" ${field.expected}`);
  return read;
}

function readEnd(fields: Fields): LineEnd {
  const command = COMMAND.exec(string(fields, "command"));
  if (!command) throw new BadLine('"command" as "<sequence>.<index>"');
  return { at: integer(fields, "at"), sequence: Number(command[1]), index: Number(command[2]) };
}

function string(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== "string") throw new BadLine(`"${name}" as a string`);
  return value;
}

function integer(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw new BadLine(`"${name}" as an integer`);
  return value;
}

/** JSON.parse as ECMAScript has it, whose reviver is told the text of each value; TypeScript does not know yet. */
const parseWithSource = JSON.parse as (
  text: string,
  reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
) => unknown;

/** A number's digits. JSON.parse rounds above 2^53, so there they are taken from the line itself. */
function digits(value: number, name: string, text: string): string {
  if (Number.isSafeInteger(value)) return String(value);
  const sources = parseWithSource(text, (key, inner, { source }) => (key === name ? source : inner));
  return String((sources as Fields)[name]);
}
