/**
 * Reads the two lines of a committed transfer straight from the log's bytes.
 *
 * Hot path of replay: takes the lines that encoder.ts writes for a transfer of a safe integer in the default
 * currency, and no other spelling. Whatever differs in one byte, does not fit or does not follow is left where
 * it is, for line.ts and reader.ts to judge: they are the specification, and say all that is ever said about a
 * line. What is taken here they would take, to the same effect.
 *
 * Templates are compared eight bytes at a time; no string, object or event is made a line (measured at
 * 0.25 µs a transfer, the crc's 0.11 included, where JSON.parse and events take 7).
 */

import { crc32 } from "node:zlib";
import { MAX_ACCOUNT_LENGTH } from "../domain/names.ts";
import type { LogPosition } from "../ports/log-position.ts";
import type { LoggedTransfers } from "../ports/logged-transfers.ts";

/** Longer than any two lines that are taken; reading on behind the bytes that are there does no harm. */
const MAX_LINES_BYTES = 1 << 10;
/** Visited together, so that look-ups in memory do not wait for one another. */
const MAX_COUNT = 32;
const INT32_DIGITS = 9;
const MAX_DIGITS = 15;
const QUOTE = 34;
const DASH = 45;
const DOT = 46;
const BRACE = 125;
const NEWLINE = 10;
const UUID_LENGTH = 36;

/** ASCII text as little-endian integers of four characters, one after the other, and of its last four. */
interface Template {
  readonly words: Int32Array;
  readonly last: number;
  readonly length: number;
}

const SEQ = template('{"seq":');
const DEDUCTED = template(',"type":"MoneyDeducted","transaction_id":"');
const CREDITED = template(',"type":"MoneyCredited","transaction_id":"');
const ACCOUNT = template('","account":"');
const AMOUNT = template('","amount":');
const AT = template(',"at":');
const COMMAND = template(',"command":"');
const CRC = template('","crc":"');

/** The value of two lower-case hex digits, by their characters as a little-endian integer; −1 for others. */
const HEX_PAIRS = new Int16Array(1 << 16).fill(-1);
for (let value = 0; value < 256; value++) {
  const text = value.toString(16).padStart(2, "0");
  HEX_PAIRS[text.charCodeAt(0) | (text.charCodeAt(1) << 8)] = value;
}

export class TransferLines implements LoggedTransfers {
  count = 0;
  seq = 0;
  bytes: Uint8Array = new Uint8Array();
  readonly payerAt = new Int32Array(MAX_COUNT);
  readonly payerEnd = new Int32Array(MAX_COUNT);
  readonly receiverAt = new Int32Array(MAX_COUNT);
  readonly receiverEnd = new Int32Array(MAX_COUNT);
  readonly amounts = new Float64Array(MAX_COUNT);
  readonly ids = new Int32Array(4 * MAX_COUNT);
  readonly ends = new Float64Array(MAX_COUNT);
  readonly crcs = new Uint32Array(MAX_COUNT);
  readonly #ats = new Float64Array(MAX_COUNT);
  readonly #sequences = new Float64Array(MAX_COUNT);
  readonly #indexes = new Float64Array(MAX_COUNT);
  /** The same bytes, by four. */
  #words: Int32Array = new Int32Array(0);
  /** After a transfer that did not go the short way few are read ahead, for they are read again. */
  #most = 1;
  /** What the last line that was read says of its command, and where its crc stands. */
  #at = 0;
  #sequence = 0;
  #index = 0;
  #crc = 0;
  #crcAt = 0;
  /** `,"at":…,"command":"….` of the lines before: most have the same. */
  #stampAt = 0;
  #stampLength = 0;
  /** Behind the number that was read last. */
  #digitsEnd = 0;

  /**
   * `visit` returns how many it has taken, from the first on. It has changed nothing for the others: the next
   * one is to be read as events.
   */
  constructor(private readonly visit: (transfers: LoggedTransfers) => number) {}

  /**
   * Takes the transfers that stand from `from` on and end within `length`, one after the other. The log ends
   * at `before` there; returns where it ends with them.
   */
  take(bytes: Uint8Array, from: number, length: number, before: LogPosition): LogPosition {
    if (bytes !== this.bytes) {
      this.bytes = bytes;
      this.#words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2);
    }
    this.#stampLength = 0;
    let position = before;
    for (;;) {
      this.#fill(before.bytes - from, length, position);
      if (this.count === 0) return position;
      const taken = this.visit(this);
      if (taken > 0) position = this.#after(taken - 1, before.ledgerId);
      if (taken < this.count) {
        this.#most = 1;
        return position;
      }
      this.#most = Math.min(2 * this.#most, MAX_COUNT);
    }
  }

