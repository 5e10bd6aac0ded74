/**
 * Open balances, found by the bytes of their account and currency.
 *
 * A cache of the ledger's balances, with a few places for each hash: what it does not hold is looked up by its
 * names. Names that are chosen to collide are slower to find, no worse. Names lie packed in few bytes, for the look-ups
 * of many accounts wait for memory more than for anything else.
 */

import type { Balance } from "../domain/balances.ts";
import type { Ledger } from "../domain/ledger.ts";
import {
  type AccountId,
  MAX_ACCOUNT_LENGTH,
  MAX_CURRENCY_LENGTH,
  parseAccount,
  parseCurrency,
} from "../domain/names.ts";
import { ascii } from "../wire/field-bytes.ts";
import type { KnownBalances } from "../wire/frame-reader.ts";

const FIRST_PLACES = 1 << 12;
const MAX_PLACES = 1 << 21;
/** With fewer places for each account it grows. */
const GROWTH_ROOM = 2;

const PROBES = 8;

/** A place: the hash, and where the name lies + 1; 0 for nothing. */
const PLACE_INTS = 2;

const SEGMENT_BITS = 20;
const SEGMENT_BYTES = 1 << SEGMENT_BITS;
/**
 * Before the bytes of the account's name and of the currency's, if it is not the default: the balance's number (4
 * bytes), and the lengths of both (1 each).
 */
const NAME_HEADER_BYTES = 6;
/** Names that were pushed out of their place stay, up to this. */
const NAME_BYTES_A_PLACE = 64;

export class OpenBalances implements KnownBalances {
  #places = new Int32Array(FIRST_PLACES * PLACE_INTS);
  #mask = FIRST_PLACES - 1;
  #filled = 0;
  readonly #segments: DataView[] = [];
  /** Where the next name goes. */
  #end = 0;
  /** By the balance's number, that of its account's name in records of transactions. */
  readonly #names: number[] = [];
  /** Of the names that are looked for together. */
  #hashes = new Int32Array(0);

  constructor(
    private readonly ledger: Ledger,
    private readonly numberOf: (account: AccountId) => number,
  ) {}

  /** The balance whose number find() has given. */
  balance(number: number): Balance {
    return this.ledger.balances.all[number] as Balance;
  }

  /** The number that the account of such a balance has in records of transactions. */
  nameNumber(number: number): number {
    return this.#names[number] as number;
  }

  /** The number of a balance; the currency is empty for the ledger's default. */
  find(
    bytes: Uint8Array,
    at: number,
    end: number,
    currencyAt: number,
    currencyEnd: number,
  ): number | undefined {
    let hash = hashName(FIRST_HASH, bytes, at, end);
    if (currencyEnd > currencyAt) hash = hashName(hash, bytes, currencyAt, currencyEnd);
    return this.#findHashed(hash, bytes, at, end, currencyAt, currencyEnd);
  }

