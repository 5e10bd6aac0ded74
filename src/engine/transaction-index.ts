/**
 * Every transaction id that was ever decided, with its content and outcome, at 44 bytes a record and
 * 5 to 17 in the table that finds it (11 at most, but while it grows).
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
/** The most that is taken on trust. */
const MAX_EXPECTED_SLOTS = 1 << 28;
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

/** Two 32-bit integers. With random ones, nobody can choose ids whose slots collide. */
export type HashKey = readonly [number, number];

/** HalfSipHash-1-3 (Aumasson and Bernstein; as Linux has it for hash tables), of the four integers at `at`. */
function hash(key: HashKey, ints: Int32Array, at: number): number {
  let v0 = key[0];
  let v1 = key[1];
  let v2 = 0x6c796765 ^ key[0];
  let v3 = 0x74656462 ^ key[1];
  // Four words, the length's, and three rounds to finish.
  for (let round = 0; round < 8; round++) {
    const word = round < 4 ? (ints[at + round] as number) : round === 4 ? 16 << 24 : 0;
    if (round < 5) v3 ^= word;
    else if (round === 5) v2 ^= 0xff;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    if (round < 5) v0 ^= word;
  }
  return v1 ^ v3;
}

export class TransactionIndex implements DecidedTransactions {
  readonly #segments: Int32Array[] = [];
  readonly #accounts = new Names<DecidedTransaction["from_account"]>();
  readonly #currencies = new Names<DecidedTransaction["currency"]>();
  #size = 0;
  /**
   * Entries: 0 is free; else the record's number + 1 in as many low bits as the table's size takes, and above
   * them those bits of the id's hash: nearly every other id is told apart without a look at its record.
   */
  #table = new Int32Array(FIRST_TABLE_SLOTS);
  /** The larger table while it is being filled, and how many records it has. */
  #larger: Int32Array<ArrayBuffer> | undefined;
  #moved = 0;
  /** The id that was looked for last, the hash's part of its entry, when, and its slot. */
  readonly #key = new Int32Array(4);
  #tag = 0;
  #lastId: TransactionId | undefined;
  #lastSize = -1;
  #lastSlot = 0;
  /** Of the ids that look() was given: the hashes, and what stood at their slots, which may have changed since. */
  #hashes = new Int32Array(0);
  #entries = new Int32Array(0);

  constructor(private readonly hashKey: HashKey) {}

  get size(): number {
    return this.#size;
  }

