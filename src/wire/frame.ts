/**
 * The binary frame in which a gateway puts commands on the queue, version 2: docs/frames.md has
 * its format.
 *
 * A frame whose crc does not fit is not a frame. One that is whole but of a version or kind that this
 * node does not know stops the node: another might decide it.
 */

import { crc32 } from "node:zlib";
import { type Command, moduleOf, OPEN_LEDGER_FIELDS } from "../domain/commands/commands.ts";
import type { FieldType, FieldTypes } from "../domain/fields.ts";
import { KIND_NUMBERS, TRANSACTION_KINDS, type TransactionKind } from "../domain/kinds.ts";
import type { TransactionId } from "../domain/names.ts";
import { type Cursor, maxBytesOf, uuidText, writeField } from "./field-bytes.ts";

const MAGIC_0 = 0xcf;
const MAGIC_1 = 0x46;
export const VERSION_AT = 2;
export const ORIGIN_AT = 4;
export const ORIGIN_BYTES = 16;
export const FRAME_VERSION = 2;
export const FRAME_HEADER_BYTES = 36;
export const COUNT_AT = 28;
export const CRC_AT = 32;
/** A command: its length in bytes, its kind, and its fields, the id first. */
export const KIND_AT = 4;
export const FIELDS_AT = 8;
export const ID_AT = FIELDS_AT;
/** A transfer has its amount behind the id, then payer, receiver and currency, each with its length before it. */
export const AMOUNT_AT = FIELDS_AT + 16;
export const PAYER_AT = AMOUNT_AT + 8;
const FIRST_BUFFER_BYTES = 64 * 1024;
/** The most commands in a frame; a batch over HTTP holds as many. */
export const MAX_FRAME_COMMANDS = 8_192;
export const OPEN_LEDGER_NUMBER = 0;

/** The fields of a kind of command, in the order in which a frame has them. */
export function fieldsOf(
  kind: TransactionKind | "open_ledger",
): readonly (readonly [string, FieldType<unknown>])[] {
  return FIELDS[kind];
}

const FIELDS = Object.fromEntries(
  (["open_ledger", ...TRANSACTION_KINDS] as const).map((kind) => {
    const fields: FieldTypes = kind === "open_ledger" ? OPEN_LEDGER_FIELDS : moduleOf(kind).fields;
    return [kind, Object.entries(fields)];
  }),
) as unknown as Readonly<
  Record<TransactionKind | "open_ledger", readonly (readonly [string, FieldType<unknown>])[]>
>;

/** The most that one command takes. */
export const MAX_COMMAND_BYTES = Math.max(
  ...Object.values(FIELDS).map((fields) =>
    fields.reduce((bytes, [, type]) => bytes + maxBytesOf(type), FIELDS_AT),
  ),
);

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

  /** Adds a transfer; `idSource` holds the id's text at `idAt`: the request, unless its id was made here. */
  addBytes(transfer: TransferBytes, idSource = transfer.source, idAt = transfer.idAt): void {
    const { source, amount } = transfer;
    const at = this.#begin(KIND_NUMBERS.transfer);
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
    let to = at + PAYER_AT;
    to = copy(source, transfer.fromAt, transfer.fromLength, buffer, to);
    to = copy(source, transfer.toAt, transfer.toLength, buffer, to);
    to = copy(source, transfer.currencyAt, transfer.currencyLength, buffer, to);
    this.#end(at, to);
  }

  add(command: Command): void {
    const { kind } = command;
    const at = this.#begin(kind === "open_ledger" ? OPEN_LEDGER_NUMBER : KIND_NUMBERS[kind]);
    const cursor: Cursor = { bytes: this.#buffer, view: this.#view, at: at + FIELDS_AT };
    const values = command as unknown as Readonly<Record<string, unknown>>;
    for (const [name, type] of FIELDS[kind]) writeField(type, values[name], cursor);
    this.#end(at, cursor.at);
  }

  #begin(kind: number): number {
    const at = this.#length;
    if (at + MAX_COMMAND_BYTES > this.#buffer.length) {
      const larger = new Uint8Array(this.#buffer.length * 2);
      larger.set(this.#buffer);
      this.#buffer = larger;
      this.#view = new DataView(larger.buffer);
    }
    this.#view.setUint32(at + KIND_AT, kind, true);
    return at;
  }

  #end(at: number, end: number): void {
    this.#view.setUint32(at, end - at, true);
    this.#length = end;
    this.#count++;
  }
}

/** Copies a text with its length before it; returns the place behind it. */
function copy(source: Uint8Array, at: number, length: number, target: Uint8Array, to: number): number {
  target[to] = length;
  for (let i = 0; i < length; i++) target[to + 1 + i] = source[at + i] as number;
  return to + 1 + length;
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
  frame[VERSION_AT] = FRAME_VERSION;
  frame.set(origin, ORIGIN_AT);
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
  return at + ((bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16));
}

/** Whether a message claims to be a frame (anything else is JSON of an outside client). */
export function looksLikeFrame(message: Uint8Array): boolean {
  return message[0] === MAGIC_0 && message[1] === MAGIC_1;
}

export function frameCrc(frame: Uint8Array): number {
  return crc32(frame.subarray(FRAME_HEADER_BYTES), crc32(frame.subarray(0, CRC_AT)));
}

/** The text of the 16 bytes at `at`. */
export function uuid(bytes: Uint8Array, at: number): TransactionId {
  return uuidText(bytes, at) as TransactionId;
}
