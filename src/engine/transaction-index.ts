/**
 * Finds what was decided about every transaction id, at 44 bytes a record and 5 to 17 in the table (11 at most,
 * but while it grows).
 *
 * The table is open addressing over record numbers. It grows without a pause: while the larger table is filled,
 * a few records with every new one, the smaller one still answers.
 */

import type { DecidedTransaction, DecidedTransactions } from "../domain/ledger.ts";
import type { TransactionId } from "../domain/names.ts";
import { placeOf, TransactionRecords } from "./transaction-records.ts";

const FIRST_TABLE_SLOTS = 1 << 12;
/** The most that is taken on trust. */
const MAX_EXPECTED_SLOTS = 1 << 28;
/** The table grows from this load on; the larger one is ready at GROWTH_LOAD × (1 + 1 / MOVED_PER_RECORD). */
const GROWTH_LOAD = 0.7;
const MOVED_PER_RECORD = 8;
const PAGE_INTS = 1024;
/** When many are entered: so many at a time, in the order of so many parts of the table. */
const ENTERED_TOGETHER = 1 << 20;
const PARTS_OF_TABLE = 1 << 10;

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

/** How large a table of so many ids is, so that it need not grow at once. */
function slotsFor(ids: number, most = Number.POSITIVE_INFINITY): number {
  let slots = FIRST_TABLE_SLOTS;
  while (slots * GROWTH_LOAD < ids && slots < most) slots *= 2;
  return slots;
}

export class TransactionIndex implements DecidedTransactions {
  readonly records = new TransactionRecords();
  /**
   * Entries: 0 is free; else the record's number + 1 in as many low bits as the table's size takes, and above
   * them those bits of the id's hash: nearly every other id is told apart without a look at its record.
   */
  #table = new Int32Array(FIRST_TABLE_SLOTS);
  /** The larger table while it is being filled, how much of it was touched, and how many records it has. */
  #larger: Int32Array<ArrayBuffer> | undefined;
  #touched = 0;
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
    return this.records.size;
  }

  /** Makes room in the table for about so many ids, so that it need not grow while they come; before the first. */
  expect(ids: number): void {
    if (this.size === 0) this.#table = new Int32Array(slotsFor(ids, MAX_EXPECTED_SLOTS));
  }

  find(id: TransactionId): DecidedTransaction | undefined {
    const entry = this.#table[this.#slotOf(id)] as number;
    return entry === 0 ? undefined : this.records.read((entry & (this.#table.length - 1)) - 1);
  }

  /** Throws RangeError where the id was recorded before: it was decided twice. */
  record(id: TransactionId, decided: DecidedTransaction): void {
    const slot = this.#slotOf(id);
    if (this.#table[slot] !== 0) throw new RangeError(`transaction ${id} was decided twice`);
    this.#table[slot] = this.#tag | (this.size + 1);
    this.records.append(this.#key, decided);
    this.#grow();
  }

  /**
   * Prepares for isNew() of these ids, four big-endian integers each: looks at the slots of all of them at
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

  /**
   * Whether nothing was recorded yet under the id `number` of those that look() was given; recordTransfer() then
   * does, right after.
   */
  isNew(ids: Int32Array, number: number): boolean {
    for (let part = 0; part < 4; part++) this.#key[part] = ids[4 * number + part] as number;
    this.#lastId = undefined;
    this.#lastSize = this.size;
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
    if (this.size !== this.#lastSize || this.#table[this.#lastSlot] !== 0)
      throw new RangeError("a transfer is recorded whose id was not looked for");
    this.#table[this.#lastSlot] = this.#tag | (this.size + 1);
    this.records.appendTransfer(this.#key, from, to, amount, currency, seq);
    this.#grow();
  }

  /** What was recorded last; throws RangeError where nothing was. */
  last(): { readonly id: TransactionId; readonly decided: DecidedTransaction } {
    const number = this.size - 1;
    if (number < 0) throw new RangeError("no transaction was recorded");
    return { id: this.records.idOf(number), decided: this.records.read(number) };
  }

  /**
   * Finds the records that were put into `records` from outside, too: after a restart.
   *
   * Puts many of them in the order of their slots before it enters them: in the order of their numbers nearly
   * each would wait for memory.
   */
  indexAll(): void {
    this.#larger = undefined;
    const table = new Int32Array(slotsFor(this.size));
    const mask = table.length - 1;
    const shift = Math.log2(table.length / PARTS_OF_TABLE);
    const together = Math.min(ENTERED_TOGETHER, this.size);
    const hashes = new Int32Array(together);
    const ends = new Int32Array(PARTS_OF_TABLE);
    const order = new Int32Array(together);
    for (let first = 0; first < this.size; first += together) {
      const count = Math.min(together, this.size - first);
      ends.fill(0);
      for (let i = 0; i < count; i++) {
        const number = first + i;
        const bits = hash(this.hashKey, this.records.segmentOf(number), placeOf(number));
        hashes[i] = bits;
        const part = (bits & mask) >>> shift;
        ends[part] = (ends[part] as number) + 1;
      }
      for (let part = 1; part < PARTS_OF_TABLE; part++)
        ends[part] = (ends[part] as number) + (ends[part - 1] as number);
      for (let i = 0; i < count; i++) {
        const part = ((hashes[i] as number) & mask) >>> shift;
        const place = (ends[part] as number) - 1;
        ends[part] = place;
        order[place] = i;
      }
      for (let place = 0; place < count; place++) {
        const i = order[place] as number;
        enter(table, mask, hashes[i] as number, first + i);
      }
    }
    this.#table = table;
  }

  /** The number of an account's name; the same name has the same number for ever. */
  accountNumber(account: DecidedTransaction["from_account"]): number {
    return this.records.accounts.number(account);
  }

  /** The slot that holds the id, or the free one where it belongs; `#key` is the id then. */
  #slotOf(id: TransactionId): number {
    // An id is looked for, and recorded right after: the second time the answer is known.
    if (id === this.#lastId && this.size === this.#lastSize) return this.#lastSlot;
    readKey(id, this.#key);
    this.#lastId = id;
    this.#lastSize = this.size;
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
        const segment = this.records.segmentOf(number);
        const at = placeOf(number);
        if (segment[at + 3] === d && segment[at + 2] === c && segment[at + 1] === b && segment[at] === a)
          return slot;
      }
      slot = (slot + 1) & mask;
    }
  }

  #grow(): void {
    if (!this.#larger) {
      if (this.size < this.#table.length * GROWTH_LOAD) return;
      this.#larger = new Int32Array(this.#table.length * 2);
      this.#touched = 0;
      this.#moved = 0;
    }
    if (this.#touched < this.#larger.length) {
      // Memory comes with its first use, and takes time: page after page, instead of all at once.
      this.#larger[this.#touched] = 0;
      this.#touched += PAGE_INTS;
      return;
    }
    const end = Math.min(this.#moved + MOVED_PER_RECORD, this.size);
    const larger = this.#larger;
    for (let number = this.#moved; number < end; number++) {
      const bits = hash(this.hashKey, this.records.segmentOf(number), placeOf(number));
      enter(larger, larger.length - 1, bits, number);
    }
    this.#moved = end;
    if (end < this.size) return;
    this.#table = larger;
    this.#larger = undefined;
  }
}

/** Puts a record, whose id has the hash `bits`, into a table. */
function enter(table: Int32Array, mask: number, bits: number, number: number): void {
  let slot = bits & mask;
  while (table[slot] !== 0) slot = (slot + 1) & mask;
  table[slot] = (bits & ~mask) | (number + 1);
}
