/**
 * Accounts that are open in the ledger's default currency, found by the bytes of their names.
 *
 * A cache of the ledger's balances, with a few places for each hash: what it has not, or no more, is looked
 * up by its name. Whoever chooses names that collide makes them slower, no worse. Names lie packed in few bytes,
 * for the look-ups of many accounts wait for memory more than for anything else.
 */

import type { Balance } from "../domain/balances.ts";
import type { Ledger } from "../domain/ledger.ts";
import { type AccountId, MAX_ACCOUNT_LENGTH, parseAccount } from "../domain/names.ts";
import { ascii, type KnownAccounts } from "../wire/frame-reader.ts";

const FIRST_PLACES = 1 << 12;
const MAX_PLACES = 1 << 21;
/** With fewer places for each account it grows. */
const GROWTH_ROOM = 2;

const PROBES = 8;

/** A place: the hash, and where the name lies + 1; 0 for nothing. */
const PLACE_INTS = 2;

const SEGMENT_BITS = 20;
const SEGMENT_BYTES = 1 << SEGMENT_BITS;
/** Before a name's bytes: the account's number (4 bytes), and the length (1). */
const NAME_HEADER_BYTES = 5;
/** Names that were pushed out of their place stay, up to this. */
const NAME_BYTES_A_PLACE = 64;

export class OpenAccounts implements KnownAccounts {
  #places = new Int32Array(FIRST_PLACES * PLACE_INTS);
  #mask = FIRST_PLACES - 1;
  #filled = 0;
  readonly #segments: DataView[] = [];
  /** Where the next name goes. */
  #end = 0;
  /** By the account's number. */
  readonly #balances: (Balance | undefined)[] = [];
  /** Of the names that are looked for together. */
  #hashes = new Int32Array(0);

  constructor(
    private readonly ledger: Ledger,
    private readonly numberOf: (account: AccountId) => number,
  ) {}

  /** The balance of an account that find() has given. */
  balance(number: number): Balance {
    return this.#balances[number] as Balance;
  }

  find(bytes: Uint8Array, at: number, end: number): number | undefined {
    return this.#findHashed(hashName(bytes, at, end), bytes, at, end);
  }

  /**
   * Finds the first `count` names, which stand from `ats` to `ends`: their accounts go to `found`. Returns how
   * many there are, from the first on, before one that is not open.
   *
   * Looks at the places of all of them, then at the names, before it compares any: the machine does that at
   * once, where one by one each would wait for memory.
   */
  findAll(bytes: Uint8Array, ats: Int32Array, ends: Int32Array, count: number, found: Int32Array): number {
    if (this.#hashes.length < count) this.#hashes = new Int32Array(count);
    const hashes = this.#hashes;
    const places = this.#places;
    for (let i = 0; i < count; i++) hashes[i] = hashName(bytes, ats[i] as number, ends[i] as number);
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
      const account = this.#findHashed(hashes[i] as number, bytes, ats[i] as number, ends[i] as number);
      if (account === undefined) return i;
      found[i] = account;
    }
    return count;
  }

  /** As find(), of a name whose hash is known. */
  #findHashed(hash: number, bytes: Uint8Array, at: number, end: number): number | undefined {
    const home = hash ^ (hash >>> 15);
    for (let probe = 0; probe < PROBES; probe++) {
      const place = ((home + probe) & this.#mask) * PLACE_INTS;
      if (this.#places[place + 1] === 0) return this.#look(place, hash, bytes, at, end);
      const found = this.#places[place] === hash ? this.#at(place, bytes, at, end) : undefined;
      if (found !== undefined) return found;
    }
    return this.#look((home & this.#mask) * PLACE_INTS, hash, bytes, at, end);
  }

  /** The account at this place, if its name is the one. */
  #at(place: number, bytes: Uint8Array, at: number, end: number): number | undefined {
    const start = (this.#places[place + 1] as number) - 1;
    const segment = this.#segments[start >> SEGMENT_BITS] as DataView;
    const header = start & (SEGMENT_BYTES - 1);
    if (segment.getUint8(header + 4) !== end - at) return undefined;
    const name = header + NAME_HEADER_BYTES - at;
    for (let i = at; i < end; i++) if (segment.getUint8(name + i) !== bytes[i]) return undefined;
    return segment.getInt32(header, true);
  }

  #look(place: number, hash: number, bytes: Uint8Array, at: number, end: number): number | undefined {
    const name = parseAccount(ascii(bytes, at, end));
    const currency = this.ledger.opened?.currency;
    const balance = name && currency && this.ledger.balances.get(name, currency);
    if (!balance) return undefined;
    const number = this.numberOf(name);
    while (this.#balances.length <= number) this.#balances.push(undefined); // with holes it would be slow
    this.#balances[number] = balance;
    if (this.#places[place + 1] === 0) this.#filled++;
    this.#places[place] = hash;
    this.#places[place + 1] = this.#keep(number, name) + 1;
    const places = this.#mask + 1;
    if (this.#filled * GROWTH_ROOM > places && places < MAX_PLACES) this.#grow(places * 2);
    else if (this.#end > places * NAME_BYTES_A_PLACE) this.#clear(places);
    return number;
  }

  /** Puts a name into memory; returns where. */
  #keep(number: number, name: AccountId): number {
    const free = SEGMENT_BYTES - (this.#end & (SEGMENT_BYTES - 1));
    if (free < NAME_HEADER_BYTES + MAX_ACCOUNT_LENGTH) this.#end += free;
    const start = this.#end;
    const header = start & (SEGMENT_BYTES - 1);
    if (header === 0) this.#segments.push(new DataView(new ArrayBuffer(SEGMENT_BYTES)));
    const segment = this.#segments[start >> SEGMENT_BITS] as DataView;
    segment.setInt32(header, number, true);
    segment.setUint8(header + 4, name.length);
    for (let i = 0; i < name.length; i++)
      segment.setUint8(header + NAME_HEADER_BYTES + i, name.charCodeAt(i));
    this.#end = start + NAME_HEADER_BYTES + name.length;
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

/** FNV-1a (Fowler, Noll and Vo), of 32 bits. */
function hashName(bytes: Uint8Array, at: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = at; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return hash;
}
