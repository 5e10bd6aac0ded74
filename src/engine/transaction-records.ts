/**
 * What was decided about each transaction, 44 bytes a record, in the order in which it was decided.
 *
 * Records lie in segments of one size, of which the first grows up to it; none ever changes. Names of accounts and
 * currencies stand beside them, each once.
 */

import { money } from "../domain/amount.ts";
import { KIND_NUMBERS, KINDS_BY_NUMBER } from "../domain/kinds.ts";
import type { DecidedTransaction } from "../domain/ledger.ts";
import type { TransactionId } from "../domain/names.ts";
import { REJECTIONS_BY_NUMBER, rejectionNumber } from "../domain/rejections.ts";

/** A record, in 32-bit integers; copies of records and snapshots have them as they are. */
export const RECORD_INTS = 11;
/** Records that are kept together: what paste() is given in such parts it keeps as it is. */
export const SEGMENT_RECORDS = 1 << 15;
/** How large the first segment begins: a small ledger needs no more. */
const FIRST_RECORDS = 1 << 8;

// The layout of a record, in 32-bit integers.
const ID = 0; // 4
const FROM = 4;
const TO = 5;
const AMOUNT = 6; // 2
const CURRENCY = 8;
const SEQ = 9; // 2; above a seq's 53 bits, the kind's number − 1 (4 bits) and the rejection's number, or 0 (7 bits)
const KIND_SHIFT = 21;
const REJECTION_SHIFT = 25;

/** Strings as small numbers. */
class Names<T extends string> {
  readonly #numbers = new Map<T, number>();
  readonly #names: T[] = [];
  #lastName: T | undefined;
  #lastNumber = 0;

  number(name: T): number {
    if (name === this.#lastName) return this.#lastNumber;
    let number = this.#numbers.get(name);
    if (number === undefined) {
      number = this.#names.length;
      this.#numbers.set(name, number);
      this.#names.push(name);
    }
    this.#lastName = name;
    this.#lastNumber = number;
    return number;
  }

  /** The name as it is kept, where it is. */
  known(name: T): T | undefined {
    const number = this.#numbers.get(name);
    return number === undefined ? undefined : this.#names[number];
  }

  get count(): number {
    return this.#names.length;
  }

  /** The names from a number on, at most so many, in the order of their numbers. */
  from(number: number, count: number): readonly T[] {
    return this.#names.slice(number, number + count);
  }

  name(number: number): T {
    const name = this.#names[number];
    if (name === undefined) throw new RangeError(`no name has the number ${number}`);
    return name;
  }
}

/** A record's place in its segment. */
export function placeOf(number: number): number {
  return (number % SEGMENT_RECORDS) * RECORD_INTS;
}

export class TransactionRecords {
  readonly accounts = new Names<DecidedTransaction["from_account"]>();
  readonly currencies = new Names<DecidedTransaction["currency"]>();
  readonly #segments: Int32Array<ArrayBuffer>[] = [];
  #size = 0;
  /** For how many records there are segments. */
  #room = 0;

  get size(): number {
    return this.#size;
  }

  /** The segment of a record, whose place in it placeOf() gives: first the id, as four big-endian integers. */
  segmentOf(number: number): Int32Array {
    return this.#segments[(number / SEGMENT_RECORDS) | 0] as Int32Array;
  }

