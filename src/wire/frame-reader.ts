/**
 * Reads the frames that gateways put on the queue; their layout stands at the head of frame.ts.
 *
 * Hot path: a transfer between accounts that the reader's owner knows is not taken apart. It stays where it
 * is in the message, and none of its fields becomes a string.
 */

import { type Money, money, ZERO } from "../domain/amount.ts";
import { type Command, LOG_FORMAT } from "../domain/commands.ts";
import { type AccountId, type Currency, parseAccount, parseCurrency, WORLD } from "../domain/names.ts";
import {
  AMOUNT_AT,
  COMMAND_HEADER_BYTES,
  CRC_AT,
  FRAME_HEADER_BYTES,
  FRAME_VERSION,
  frameCrc,
  hex,
  ID_AT,
  KIND_NUMBERS,
  KINDS,
  MAX_FRAME_COMMANDS,
  STRICT,
  UnknownCommand,
  uuid,
} from "./frame.ts";

/** A transfer in the ledger's default currency, of an exact amount, between two accounts that are known. */
export interface PlainTransfer {
  readonly kind: "plain_transfer";
  /** Where the command begins in the message. */
  readonly at: number;
  /** The accounts' numbers. */
  readonly payer: number;
  readonly receiver: number;
  /** A safe integer, above 0. */
  readonly amount: number;
}

/** Accounts' numbers by the bytes of their names. */
export interface KnownAccounts {
  find(message: Uint8Array, at: number, end: number): number | undefined;
}

export interface Frame<C = Command> {
  /** 32 hex digits. */
  readonly origin: string;
  readonly number: number;
  readonly commands: readonly C[];
}

/**
 * Reads a frame. `defaultCurrency` is the ledger's. Returns undefined for a message that no gateway wrote
 * (wrong crc, wrong lengths, malformed names). Throws UnknownCommand for a whole frame of another version.
 */
export function readFrame(message: Uint8Array, defaultCurrency: Currency | undefined): Frame | undefined;
/** As above; transfers between accounts that are `known` are left where they are. */
export function readFrame(
  message: Uint8Array,
  defaultCurrency: Currency | undefined,
  known: KnownAccounts,
): Frame<Command | PlainTransfer> | undefined;
export function readFrame(
  message: Uint8Array,
  defaultCurrency: Currency | undefined,
  known?: KnownAccounts,
): Frame<Command | PlainTransfer> | undefined {
  if (message.length < FRAME_HEADER_BYTES) return undefined;
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  if (view.getUint32(CRC_AT, true) !== frameCrc(message)) return undefined;
  if (message[2] !== FRAME_VERSION)
    throw new UnknownCommand(`a frame of version ${message[2]}; this node knows ${FRAME_VERSION}`);
  const count = view.getUint32(28, true);
  if (count > MAX_FRAME_COMMANDS) return undefined;
  const commands: (Command | PlainTransfer)[] = [];
  let at = FRAME_HEADER_BYTES;
  for (let index = 0; index < count; index++) {
    if (at + COMMAND_HEADER_BYTES > message.length) return undefined;
    const kind = message[at] as number;
    if (kind >= KINDS.length) throw new UnknownCommand(`a command of kind ${kind}`);
    const fromLength = message[at + 1] as number;
    const toLength = message[at + 2] as number;
    const currencyLength = message[at + 3] as number;
    const from = at + COMMAND_HEADER_BYTES;
    const to = from + fromLength;
    const currency = to + toLength;
    const end = currency + currencyLength;
    if (end > message.length) return undefined;
    const plain =
      known && kind === KIND_NUMBERS.transfer && isDefault(message, currency, end, defaultCurrency)
        ? readPlain(message, view, at, from, to, currency, known)
        : undefined;
    const command = plain ?? readCommand(message, view, at, kind, from, to, currency, end, defaultCurrency);
    if (!command) return undefined;
    commands.push(command);
    at = end;
  }
  if (at !== message.length) return undefined;
  return { origin: hex(message, 4, false), number: Number(view.getBigUint64(20, true)), commands };
}

/** Undefined where the transfer has to be taken apart, or is none. */
function readPlain(
  message: Uint8Array,
  view: DataView,
  at: number,
  from: number,
  to: number,
  end: number,
  known: KnownAccounts,
): PlainTransfer | undefined {
  const amount = readMoney(view, at + AMOUNT_AT);
  if (typeof amount !== "number" || amount === 0) return undefined;
  const payer = known.find(message, from, to);
  if (payer === undefined) return undefined;
  const receiver = known.find(message, to, end);
  if (receiver === undefined || receiver === payer) return undefined;
  return { kind: "plain_transfer", at, payer, receiver, amount };
}

function isDefault(message: Uint8Array, at: number, end: number, currency: Currency | undefined): boolean {
  if (currency === undefined) return false;
  return at === end || ascii(message, at, end) === currency;
}

function readCommand(
  message: Uint8Array,
  view: DataView,
  at: number,
  kindNumber: number,
  from: number,
  to: number,
  currencyAt: number,
  end: number,
  defaultCurrency: Currency | undefined,
): Command | undefined {
  const currency = end === currencyAt ? defaultCurrency : parseCurrency(ascii(message, currencyAt, end));
  const amount = readMoney(view, at + AMOUNT_AT);
  const kind = KINDS[kindNumber];
  if (!currency || amount === undefined) return undefined;
  const id = uuid(message, at + ID_AT);
  if (!kind) {
    const strict = ascii(message, to, currencyAt);
    if (to !== from || (strict !== STRICT && strict !== "")) return undefined;
    if (amount < LOG_FORMAT) return undefined;
    if (amount > LOG_FORMAT) throw new UnknownCommand(`the opening of a log of format ${amount}`);
    return {
      kind: "open_ledger",
      format: Number(amount),
      ledger_id: id,
      currency,
      strict: strict === STRICT,
    };
  }
  const from_account =
    kind === "transfer" || kind === "withdraw" ? account(message, from, to) : world(message, from, to);
  const to_account = kind === "withdraw" ? world(message, to, currencyAt) : account(message, to, currencyAt);
  if (!from_account || !to_account || from_account === to_account) return undefined;
  if (kind === "open_account") {
    return { kind, transaction_id: id, account: to_account, currency, initial_balance: amount };
  }
  if (amount === ZERO) return undefined;
  return { kind, transaction_id: id, from_account, to_account, amount, currency };
}

function account(message: Uint8Array, at: number, end: number): AccountId | undefined {
  return parseAccount(ascii(message, at, end));
}

function world(message: Uint8Array, at: number, end: number): AccountId | undefined {
  return ascii(message, at, end) === WORLD ? WORLD : undefined;
}

/** The text of these bytes, each of which is a character. */
export function ascii(message: Uint8Array, at: number, end: number): string {
  let text = "";
  for (let i = at; i < end; i++) text += String.fromCharCode(message[i] as number);
  return text;
}

function readMoney(view: DataView, at: number): Money | undefined {
  const high = view.getUint32(at + 4, true);
  if (high < 0x20_0000) return (high * 0x1_0000_0000 + view.getUint32(at, true)) as Money;
  return high < 0x8000_0000 ? money(view.getBigUint64(at, true)) : undefined;
}
