/** The accounts whose names begin alike, `@world` never among them. */

import { parseAccount } from "./names.ts";

export class AccountPrefix {
  readonly #bytes: Uint8Array;

  private constructor(readonly text: string) {
    this.#bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
  }

  /** Undefined where no account's name begins so. */
  static parse(text: string): AccountPrefix | undefined {
    return parseAccount(text) && new AccountPrefix(text);
  }

  has(account: string): boolean {
    return account.startsWith(this.text);
  }

  /** Whether it has the account whose name is `length` bytes of `source`. */
  hasBytes(source: Uint8Array, at: number, length: number): boolean {
    const bytes = this.#bytes;
    if (length < bytes.length) return false;
    for (let i = 0; i < bytes.length; i++) if (source[at + i] !== bytes[i]) return false;
    return true;
  }
}
