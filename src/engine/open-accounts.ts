/**
 * Accounts that are open in the ledger's default currency, found by the bytes of their names.
 *
 * Only a cache of the ledger's balances, with two places for each hash: what it has not, or no more, is looked
 * up by its name. Whoever chooses names that collide makes them slower, no worse.
 */

import type { Balance } from "../domain/balances.ts";
import type { Ledger } from "../domain/ledger.ts";
import { parseAccount } from "../domain/names.ts";
import type { NumberedAccount } from "../ports/changes.ts";
import { ascii, type KnownAccounts } from "../wire/frame-reader.ts";

const FIRST_PLACES = 1 << 12;
const MAX_PLACES = 1 << 22;
/** With fewer places for each account it grows: it begins anew, and fills as it is asked. */
const GROWTH_ROOM = 3;

export interface OpenAccount extends NumberedAccount {
  /** The ledger's own: it changes with it. */
  readonly balance: Balance;
}

export class OpenAccounts implements KnownAccounts<OpenAccount> {
  #places: (OpenAccount | undefined)[] = new Array(FIRST_PLACES);
  #filled = 0;

  constructor(
    private readonly ledger: Ledger,
    private readonly numberOf: (account: OpenAccount["name"]) => number,
  ) {}

  find(bytes: Uint8Array, at: number, end: number): OpenAccount | undefined {
    let hash = 0x811c9dc5;
    for (let i = at; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
    const place = (hash ^ (hash >>> 15)) & (this.#places.length - 1);
    const first = this.#places[place];
    if (first && isNamed(first.name, bytes, at, end)) return first;
    const second = this.#places[place ^ 1];
    if (second && isNamed(second.name, bytes, at, end)) return second;
    return this.#look(first ? place ^ 1 : place, bytes, at, end);
  }

  #look(place: number, bytes: Uint8Array, at: number, end: number): OpenAccount | undefined {
    const name = parseAccount(ascii(bytes, at, end));
    const currency = this.ledger.opened?.currency;
    const balance = name && currency && this.ledger.balances.get(name, currency);
    if (!balance) return undefined;
    const account = { name, number: this.numberOf(name), balance };
    if (this.#places[place] === undefined) this.#filled++;
    this.#places[place] = account;
    if (this.#filled * GROWTH_ROOM > this.#places.length && this.#places.length < MAX_PLACES) {
      this.#places = new Array(this.#places.length * 4);
      this.#filled = 0;
    }
    return account;
  }
}

function isNamed(name: string, bytes: Uint8Array, at: number, end: number): boolean {
  if (name.length !== end - at) return false;
  for (let i = 0; i < name.length; i++) if (name.charCodeAt(i) !== bytes[at + i]) return false;
  return true;
}