  /**
   * Finds the balances of the first `count` names, which are from `ats` to `ends`, in the default currency: their
   * numbers go to `found`. Returns how many there are, from the first on, before one that is not open.
   *
   * Looks at the places of all of them, then at the names, before it compares any: the machine does that at
   * once, where one by one each would wait for memory.
   */
  findAll(bytes: Uint8Array, ats: Int32Array, ends: Int32Array, count: number, found: Int32Array): number {
    if (this.#hashes.length < count) this.#hashes = new Int32Array(count);
    const hashes = this.#hashes;
    const places = this.#places;
    for (let i = 0; i < count; i++)
      hashes[i] = hashName(FIRST_HASH, bytes, ats[i] as number, ends[i] as number);
    for (let i = 0; i < count; i++) {
      const hash = hashes[i] as number;
      found[i] = places[((hash ^ (hash >>> 15)) & this.#mask) * PLACE_INTS + 1] as number;
    }
    for (let i = 0; i < count; i++) {
      const start = (found[i] as number) - 1;
      if (start >= 0)
        found[i] = (this.#segments[start >> SEGMENT_BITS] as DataView).getInt32(
          start & (SEGMENT_BYTES - 1),
          true,
        );
    }
    for (let i = 0; i < count; i++) {
      const at = ats[i] as number;
      const number = this.#findHashed(hashes[i] as number, bytes, at, ends[i] as number, at, at);
      if (number === undefined) return i;
      found[i] = number;
    }
    return count;
  }

  /** As find(), of names whose hash is known. */
  #findHashed(
    hash: number,
    bytes: Uint8Array,
    at: number,
    end: number,
    currencyAt: number,
    currencyEnd: number,
  ): number | undefined {
    const home = hash ^ (hash >>> 15);
    for (let probe = 0; probe < PROBES; probe++) {
      const place = ((home + probe) & this.#mask) * PLACE_INTS;
      if (this.#places[place + 1] === 0)
        return this.#look(place, hash, bytes, at, end, currencyAt, currencyEnd);
      const found =
        this.#places[place] === hash ? this.#at(place, bytes, at, end, currencyAt, currencyEnd) : undefined;
      if (found !== undefined) return found;
    }
    return this.#look((home & this.#mask) * PLACE_INTS, hash, bytes, at, end, currencyAt, currencyEnd);
  }

  /** The balance at this place, if its names are these. */
  #at(
    place: number,
    bytes: Uint8Array,
    at: number,
    end: number,
    currencyAt: number,
    currencyEnd: number,
  ): number | undefined {
    const start = (this.#places[place + 1] as number) - 1;
    const segment = this.#segments[start >> SEGMENT_BITS] as DataView;
    const header = start & (SEGMENT_BYTES - 1);
    if (segment.getUint8(header + 4) !== end - at) return undefined;
    if (segment.getUint8(header + 5) !== currencyEnd - currencyAt) return undefined;
    const name = header + NAME_HEADER_BYTES - at;
    for (let i = at; i < end; i++) if (segment.getUint8(name + i) !== bytes[i]) return undefined;
    const currency = name + end - currencyAt;
    for (let i = currencyAt; i < currencyEnd; i++)
      if (segment.getUint8(currency + i) !== bytes[i]) return undefined;
    return segment.getInt32(header, true);
  }

  #look(
    place: number,
    hash: number,
    bytes: Uint8Array,
    at: number,
    end: number,
    currencyAt: number,
    currencyEnd: number,
  ): number | undefined {
    const name = parseAccount(ascii(bytes, at, end));
    const currencyName = ascii(bytes, currencyAt, currencyEnd);
    const currency = currencyName === "" ? this.ledger.opened?.currency : parseCurrency(currencyName);
    const balance = name && currency && this.ledger.balances.get(name, currency);
    if (!balance) return undefined;
    const { number } = balance;
    while (this.#names.length <= number) this.#names.push(-1); // with holes it would be slow
    this.#names[number] = this.numberOf(name);
    if (this.#places[place + 1] === 0) this.#filled++;
    this.#places[place] = hash;
    this.#places[place + 1] = this.#keep(number, name + currencyName, name.length) + 1;
    const places = this.#mask + 1;
    if (this.#filled * GROWTH_ROOM > places && places < MAX_PLACES) this.#grow(places * 2);
    else if (this.#end > places * NAME_BYTES_A_PLACE) this.#clear(places);
    return number;
  }

  /** Puts the names of a balance into memory, one after the other; returns where. */
  #keep(number: number, names: string, accountLength: number): number {
    const free = SEGMENT_BYTES - (this.#end & (SEGMENT_BYTES - 1));
    if (free < NAME_HEADER_BYTES + MAX_ACCOUNT_LENGTH + MAX_CURRENCY_LENGTH) this.#end += free;
    const start = this.#end;
    const header = start & (SEGMENT_BYTES - 1);
    if (header === 0) this.#segments.push(new DataView(new ArrayBuffer(SEGMENT_BYTES)));
    const segment = this.#segments[start >> SEGMENT_BITS] as DataView;
    segment.setInt32(header, number, true);
    segment.setUint8(header + 4, accountLength);
    segment.setUint8(header + 5, names.length - accountLength);
    for (let i = 0; i < names.length; i++)
      segment.setUint8(header + NAME_HEADER_BYTES + i, names.charCodeAt(i));
    this.#end = start + NAME_HEADER_BYTES + names.length;
    return start;
  }

  /** What finds no room near its place in the larger table is forgotten. */
  #grow(places: number): void {
    const smaller = this.#places;
    const larger = new Int32Array(places * PLACE_INTS);
    const mask = places - 1;
    let filled = 0;
    for (let from = 0; from < smaller.length; from += PLACE_INTS) {
      const start = smaller[from + 1] as number;
      if (start === 0) continue;
      const hash = smaller[from] as number;
      const home = hash ^ (hash >>> 15);
      for (let probe = 0; probe < PROBES; probe++) {
        const place = ((home + probe) & mask) * PLACE_INTS;
        if (larger[place + 1] !== 0) continue;
        larger[place] = hash;
        larger[place + 1] = start;
        filled++;
        break;
      }
    }
    this.#places = larger;
    this.#mask = mask;
    this.#filled = filled;
  }

  #clear(places: number): void {
    this.#places = new Int32Array(places * PLACE_INTS);
    this.#mask = places - 1;
    this.#filled = 0;
    this.#segments.length = 0;
    this.#end = 0;
  }
}

const FIRST_HASH = 0x811c9dc5;

/** FNV-1a (Fowler, Noll and Vo), of 32 bits, of more bytes after those of `before`. */
function hashName(before: number, bytes: Uint8Array, at: number, end: number): number {
  let hash = before;
  for (let i = at; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return hash;
}
