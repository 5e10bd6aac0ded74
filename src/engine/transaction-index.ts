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
const SEQ = 8; // 2
const META = 10; // kind: bits 0–3; rejection + 1, or 0: bits 4–11; currency: bits 12–31

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

/** The four integers of the id that was read last. */
const key = new Int32Array(4);

const NIBBLE = new Uint8Array(128);
for (let value = 0; value < 16; value++) NIBBLE["0123456789abcdef".charCodeAt(value)] = value;

function readKey(id: TransactionId): void {
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

  get size(): number {
    return this.#size;
  }

  find(id: TransactionId): DecidedTransaction | undefined {
    readKey(id);
    const slot = this.#slotOf();
    const number = (this.#table[slot] as number) - 1;
    return number < 0 ? undefined : this.#read(number);
  }

  /** Throws RangeError where the id was recorded before: it was decided twice. */
  record(id: TransactionId, decided: DecidedTransaction): void {
    readKey(id);
    const slot = this.#slotOf();
    if (this.#table[slot] !== 0) throw new RangeError(`transaction ${id} was decided twice`);
    this.#table[slot] = this.#size + 1;
    this.#write(decided);
    this.#grow();
  }

  /** The slot that holds `key`, or the free one where it belongs. */
  #slotOf(): number {
    const table = this.#table;
    const mask = table.length - 1;
    const [a, b, c, d] = key as unknown as [number, number, number, number];
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
    segment.set(key, at + ID);
    segment[at + FROM] = this.#accounts.number(from_account);
    segment[at + TO] = this.#accounts.number(to_account);
    if (typeof amount === "number") {
      segment[at + AMOUNT] = amount;
      segment[at + AMOUNT + 1] = amount / 0x1_0000_0000;
    } else {
      segment[at + AMOUNT] = Number(BigInt.asIntN(32, amount));
      segment[at + AMOUNT + 1] = Number(BigInt.asIntN(32, (amount as bigint) >> 32n));
    }
    segment[at + SEQ] = seq;
    segment[at + SEQ + 1] = seq / 0x1_0000_0000;
    const rejection = reason === undefined ? 0 : REJECTIONS.indexOf(reason) + 1;
    segment[at + META] =
      TRANSACTION_KINDS.indexOf(kind) | (rejection << 4) | (this.#currencies.number(currency) << 12);
    this.#size++;
  }

  #read(number: number): DecidedTransaction {
    const segment = this.#segmentOf(number);
    const at = (number % SEGMENT_RECORDS) * RECORD_INTS;
    const meta = segment[at + META] as number;
    const kind = TRANSACTION_KINDS[meta & 15];
    if (!kind) throw new RangeError(`record ${number} has no kind`);
    const high = segment[at + AMOUNT + 1] as number;
    const low = (segment[at + AMOUNT] as number) >>> 0;
    return {
      kind,
      from_account: this.#accounts.name(segment[at + FROM] as number),
      to_account: this.#accounts.name(segment[at + TO] as number),
      amount: money(high < 0x20_0000 ? high * 0x1_0000_0000 + low : (BigInt(high) << 32n) | BigInt(low)),
      currency: this.#currencies.name(meta >>> 12),
      reason: REJECTIONS[((meta >>> 4) & 255) - 1],
      seq: ((segment[at + SEQ + 1] as number) >>> 0) * 0x1_0000_0000 + ((segment[at + SEQ] as number) >>> 0),
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
      const [a, b, c, d] = [segment[at], segment[at + 1], segment[at + 2], segment[at + 3]] as [
        number,
        number,
        number,
        number,
      ];
      let slot = hash(a, b, c, d) & mask;
      while (larger[slot] !== 0) slot = (slot + 1) & mask;
      larger[slot] = number + 1;
    }
    this.#moved = end;
    if (end < this.#size) return;
    this.#table = larger;
    this.#larger = undefined;
  }
}
