/**
 * Reads the frames that gateways put on the queue: docs/frames.md has their layout.
 *
 * Hot path: a transfer between balances that the reader's owner knows is not taken apart. It stays where it is in the
 * message, and none of its fields becomes a string.
 */

import type { Command } from "../domain/commands/commands.ts";
import { KIND_NUMBERS, KINDS_BY_NUMBER } from "../domain/kinds.ts";
import type { Currency } from "../domain/names.ts";
import { commandOfValues } from "./command-values.ts";
import { readField } from "./field-bytes.ts";
import {
  AMOUNT_AT,
  COUNT_AT,
  CRC_AT,
  FIELDS_AT,
  FRAME_HEADER_BYTES,
  FRAME_VERSION,
  fieldsOf,
  frameCrc,
  KIND_AT,
  MAX_FRAME_COMMANDS,
  OPEN_LEDGER_NUMBER,
  PAYER_AT,
  UnknownCommand,
  VERSION_AT,
} from "./frame.ts";
import { readCommandV1 } from "./frame-v1.ts";

/** An error names so many unknown kinds, and counts all. */
const MAX_NAMED_KINDS = 10;

/** A transfer of an exact amount between two balances that are known, in a currency in which both are open. */
export interface FastTransfer {
  readonly kind: "fast_transfer";
  /** Where the command begins in the message. */
  readonly at: number;
  /** The balances' numbers. */
  readonly payer: number;
  readonly receiver: number;
  /** A safe integer, above 0. */
  readonly amount: number;
}

/** Balances' numbers by the bytes of their accounts and currencies; an empty currency is the default one. */
export interface KnownBalances {
  find(
    message: Uint8Array,
    at: number,
    end: number,
    currencyAt: number,
    currencyEnd: number,
  ): number | undefined;
}

/** What the engine needs of a frame; its origin stays in the message (frame-origins.ts). */
export interface Frame<C = Command> {
  readonly number: number;
  readonly commands: readonly C[];
}

/**
 * Reads a frame. `defaultCurrency` is the ledger's. Returns undefined for a message that no gateway wrote
 * (wrong crc, wrong lengths, malformed names). Throws UnknownCommand for a whole frame of another version, or with
 * commands of kinds that this node does not know.
 */
export function readFrame(message: Uint8Array, defaultCurrency: Currency | undefined): Frame | undefined;
/** As above; transfers between balances that are `known` are left where they are. */
export function readFrame(
  message: Uint8Array,
  defaultCurrency: Currency | undefined,
  known: KnownBalances,
): Frame<Command | FastTransfer> | undefined;
export function readFrame(
  message: Uint8Array,
  defaultCurrency: Currency | undefined,
  known?: KnownBalances,
): Frame<Command | FastTransfer> | undefined {
  if (message.length < FRAME_HEADER_BYTES) return undefined;
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  if (view.getUint32(CRC_AT, true) !== frameCrc(message)) return undefined;
  const version = message[VERSION_AT] as number;
  if (version < 1 || version > FRAME_VERSION)
    throw new UnknownCommand(`a frame of version ${version}; this node reads 1 to ${FRAME_VERSION}`);
  const count = view.getUint32(COUNT_AT, true);
  if (count > MAX_FRAME_COMMANDS) return undefined;
  const commands =
    version === 1
      ? readCommandsV1(message, view, count, defaultCurrency)
      : readCommands(message, view, count, defaultCurrency, known);
  if (!commands) return undefined;
  return { number: Number(view.getBigUint64(20, true)), commands };
}

