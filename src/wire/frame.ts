/**
 * The binary frame in which a gateway puts commands on the queue, version 1. Integers are little-endian.
 *
 * | bytes | what |
 * |---|---|
 * | 0–1 | CF 46: no JSON text begins so |
 * | 2 | version, 1 |
 * | 3 | 0 |
 * | 4–19 | origin: the gateway's 128 random bits, drawn at every start |
 * | 20–27 | number of the frame, from 1 at every start |
 * | 28–31 | count of commands, 1 … 8,192 |
 * | 32–35 | CRC-32 (zlib's) of bytes 0–31 and of all from 36 on |
 * | 36– | the commands |
 *
 * A command: kind (1 byte), the lengths of `from`, `to` and `currency` (1 byte each; a currency of
 * length 0 is the ledger's default), id (16), amount (8), then the bytes of `from`, `to`, `currency`.
 * An opening of an account has its name in `to`, `@world` in `from`, and its initial balance as the
 * amount; one of the ledger has its id, its format as the amount, nothing in `from`, and in `to`
 * "strict" or nothing.
 *
 * A frame whose crc does not fit is not a frame. One that is whole but of a version or kind that this
 * node does not know stops the node: another might decide it.
 */

import { crc32 } from "node:zlib";
import { type Money, money } from "../domain/amount.ts";
import type { Command, TransactionKind } from "../domain/commands.ts";
import { MAX_ACCOUNT_LENGTH, MAX_CURRENCY_LENGTH, type TransactionId, WORLD } from "../domain/names.ts";

const MAGIC_0 = 0xcf;
const MAGIC_1 = 0x46;
export const FRAME_VERSION = 1;
export const FRAME_HEADER_BYTES = 36;
const COUNT_AT = 28;
export const CRC_AT = 32;
/** A command's fixed part, and the places in it of its id and its amount. */
export const COMMAND_HEADER_BYTES = 28;
export const ID_AT = 4;
export const AMOUNT_AT = 20;
const FIRST_BUFFER_BYTES = 64 * 1024;
/** The most that one command takes. */
export const MAX_COMMAND_BYTES = COMMAND_HEADER_BYTES + 2 * MAX_ACCOUNT_LENGTH + MAX_CURRENCY_LENGTH;
/** The most commands in a frame; a batch over HTTP holds as many. */
export const MAX_FRAME_COMMANDS = 8_192;

const OPEN_LEDGER = 0;
export const STRICT = "strict";
export const KINDS: readonly (TransactionKind | undefined)[] = [
  undefined,
  "transfer",
  "deposit",
  "withdraw",
  "open_account",
];
export const KIND_NUMBERS = { transfer: 1, deposit: 2, withdraw: 3, open_account: 4 } as const;

/** This node cannot decide what others may be able to decide: it must stop. */
export class UnknownCommand extends Error {
  override readonly name = "UnknownCommand";
}

/** A command's fields as ranges of bytes of `source`, so that none of them becomes a string on the way. */
export interface TransferBytes {
  source: Uint8Array;
  /** -1 where the request leaves the id out. */
  idAt: number;
  fromAt: number;
  fromLength: number;
  toAt: number;
  toLength: number;
  currencyAt: number;
  currencyLength: number;
  /** A safe integer. */
  amount: number;
}

const HEX_VALUE = new Uint8Array(256).fill(255);
for (let value = 0; value < 16; value++) {
  HEX_VALUE["0123456789abcdef".charCodeAt(value)] = value;
  HEX_VALUE["0123456789ABCDEF".charCodeAt(value)] = value;
}

/** Whether the 36 bytes at `at` are a UUID's text. */
export function isUuidText(bytes: Uint8Array, at: number): boolean {
  if (at + 36 > bytes.length) return false;
  for (let i = 0; i < 36; i++) {
    const byte = bytes[at + i] as number;
    if (i === 8 || i === 13 || i === 18 || i === 23 ? byte !== 45 : HEX_VALUE[byte] === 255) return false;
  }
  return true;
}

