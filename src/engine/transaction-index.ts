/**
 * Every transaction id that was ever decided, with its content and outcome, at 44 bytes a record and
 * 5 to 11 in the table that finds it.
 *
 * Records lie in segments that are never moved and, once full, never change. The table is open addressing
 * over record numbers. It grows without a pause: while the larger table is filled, a few records with
 * every new one, the smaller one still answers.
 */

import { money } from "../domain/amount.ts";
import { TRANSACTION_KINDS } from "../domain/commands.ts";
import type { DecidedTransaction, DecidedTransactions } from "../domain/ledger.ts";
import type { TransactionId } from "../domain/names.ts";
import { REJECTIONS } from "../domain/rejections.ts";

const RECORD_INTS = 11;
const SEGMENT_RECORDS = 1 << 15;
const FIRST_TABLE_SLOTS = 1 << 16;
/** The table grows from this load on; the larger one is ready at GROWTH_LOAD × (1 + 1 / MOVED_PER_RECORD). */
const GROWTH_LOAD = 0.7;
const MOVED_PER_RECORD = 8;

// The layout of a record, in 32-bit integers.
const ID = 0; // 4
const FROM = 4;
const TO = 5;
const AMOUNT = 6; // 2
const CURRENCY = 8;
const SEQ = 9; // 2; above a seq's 53 bits, the kind (4 bits) and the rejection + 1, or 0 (7 bits)
const KIND_SHIFT = 21;
const REJECTION_SHIFT = 25;

/** Strings as small numbers. */
class Names<T extends string> {
  readonly #numbers = new Map<T, number>();
  readonly #names: T[] = [];

  number(name: T): number {
    let number = this.#numbers.get(name);
    if (number === undefined) {
      number = this.#names.length;
      this.#numbers.set(name, number);
      this.#names.push(name);
    }
    return number;
  }

  name(number: number): T {
    const name = this.#names[number];
    if (name === undefined) throw new RangeError(`no name has the number ${number}`);
    return name;
  }
}

const NIBBLE = new Uint8Array(128);
for (let value = 0; value < 16; value++) NIBBLE["0123456789abcdef".charCodeAt(value)] = value;

/** The id as four integers. */
function readKey(id: TransactionId, key: Int32Array): void {
  let at = 0;
  for (let part = 0; part < 4; part++) {
    let bits = 0;
    for (let digits = 0; digits < 8; at++) {
      const code = id.charCodeAt(at);
      if (code === 45) continue;
      bits = (bits << 4) | (NIBBLE[code] as number);
      digits++;
    }
    key[part] = bits;
  }
}

function hash(a: number, b: number, c: number, d: number): number {
  let h = Math.imul(a ^ Math.imul(b, 0x9e3779b1), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 15) ^ c, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 13) ^ d, 0x27d4eb2f);
  return h ^ (h >>> 16);
}

function hashAt(record: Int32Array, at: number): number {
  return hash(
    record[at] as number,
    record[at + 1] as number,
    record[at + 2] as number,
    record[at + 3] as number,
  );
}

export class TransactionIndex implements DecidedTransactions {
  readonly #segments: Int32Array[] = [];
  readonly #accounts = new Names<DecidedTransaction["from_account"]>();
  readonly #currencies = new Names<DecidedTransaction["currency"]>();
  #size = 0;
  /** Record number + 1 by slot; 0 is free. */
  #table = new Int32Array(FIRST_TABLE_SLOTS);
  /** The larger table while it is being filled, and how many records it has. */
  #larger: Int32Array<ArrayBuffer> | undefined;
  #moved = 0;
  /** The id that was looked for last, when, and its slot. */
  readonly #key = new Int32Array(4);
  #lastId: TransactionId | undefined;
  #lastSize = -1;
  #lastSlot = 0;

  get size(): number {
    return this.#size;
  }