function readCommands(
  message: Uint8Array,
  view: DataView,
  count: number,
  defaultCurrency: Currency | undefined,
  known: KnownBalances | undefined,
): (Command | FastTransfer)[] | undefined {
  const commands: (Command | FastTransfer)[] = [];
  const unknown: number[] = [];
  let at = FRAME_HEADER_BYTES;
  for (let index = 0; index < count; index++) {
    if (at + FIELDS_AT > message.length) return undefined;
    const length = view.getUint32(at, true);
    const end = at + length;
    if (length < FIELDS_AT || end > message.length) return undefined;
    const kind = view.getUint32(at + KIND_AT, true);
    if (kind !== OPEN_LEDGER_NUMBER && !KINDS_BY_NUMBER[kind]) unknown.push(kind);
    else {
      const fast =
        known && defaultCurrency && kind === KIND_NUMBERS.transfer
          ? readFast(message, view, at, end, defaultCurrency, known)
          : undefined;
      const command = fast ?? readCommand(message, view, at, kind, end, defaultCurrency);
      if (!command) return undefined;
      commands.push(command);
    }
    at = end;
  }
  if (at !== message.length) return undefined;
  if (unknown.length > 0)
    throw new UnknownCommand(
      `${unknown.length} of ${count} commands are of unknown kinds (${[...new Set(unknown)].slice(0, MAX_NAMED_KINDS)})`,
    );
  return commands;
}

/** Undefined if the transfer has to be taken apart, or is none. */
function readFast(
  message: Uint8Array,
  view: DataView,
  at: number,
  end: number,
  defaultCurrency: Currency,
  known: KnownBalances,
): FastTransfer | undefined {
  if (at + PAYER_AT >= end) return undefined;
  const high = view.getUint32(at + AMOUNT_AT + 4, true);
  if (high >= 0x20_0000) return undefined;
  const amount = high * 0x1_0000_0000 + view.getUint32(at + AMOUNT_AT, true);
  if (amount === 0) return undefined;
  const from = at + PAYER_AT + 1;
  const fromEnd = from + (message[from - 1] as number);
  if (fromEnd >= end) return undefined;
  const to = fromEnd + 1;
  const toEnd = to + (message[fromEnd] as number);
  if (toEnd >= end) return undefined;
  const currency = toEnd + 1;
  if (currency + (message[toEnd] as number) !== end) return undefined;
  const currencyAt = isText(message, currency, end, defaultCurrency) ? end : currency;
  const payer = known.find(message, from, fromEnd, currencyAt, end);
  if (payer === undefined) return undefined;
  const receiver = known.find(message, to, toEnd, currencyAt, end);
  if (receiver === undefined || receiver === payer) return undefined;
  return { kind: "fast_transfer", at, payer, receiver, amount };
}

/** Whether these bytes are the text. */
function isText(message: Uint8Array, at: number, end: number, text: string): boolean {
  if (end - at !== text.length) return false;
  for (let i = 0; i < text.length; i++) if (message[at + i] !== text.charCodeAt(i)) return false;
  return true;
}

/** Undefined for a command that no gateway wrote. Throws UnknownCommand. */
function readCommand(
  message: Uint8Array,
  view: DataView,
  at: number,
  kindNumber: number,
  end: number,
  defaultCurrency: Currency | undefined,
): Command | undefined {
  const kind = KINDS_BY_NUMBER[kindNumber] ?? "open_ledger";
  const cursor = { bytes: message, view, at: at + FIELDS_AT };
  const values: Record<string, unknown> = {};
  for (const [name, type] of fieldsOf(kind)) {
    const value = readField(type, cursor, end, defaultCurrency);
    if (value === undefined) return undefined;
    values[name] = value;
  }
  return cursor.at === end ? commandOfValues(kind, values) : undefined;
}

function readCommandsV1(
  message: Uint8Array,
  view: DataView,
  count: number,
  defaultCurrency: Currency | undefined,
): Command[] | undefined {
  const commands: Command[] = [];
  let at = FRAME_HEADER_BYTES;
  for (let index = 0; index < count; index++) {
    const read = readCommandV1(message, view, at, defaultCurrency);
    if (!read) return undefined;
    commands.push(read.command);
    at = read.end;
  }
  return at === message.length ? commands : undefined;
}