  /** Appends a committed transfer under the id `key`; accounts by their numbers. */
  appendTransfer(
    key: Int32Array,
    from: number,
    to: number,
    amount: number,
    currency: DecidedTransaction["currency"],
    seq: number,
  ): void {
    const segment = this.#begin(key);
    const at = (this.#size % SEGMENT_RECORDS) * RECORD_INTS;
    segment[at + FROM] = from;
    segment[at + TO] = to;
    segment[at + AMOUNT] = amount;
    segment[at + AMOUNT + 1] = amount / 0x1_0000_0000;
    segment[at + CURRENCY] = this.currencies.number(currency);
    segment[at + SEQ] = seq;
    segment[at + SEQ + 1] = seq / 0x1_0000_0000; // a transfer's kind is 0 here, and 0 is no rejection
    this.#size++;
  }

  /** Appends what was decided under the id `key`. */
  append(
    key: Int32Array,
    { kind, from_account, to_account, amount, currency, reason, seq }: DecidedTransaction,
  ): void {
    const segment = this.#begin(key);
    const at = (this.#size % SEGMENT_RECORDS) * RECORD_INTS;
    segment[at + FROM] = this.accounts.number(from_account);
    segment[at + TO] = this.accounts.number(to_account);
    if (typeof amount === "number") {
      segment[at + AMOUNT] = amount;
      segment[at + AMOUNT + 1] = amount / 0x1_0000_0000;
    } else {
      segment[at + AMOUNT] = Number(BigInt.asIntN(32, amount));
      segment[at + AMOUNT + 1] = Number(BigInt.asIntN(32, (amount as bigint) >> 32n));
    }
    segment[at + CURRENCY] = this.currencies.number(currency);
    segment[at + SEQ] = seq;
    segment[at + SEQ + 1] =
      (seq / 0x1_0000_0000) |
      ((KIND_NUMBERS[kind] - 1) << KIND_SHIFT) |
      (rejectionNumber(reason) << REJECTION_SHIFT);
    this.#size++;
  }

  read(number: number): DecidedTransaction {
    const segment = this.segmentOf(number);
    const at = (number % SEGMENT_RECORDS) * RECORD_INTS;
    const top = segment[at + SEQ + 1] as number;
    const kind = KINDS_BY_NUMBER[((top >>> KIND_SHIFT) & 15) + 1];
    if (!kind) throw new RangeError(`record ${number} has no kind`);
    const high = segment[at + AMOUNT + 1] as number;
    const low = (segment[at + AMOUNT] as number) >>> 0;
    return {
      kind,
      from_account: this.accounts.name(segment[at + FROM] as number),
      to_account: this.accounts.name(segment[at + TO] as number),
      amount: money(high < 0x20_0000 ? high * 0x1_0000_0000 + low : (BigInt(high) << 32n) | BigInt(low)),
      currency: this.currencies.name(segment[at + CURRENCY] as number),
      reason: REJECTIONS_BY_NUMBER[top >>> REJECTION_SHIFT],
      seq: (top & 0x1f_ffff) * 0x1_0000_0000 + ((segment[at + SEQ] as number) >>> 0),
    };
  }

  idOf(number: number): TransactionId {
    const at = placeOf(number) + ID;
    const ints = this.segmentOf(number).subarray(at, at + 4);
    const digits = Array.from(ints, (int) => (int >>> 0).toString(16).padStart(8, "0")).join("");
    const parts = [0, 8, 12, 16, 20].map((from, part, all) => digits.slice(from, all[part + 1]));
    return parts.join("-") as TransactionId;
  }

  /** Whether the record of this number is the same in `other`, whatever numbers its names have there. */
  same(number: number, other: TransactionRecords): boolean {
    const at = placeOf(number) + ID;
    const ids = this.segmentOf(number);
    const otherIds = other.segmentOf(number);
    for (let part = 0; part < 4; part++) if (ids[at + part] !== otherIds[at + part]) return false;
    const a = this.read(number);
    const b = other.read(number);
    return (
      a.kind === b.kind &&
      a.from_account === b.from_account &&
      a.to_account === b.to_account &&
      a.amount === b.amount &&
      a.currency === b.currency &&
      a.reason === b.reason &&
      a.seq === b.seq
    );
  }

  /** A copy of the records from a number on, at most so many, RECORD_INTS integers each. */
  copy(number: number, count: number): Int32Array<ArrayBuffer> {
    const end = Math.min(number + count, this.#size);
    const copied = new Int32Array(Math.max(0, end - number) * RECORD_INTS);
    for (let from = number; from < end; ) {
      const taken = Math.min(end - from, SEGMENT_RECORDS - (from % SEGMENT_RECORDS));
      const at = placeOf(from);
      copied.set(this.segmentOf(from).subarray(at, at + taken * RECORD_INTS), (from - number) * RECORD_INTS);
      from += taken;
    }
    return copied;
  }

  /** Puts records that copy() gave behind those that are there. They may be kept as they are. */
  paste(copied: Int32Array<ArrayBuffer>): void {
    if (
      copied.length === SEGMENT_RECORDS * RECORD_INTS &&
      this.#size === this.#segments.length * SEGMENT_RECORDS
    ) {
      this.#segments.push(copied);
      this.#size += SEGMENT_RECORDS;
      this.#room = this.#size;
      return;
    }
    for (let at = 0; at < copied.length; ) {
      const place = placeOf(this.#size);
      const segment = this.#segment();
      const ints = Math.min(copied.length - at, segment.length - place);
      segment.set(copied.subarray(at, at + ints), place);
      this.#size += ints / RECORD_INTS;
      at += ints;
    }
  }

  /** The segment of the next record, with the key in its place. */
  #begin(key: Int32Array): Int32Array {
    const segment = this.#segment();
    const at = placeOf(this.#size);
    for (let part = 0; part < 4; part++) segment[at + ID + part] = key[part] as number;
    return segment;
  }

  /** The segment of the next record. */
  #segment(): Int32Array {
    if (this.#size === this.#room) this.#makeRoom();
    return this.segmentOf(this.#size);
  }

  #makeRoom(): void {
    if (this.#room >= SEGMENT_RECORDS) {
      this.#segments.push(new Int32Array(SEGMENT_RECORDS * RECORD_INTS));
      this.#room += SEGMENT_RECORDS;
      return;
    }
    this.#room = Math.max(FIRST_RECORDS, 2 * this.#room);
    const larger = new Int32Array(this.#room * RECORD_INTS);
    larger.set(this.#segments[0] ?? []);
    this.#segments[0] = larger;
  }
}
