/**
 * How the values of fields are spelled in frames, by their shape:
 *
 * | shape | bytes |
 * |---|---|
 * | uuid | its 16 bytes, in the order of its text |
 * | integer | 8, unsigned, little-endian |
 * | text | its length (1), and its characters, ASCII |
 * | flag | 1: 0 or 1 |
 *
 * A field that is left out when it is the ledger's default is a text of length 0 then.
 */

import { money } from "../domain/amount.ts";
import type { FieldType } from "../domain/fields.ts";
import type { Currency } from "../domain/names.ts";

const UUID_BYTES = 16;
const INTEGER_BYTES = 8;

/** A place in bytes that are read or written field by field. */
export interface Cursor {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  at: number;
}

/** The most bytes that a field takes. */
export function maxBytesOf({ shape, maxLength = 0 }: FieldType<unknown>): number {
  switch (shape) {
    case "uuid":
      return UUID_BYTES;
    case "integer":
      return INTEGER_BYTES;
    case "text":
      return 1 + maxLength;
    case "flag":
      return 1;
  }
}

/** Writes a value that its type has parsed. */
export function writeField({ shape }: FieldType<unknown>, value: unknown, to: Cursor): void {
  switch (shape) {
    case "uuid": {
      const digits = String(value).replaceAll("-", "");
      for (let byte = 0; byte < UUID_BYTES; byte++)
        to.bytes[to.at + byte] = Number.parseInt(digits.slice(2 * byte, 2 * byte + 2), 16);
      to.at += UUID_BYTES;
      return;
    }
    case "integer":
      to.view.setBigUint64(to.at, BigInt(value as number | bigint), true);
      to.at += INTEGER_BYTES;
      return;
    case "text": {
      const text = String(value);
      to.bytes[to.at++] = text.length;
      for (let i = 0; i < text.length; i++) to.bytes[to.at++] = text.charCodeAt(i);
      return;
    }
    case "flag":
      to.bytes[to.at++] = value === true ? 1 : 0;
      return;
  }
}

/** Reads a value; undefined if it is none of the type's, or does not end before `end`. */
export function readField(
  type: FieldType<unknown>,
  from: Cursor,
  end: number,
  defaultCurrency: Currency | undefined,
): unknown {
  const { bytes, view, at } = from;
  switch (type.shape) {
    case "uuid":
      from.at += UUID_BYTES;
      return from.at > end ? undefined : type.parse(uuidText(bytes, at));
    case "integer":
      from.at += INTEGER_BYTES;
      return from.at > end ? undefined : type.parse(String(money(view.getBigUint64(at, true))));
    case "text": {
      if (at >= end) return undefined;
      const length = bytes[at] as number;
      from.at += 1 + length;
      if (from.at > end) return undefined;
      return length === 0 && type.omitsDefault ? defaultCurrency : type.parse(ascii(bytes, at + 1, from.at));
    }
    case "flag":
      from.at++;
      if (at >= end || (bytes[at] as number) > 1) return undefined;
      return bytes[at] === 1;
  }
}

/** The text of these bytes, each of which is a character. */
export function ascii(bytes: Uint8Array, at: number, end: number): string {
  let text = "";
  for (let i = at; i < end; i++) text += String.fromCharCode(bytes[i] as number);
  return text;
}

const HEX_DIGITS = Buffer.from("0123456789abcdef");
const text = Buffer.alloc(36);

/** The text of the UUID in the 16 bytes at `from`. */
export function uuidText(bytes: Uint8Array, from: number): string {
  let to = 0;
  for (let i = 0; i < UUID_BYTES; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text[to++] = 45;
    const byte = bytes[from + i] as number;
    text[to++] = HEX_DIGITS[byte >> 4] as number;
    text[to++] = HEX_DIGITS[byte & 15] as number;
  }
  return text.toString("latin1", 0, to);
}