  /** Makes room in the table for about so many ids, so that it need not grow while they come; before the first. */
  expect(ids: number): void {
    if (this.#size > 0) return;
    let slots = FIRST_TABLE_SLOTS;
    while (slots * GROWTH_LOAD < ids && slots < MAX_EXPECTED_SLOTS) slots *= 2;
    this.#table = new Int32Array(slots);
  }

  find(id: TransactionId): DecidedTransaction | undefined {
    const entry = this.#table[this.#slotOf(id)] as number;
    return entry === 0 ? undefined : this.#read((entry & (this.#table.length - 1)) - 1);
  }

  /** Throws RangeError where the id was recorded before: it was decided twice. */
  record(id: TransactionId, decided: DecidedTransaction): void {
    const slot = this.#slotOf(id);
    if (this.#table[slot] !== 0) throw new RangeError(`transaction ${id} was decided twice`);
    this.#table[slot] = this.#tag | (this.#size + 1);
    this.#write(decided);
    this.#grow();
  }

  /** Whether nothing was recorded yet under the id of these 16 bytes; recordTransfer() then does, right after. */
  isNew(bytes: Uint8Array, at: number): boolean {
    for (let part = 0; part < 4; part++) {
      const from = at + 4 * part;
      this.#key[part] =
        ((bytes[from] as number) << 24) |
        ((bytes[from + 1] as number) << 16) |
        ((bytes[from + 2] as number) << 8) |
        (bytes[from + 3] as number);
    }
    this.#lastId = undefined;
    this.#lastSize = this.#size;
    this.#lastSlot = this.#find();
    return this.#table[this.#lastSlot] === 0;
  }

  /**
   * Prepares for isNewId() of these ids, four big-endian integers each: looks at the slots of all of them at
   * once, for one by one each would wait for memory.
   */
  look(ids: Int32Array, count: number): void {
    if (this.#hashes.length < count) {
      this.#hashes = new Int32Array(count);
      this.#entries = new Int32Array(count);
    }
    const hashes = this.#hashes;
    const entries = this.#entries;
    for (let number = 0; number < count; number++) hashes[number] = hash(this.hashKey, ids, 4 * number);
    const table = this.#table;
    const mask = table.length - 1;
    for (let number = 0; number < count; number++)
      entries[number] = table[(hashes[number] as number) & mask] as number;
  }

  /** As isNew(), of the id `number` of those that look() was given. */
  isNewId(ids: Int32Array, number: number): boolean {
    for (let part = 0; part < 4; part++) this.#key[part] = ids[4 * number + part] as number;
    this.#lastId = undefined;
    this.#lastSize = this.#size;
    this.#lastSlot = this.#findHashed(this.#hashes[number] as number);
    return this.#table[this.#lastSlot] === 0;
  }

  /** Records a committed transfer under the id that was found new just before. */
  recordTransfer(
    from: number,
    to: number,
    amount: number,
    currency: DecidedTransaction["currency"],
    seq: number,
  ): void {
    if (this.#size !== this.#lastSize || this.#table[this.#lastSlot] !== 0)
      throw new RangeError("a transfer is recorded whose id was not looked for");
    this.#table[this.#lastSlot] = this.#tag | (this.#size + 1);
    const segment = this.#begin();
    const at = (this.#size % SEGMENT_RECORDS) * RECORD_INTS;
    segment[at + FROM] = from;
    segment[at + TO] = to;
    segment[at + AMOUNT] = amount;
    segment[at + AMOUNT + 1] = amount / 0x1_0000_0000;
    segment[at + CURRENCY] = this.#currencies.number(currency);
    segment[at + SEQ] = seq;
    segment[at + SEQ + 1] = seq / 0x1_0000_0000; // a transfer is kind 0, and 0 is no rejection
    this.#size++;
    this.#grow();
  }

  /** What was recorded last; throws RangeError where nothing was. */
  last(): { readonly id: TransactionId; readonly decided: DecidedTransaction } {
    const number = this.#size - 1;
    if (number < 0) throw new RangeError("no transaction was recorded");
    const at = (number % SEGMENT_RECORDS) * RECORD_INTS;
    const ints = this.#segmentOf(number).subarray(at + ID, at + ID + 4);
    const digits = Array.from(ints, (int) => (int >>> 0).toString(16).padStart(8, "0")).join("");
    const parts = [0, 8, 12, 16, 20].map((from, part, all) => digits.slice(from, all[part + 1]));
    return { id: parts.join("-") as TransactionId, decided: this.#read(number) };
  }

  /** The number of an account's name; the same name has the same number for ever. */
  accountNumber(account: DecidedTransaction["from_account"]): number {
    return this.#accounts.number(account);
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
    return this.#findHashed(hash(this.hashKey, this.#key, 0));
  }

  /** The slot of `#key`, whose hash is `bits`. */
  #findHashed(bits: number): number {
    const table = this.#table;
    const mask = table.length - 1;
    const key = this.#key;
    const a = key[0] as number;
    const b = key[1] as number;
    const c = key[2] as number;
    const d = key[3] as number;
    this.#tag = bits & ~mask;
    let slot = bits & mask;
    for (;;) {
      const entry = table[slot] as number;
      if (entry === 0) return slot;
      if ((entry & ~mask) === this.#tag) {
        const number = (entry & mask) - 1;
        const segment = this.#segmentOf(number);
        const at = (number % SEGMENT_RECORDS) * RECORD_INTS;
        if (segment[at + 3] === d && segment[at + 2] === c && segment[at + 1] === b && segment[at] === a)
          return slot;
      }
      slot = (slot + 1) & mask;
    }
  }

  #segmentOf(number: number): Int32Array {
    return this.#segments[(number / SEGMENT_RECORDS) | 0] as Int32Array;
  }

  /** The segment of the next record, with the key in its place. */
  #begin(): Int32Array {
    const at = (this.#size % SEGMENT_RECORDS) * RECORD_INTS;
    if (at === 0) this.#segments.push(new Int32Array(SEGMENT_RECORDS * RECORD_INTS));
    const segment = this.#segmentOf(this.#size);
    for (let part = 0; part < 4; part++) segment[at + ID + part] = this.#key[part] as number;
    return segment;
  }

  #write({ kind, from_account, to_account, amount, currency, reason, seq }: DecidedTransaction): void {
    const segment = this.#begin();
    const at = (this.#size % SEGMENT_RECORDS) * RECORD_INTS;
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
      const bits = hash(this.hashKey, segment, at);
      let slot = bits & mask;
      while (larger[slot] !== 0) slot = (slot + 1) & mask;
      larger[slot] = (bits & ~mask) | (number + 1);
    }
    this.#moved = end;
    if (end < this.#size) return;
    this.#table = larger;
    this.#larger = undefined;
  }
}