  find(id: TransactionId): DecidedTransaction | undefined {
    const number = (this.#table[this.#slotOf(id)] as number) - 1;
    return number < 0 ? undefined : this.#read(number);
  }

  /** Throws RangeError where the id was recorded before: it was decided twice. */
  record(id: TransactionId, decided: DecidedTransaction): void {
    const slot = this.#slotOf(id);
    if (this.#table[slot] !== 0) throw new RangeError(`transaction ${id} was decided twice`);
    this.#table[slot] = this.#size + 1;
    this.#write(decided);
    this.#grow();
  }

  /** The slot that holds the id, or the free one where it belongs; `#key` is the id then. */
  #slotOf(id: TransactionId): number {
    // An id is looked for, and recorded right after: the second time the answer is known.
    if (id === this.#lastId && this.#size === this.#lastSize) return this.#lastSlot;
    readKey(id, this.#key);
    this.#lastId = id;
    this.#lastSize = this.#size;
    this.#lastSlot = this.#find();
    return this.#lastSlot;
  }

  /** The slot of `#key`. */
  #find(): number {
    const table = this.#table;
    const mask = table.length - 1;
    const key = this.#key;
    const a = key[0] as number;
    const b = key[1] as number;
    const c = key[2] as number;
    const d = key[3] as number;
    let slot = hash(a, b, c, d) & mask;
    for (;;) {
      const number = (table[slot] as number) - 1;
      if (number < 0) return slot;
      const segment = this.#segmentOf(number);
      const at = (number % SEGMENT_RECORDS) * RECORD_INTS;
      if (segment[at + 3] === d && segment[at + 2] === c && segment[at + 1] === b && segment[at] === a)
        return slot;
      slot = (slot + 1) & mask;
    }
  }

  #segmentOf(number: number): Int32Array {
    return this.#segments[(number / SEGMENT_RECORDS) | 0] as Int32Array;
  }

  #write({ kind, from_account, to_account, amount, currency, reason, seq }: DecidedTransaction): void {
    const at = (this.#size % SEGMENT_RECORDS) * RECORD_INTS;
    if (at === 0) this.#segments.push(new Int32Array(SEGMENT_RECORDS * RECORD_INTS));
    const segment = this.#segmentOf(this.#size);
    for (let part = 0; part < 4; part++) segment[at + ID + part] = this.#key[part] as number;
    segment[at + FROM] = this.#accounts.number(from_account);
    segment[at + TO] = this.#accounts.number(to_account);
    if (typeof amount === "number") {
      segment[at + AMOUNT] = amount;
      segment[at + AMOUNT + 1] = amount / 0x1_0000_0000;
    } else {
      segment[at + AMOUNT] = Number(BigInt.asIntN(32, amount));
      segment[at + AMOUNT + 1] = Number(BigInt.asIntN(32, (amount as bigint) >> 32n));
    }
    segment[at + CURRENCY] = this.#currencies.number(currency);
    const rejection = reason === undefined ? 0 : REJECTIONS.indexOf(reason) + 1;
    segment[at + SEQ] = seq;
    segment[at + SEQ + 1] =
      (seq / 0x1_0000_0000) |
      (TRANSACTION_KINDS.indexOf(kind) << KIND_SHIFT) |
      (rejection << REJECTION_SHIFT);
    this.#size++;
  }

  #read(number: number): DecidedTransaction {
    const segment = this.#segmentOf(number);
    const at = (number % SEGMENT_RECORDS) * RECORD_INTS;
    const top = segment[at + SEQ + 1] as number;
    const kind = TRANSACTION_KINDS[(top >>> KIND_SHIFT) & 15];
    if (!kind) throw new RangeError(`record ${number} has no kind`);
    const high = segment[at + AMOUNT + 1] as number;
    const low = (segment[at + AMOUNT] as number) >>> 0;
    return {
      kind,
      from_account: this.#accounts.name(segment[at + FROM] as number),
      to_account: this.#accounts.name(segment[at + TO] as number),
      amount: money(high < 0x20_0000 ? high * 0x1_0000_0000 + low : (BigInt(high) << 32n) | BigInt(low)),
      currency: this.#currencies.name(segment[at + CURRENCY] as number),
      reason: REJECTIONS[(top >>> REJECTION_SHIFT) - 1],
      seq: (top & 0x1f_ffff) * 0x1_0000_0000 + ((segment[at + SEQ] as number) >>> 0),
    };
  }

  #grow(): void {
    if (!this.#larger) {
      if (this.#size < this.#table.length * GROWTH_LOAD) return;
      this.#larger = new Int32Array(this.#table.length * 2);
      this.#moved = 0;
    }
    const larger = this.#larger;
    const mask = larger.length - 1;
    const end = Math.min(this.#moved + MOVED_PER_RECORD, this.#size);
    for (let number = this.#moved; number < end; number++) {
      const segment = this.#segmentOf(number);
      const at = (number % SEGMENT_RECORDS) * RECORD_INTS;
      let slot = hashAt(segment, at) & mask;
      while (larger[slot] !== 0) slot = (slot + 1) & mask;
      larger[slot] = number + 1;
    }
    this.#moved = end;
    if (end < this.#size) return;
    this.#table = larger;
    this.#larger = undefined;
  }
}