  /** Reads what follows `position`; the log's byte `base` is the buffer's first. */
  #fill(base: number, length: number, position: LogPosition): void {
    const bytes = this.bytes;
    let { seq, sequence, index, crc, at } = position;
    let place = position.bytes - base;
    let count = 0;
    this.seq = seq;
    while (count < this.#most && place + MAX_LINES_BYTES <= bytes.length) {
      const next = this.#read(place, seq, count);
      if (next < 0 || next > length) break;
      if (this.#sequence < sequence || (this.#sequence === sequence && this.#index <= index)) break;
      if (this.#at < at) break;
      if (crc32(bytes.subarray(place, this.#crcAt), crc) !== this.#crc) break;
      seq += 2;
      this.#sequences[count] = sequence = this.#sequence;
      this.#indexes[count] = index = this.#index;
      this.#ats[count] = at = this.#at;
      this.crcs[count] = crc = this.#crc;
      this.ends[count] = base + next;
      place = next;
      count++;
    }
    this.count = count;
  }

  /** Where the log ends with the transfer `number` of those that were read. */
  #after(number: number, ledgerId: LogPosition["ledgerId"]): LogPosition {
    return {
      seq: this.seq + 2 * (number + 1),
      bytes: this.ends[number] as number,
      sequence: this.#sequences[number] as number,
      index: this.#indexes[number] as number,
      crc: this.crcs[number] as number,
      at: this.#ats[number] as number,
      ledgerId,
    };
  }

  /**
   * Reads the two lines that begin at `start`, after event `seq`, as the transfer `number`. Returns the place
   * behind them; −1 where there are others.
   */
  #read(start: number, seq: number, number: number): number {
    const id = this.#lineStart(start, seq + 1, DEDUCTED);
    if (id < 0 || !this.#readId(id, 4 * number)) return -1;
    const payerEnd = this.#nameEnd(id + UUID_LENGTH);
    if (payerEnd < 0) return -1;
    const amount = this.#integer(payerEnd + AMOUNT.length);
    if (amount <= 0 || !this.#braceEnds(this.#digitsEnd)) return -1;

    const again = this.#lineStart(this.#digitsEnd + 2, seq + 2, CREDITED);
    if (again < 0 || !same(this.bytes, again, id, UUID_LENGTH)) return -1;
    const receiverEnd = this.#nameEnd(again + UUID_LENGTH);
    if (receiverEnd < 0 || this.#integer(receiverEnd + AMOUNT.length) !== amount) return -1;
    this.payerAt[number] = id + UUID_LENGTH + ACCOUNT.length;
    this.payerEnd[number] = payerEnd;
    this.receiverAt[number] = again + UUID_LENGTH + ACCOUNT.length;
    this.receiverEnd[number] = receiverEnd;
    this.amounts[number] = amount;
    return this.#readEnd(this.#digitsEnd);
  }

  /** The place of the id of a line of the event `seq` that begins so; −1 where it does not. */
  #lineStart(at: number, seq: number, type: Template): number {
    const words = this.#words;
    if (!stands(words, at, SEQ) || this.#integer(at + SEQ.length) !== seq) return -1;
    const typeAt = this.#digitsEnd;
    return stands(words, typeAt, type) ? typeAt + type.length : -1;
  }

  /** Reads `at`, `command` and `crc`, which begin at `place`; the place behind the line, −1 where they do not. */
  #readEnd(place: number): number {
    const words = this.#words;
    if (this.#stampLength === 0 || !same(this.bytes, place, this.#stampAt, this.#stampLength)) {
      this.#stampLength = 0;
      if (!this.#readStamp(place)) return -1;
    }
    this.#stampAt = place;
    this.#index = this.#integer(place + this.#stampLength);
    const crcAt = this.#digitsEnd;
    // The index has no more digits than line.ts takes.
    if (this.#index < 0 || crcAt - place - this.#stampLength > 10) return -1;
    if (!stands(words, crcAt, CRC)) return -1;
    this.#crcAt = crcAt + 1;
    const digits = crcAt + CRC.length;
    const high = wordAt(words, digits);
    const low = wordAt(words, digits + 4);
    if ((valid(high) | valid(low)) < 0) return -1;
    this.#crc = ((hex(high) << 16) | hex(low)) >>> 0;
    if (this.bytes[digits + 8] !== QUOTE || !this.#braceEnds(digits + 9)) return -1;
    return digits + 11;
  }

  #readStamp(place: number): boolean {
    const words = this.#words;
    if (!stands(words, place, AT)) return false;
    this.#at = this.#integer(place + AT.length);
    if (this.#at < 0 || !stands(words, this.#digitsEnd, COMMAND)) return false;
    this.#sequence = this.#integer(this.#digitsEnd + COMMAND.length);
    if (this.#sequence <= 0 || this.bytes[this.#digitsEnd] !== DOT) return false;
    this.#stampLength = this.#digitsEnd + 1 - place;
    return true;
  }

  /** Where the name ends that `","account":"` at `at` begins and `","amount":` follows; −1 without them. */
  #nameEnd(at: number): number {
    const bytes = this.bytes;
    const words = this.#words;
    if (!stands(words, at, ACCOUNT)) return -1;
    let end = at + ACCOUNT.length;
    const most = end + MAX_ACCOUNT_LENGTH;
    while (end < most && bytes[end] !== QUOTE) end++;
    return stands(words, end, AMOUNT) ? end : -1;
  }

  /** The integer whose plain digits stand at `at`, `#digitsEnd` behind them; −1 for none, or for too many. */
  #integer(at: number): number {
    const bytes = this.bytes;
    let value = 0;
    let end = at;
    for (const most = at + INT32_DIGITS; end < most; end++) {
      const digit = (bytes[end] as number) - 48;
      if (digit >>> 0 > 9) break;
      value = (value * 10 + digit) | 0;
    }
    this.#digitsEnd = end;
    const length = end - at;
    if (length === 0 || (bytes[at] === 48 && length > 1)) return -1;
    return length < INT32_DIGITS ? value : this.#longInteger(at, value);
  }

  #longInteger(at: number, first: number): number {
    const bytes = this.bytes;
    let value = first;
    let end = at + INT32_DIGITS;
    for (const most = at + MAX_DIGITS + 1; end < most; end++) {
      const digit = (bytes[end] as number) - 48;
      if (digit >>> 0 > 9) break;
      value = value * 10 + digit;
    }
    this.#digitsEnd = end;
    return end - at > MAX_DIGITS ? -1 : value;
  }

  /** Whether a UUID in lower case stands at `at`, which goes to `to` of the ids then. */
  #readId(at: number, to: number): boolean {
    const bytes = this.bytes;
    const words = this.#words;
    if (bytes[at + 8] !== DASH || bytes[at + 13] !== DASH) return false;
    if (bytes[at + 18] !== DASH || bytes[at + 23] !== DASH) return false;
    const a = wordAt(words, at);
    const b = wordAt(words, at + 4);
    const c = wordAt(words, at + 9);
    const d = wordAt(words, at + 14);
    const e = wordAt(words, at + 19);
    const f = wordAt(words, at + 24);
    const g = wordAt(words, at + 28);
    const h = wordAt(words, at + 32);
    const ids = this.ids;
    ids[to] = (hex(a) << 16) | hex(b);
    ids[to + 1] = (hex(c) << 16) | hex(d);
    ids[to + 2] = (hex(e) << 16) | hex(f);
    ids[to + 3] = (hex(g) << 16) | hex(h);
    return (valid(a) | valid(b) | valid(c) | valid(d) | valid(e) | valid(f) | valid(g) | valid(h)) >= 0;
  }

  /** Whether a line ends at `at` with its brace. */
  #braceEnds(at: number): boolean {
    return this.bytes[at] === BRACE && this.bytes[at + 1] === NEWLINE;
  }
}

/** The four bytes at `at`, as a little-endian integer. */
function wordAt(words: Int32Array, at: number): number {
  const shift = (at & 3) << 3;
  const from = at >> 2;
  // In two steps, for a shift by 32 is none.
  return ((words[from] as number) >>> shift) | (((words[from + 1] as number) << 1) << (31 - shift));
}

/** Of four characters: negative where one is no hex digit in lower case. */
function valid(word: number): number {
  return (HEX_PAIRS[word & 0xffff] as number) | (HEX_PAIRS[word >>> 16] as number);
}

/** The 16 bits that four hex digits say. */
function hex(word: number): number {
  return ((HEX_PAIRS[word & 0xffff] as number) << 8) | (HEX_PAIRS[word >>> 16] as number);
}

/** Whether the template stands at `at`. */
function stands(words: Int32Array, at: number, template: Template): boolean {
  const expected = template.words;
  for (let i = 0; i < expected.length; i++) if (wordAt(words, at + 4 * i) !== expected[i]) return false;
  return wordAt(words, at + template.length - 4) === template.last;
}

/** Whether the `length` bytes at `at` are those at `other`. */
function same(bytes: Uint8Array, at: number, other: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[at + i] !== bytes[other + i]) return false;
  return true;
}

function template(ascii: string): Template {
  const bytes = Buffer.from(ascii, "latin1");
  const words = Int32Array.from({ length: ascii.length >> 2 }, (_, i) => bytes.readInt32LE(4 * i));
  return { words, last: bytes.readInt32LE(ascii.length - 4), length: ascii.length };
}