/** Commands as they stand in a frame, one behind the other. */
export interface EncodedCommands {
  readonly bytes: Uint8Array;
  readonly count: number;
}

/** Encodes commands in a buffer that grows to the largest request. */
export class CommandWriter {
  #buffer = new Uint8Array(FIRST_BUFFER_BYTES);
  #view = new DataView(this.#buffer.buffer);
  #length = 0;
  #count = 0;

  /** Everything since the last call, in bytes of their own. */
  take(): EncodedCommands {
    const encoded = { bytes: this.#buffer.slice(0, this.#length), count: this.#count };
    this.discard();
    return encoded;
  }

  discard(): void {
    this.#length = 0;
    this.#count = 0;
  }

  /** `idSource` holds the id's text at `idAt`: the request, unless its id was made here. */
  addBytes(transfer: TransferBytes, idSource = transfer.source, idAt = transfer.idAt): void {
    const { source, amount, fromLength, toLength, currencyLength } = transfer;
    const at = this.#begin(KIND_NUMBERS.transfer, fromLength, toLength, currencyLength);
    const buffer = this.#buffer;
    let from = idAt;
    for (let byte = 0; byte < 16; byte++) {
      if (byte === 4 || byte === 6 || byte === 8 || byte === 10) from++;
      const high = HEX_VALUE[idSource[from] as number] as number;
      buffer[at + ID_AT + byte] = (high << 4) | (HEX_VALUE[idSource[from + 1] as number] as number);
      from += 2;
    }
    this.#view.setUint32(at + AMOUNT_AT, amount >>> 0, true);
    this.#view.setUint32(at + AMOUNT_AT + 4, (amount / 0x1_0000_0000) >>> 0, true);
    let to = at + COMMAND_HEADER_BYTES;
    to = copy(source, transfer.fromAt, fromLength, buffer, to);
    to = copy(source, transfer.toAt, toLength, buffer, to);
    this.#length = copy(source, transfer.currencyAt, currencyLength, buffer, to);
  }

  add(command: Command): void {
    if (command.kind === "open_ledger") {
      const strict = command.strict ? STRICT : "";
      this.#addText(OPEN_LEDGER, command.ledger_id, "", strict, command.currency, money(command.format));
      return;
    }
    const kind = KIND_NUMBERS[command.kind];
    if (command.kind === "open_account") {
      this.#addText(
        kind,
        command.transaction_id,
        WORLD,
        command.account,
        command.currency,
        command.initial_balance,
      );
      return;
    }
    const { transaction_id, from_account, to_account, currency, amount } = command;
    this.#addText(kind, transaction_id, from_account, to_account, currency, amount);
  }

  #addText(kind: number, id: string, from: string, to: string, currency: string, amount: Money): void {
    const at = this.#begin(kind, from.length, to.length, currency.length);
    const hex = id.replaceAll("-", "");
    for (let byte = 0; byte < 16; byte++) {
      this.#buffer[at + ID_AT + byte] = Number.parseInt(hex.slice(2 * byte, 2 * byte + 2), 16);
    }
    this.#view.setBigUint64(at + AMOUNT_AT, BigInt(amount), true);
    let position = at + COMMAND_HEADER_BYTES;
    for (const text of [from, to, currency]) {
      for (let i = 0; i < text.length; i++) this.#buffer[position++] = text.charCodeAt(i);
    }
    this.#length = position;
  }

  #begin(kind: number, fromLength: number, toLength: number, currencyLength: number): number {
    const at = this.#length;
    if (at + MAX_COMMAND_BYTES > this.#buffer.length) {
      const larger = new Uint8Array(this.#buffer.length * 2);
      larger.set(this.#buffer);
      this.#buffer = larger;
      this.#view = new DataView(larger.buffer);
    }
    this.#buffer[at] = kind;
    this.#buffer[at + 1] = fromLength;
    this.#buffer[at + 2] = toLength;
    this.#buffer[at + 3] = currencyLength;
    this.#count++;
    return at;
  }
}

function copy(source: Uint8Array, at: number, length: number, target: Uint8Array, to: number): number {
  for (let i = 0; i < length; i++) target[to + i] = source[at + i] as number;
  return to + length;
}

/** Puts encoded commands into a frame; all their counts together are at most MAX_FRAME_COMMANDS. */
export function buildFrame(
  origin: Uint8Array,
  number: number,
  commands: readonly EncodedCommands[],
): Uint8Array {
  let length = FRAME_HEADER_BYTES;
  let count = 0;
  for (const part of commands) {
    length += part.bytes.length;
    count += part.count;
  }
  const frame = new Uint8Array(length);
  const view = new DataView(frame.buffer);
  frame[0] = MAGIC_0;
  frame[1] = MAGIC_1;
  frame[2] = FRAME_VERSION;
  frame.set(origin, 4);
  view.setBigUint64(20, BigInt(number), true);
  view.setUint32(COUNT_AT, count, true);
  let at = FRAME_HEADER_BYTES;
  for (const { bytes } of commands) {
    frame.set(bytes, at);
    at += bytes.length;
  }
  view.setUint32(CRC_AT, frameCrc(frame), true);
  return frame;
}

/** How many commands a whole frame has. */
export function frameCount(frame: Uint8Array): number {
  return new DataView(frame.buffer, frame.byteOffset).getUint32(COUNT_AT, true);
}

/** Cuts commands into parts of at most `maxBytes` each, which must be at least MAX_COMMAND_BYTES. */
export function splitCommands({ bytes, count }: EncodedCommands, maxBytes: number): EncodedCommands[] {
  if (bytes.length <= maxBytes) return [{ bytes, count }];
  const parts: EncodedCommands[] = [];
  let from = 0;
  let partCount = 0;
  let at = 0;
  for (let index = 0; index < count; index++) {
    const end = commandEnd(bytes, at);
    if (end - from > maxBytes) {
      parts.push({ bytes: bytes.subarray(from, at), count: partCount });
      from = at;
      partCount = 0;
    }
    partCount++;
    at = end;
  }
  parts.push({ bytes: bytes.subarray(from, at), count: partCount });
  return parts;
}

/** The ids of encoded commands, in order. */
export function* transactionIds({ bytes, count }: EncodedCommands): Generator<TransactionId> {
  let at = 0;
  for (let index = 0; index < count; index++) {
    yield uuid(bytes, at + ID_AT);
    at = commandEnd(bytes, at);
  }
}

function commandEnd(bytes: Uint8Array, at: number): number {
  return (
    at +
    COMMAND_HEADER_BYTES +
    (bytes[at + 1] as number) +
    (bytes[at + 2] as number) +
    (bytes[at + 3] as number)
  );
}

/** Whether a message claims to be a frame (anything else is JSON of an outside client). */
export function looksLikeFrame(message: Uint8Array): boolean {
  return message[0] === MAGIC_0 && message[1] === MAGIC_1;
}

export function frameCrc(frame: Uint8Array): number {
  return crc32(frame.subarray(FRAME_HEADER_BYTES), crc32(frame.subarray(0, CRC_AT)));
}

const HEX_DIGITS = Buffer.from("0123456789abcdef");
const text = Buffer.alloc(36);

/** The text of 16 bytes: 32 digits, with dashes 36. */
export function hex(bytes: Uint8Array, from: number, dashes: boolean): string {
  let to = 0;
  for (let i = 0; i < 16; i++) {
    if (dashes && (i === 4 || i === 6 || i === 8 || i === 10)) text[to++] = 45;
    const byte = bytes[from + i] as number;
    text[to++] = HEX_DIGITS[byte >> 4] as number;
    text[to++] = HEX_DIGITS[byte & 15] as number;
  }
  return text.toString("latin1", 0, to);
}

/** The text of the 16 bytes at `at`. */
export function uuid(bytes: Uint8Array, at: number): TransactionId {
  return hex(bytes, at, true) as TransactionId;
}
