/** Accounts by the bytes of their names, one by one and many at once, while their table grows. */

import { expect, test } from "bun:test";
import { WalletEngine } from "../../src/engine/wallet-engine.ts";
import { account, accountOpened, ledgerOpened } from "../support/ledger-specs.ts";
import { randomIntegers } from "../support/seed.ts";

/** More than the first table has places for. */
const ACCOUNTS = 20_000;
const TOGETHER = 64;

function nameOf(number: number): string {
  return `account-${number}`;
}

/** The names one behind the other, and where they stand. */
function placed(names: readonly string[]) {
  const ats = new Int32Array(names.length);
  const ends = new Int32Array(names.length);
  let at = 0;
  for (const [index, name] of names.entries()) {
    ats[index] = at;
    at += name.length;
    ends[index] = at;
  }
  return { bytes: Buffer.from(names.join("")), ats, ends };
}

test("every account is found by its name, alone and among others, before its table grows and after", () => {
  const draw = randomIntegers();
  const engine = new WalletEngine();
  engine.apply(ledgerOpened());
  const { accounts } = engine;
  const found = new Int32Array(TOGETHER);
  for (let open = 0; open < ACCOUNTS; ) {
    for (const end = open + 1 + draw(500); open < end; open++)
      engine.apply(accountOpened(nameOf(open), open));
    for (let round = 0; round < 20; round++) {
      const numbers = Array.from({ length: 1 + draw(TOGETHER) }, () => draw(open));
      const { bytes, ats, ends } = placed(numbers.map(nameOf));
      expect(accounts.findAll(bytes, ats, ends, numbers.length, found)).toBe(numbers.length);
      for (const [index, number] of numbers.entries()) {
        const balance = accounts.balance(found[index] as number);
        expect(balance.account).toBe(account(nameOf(number)));
        expect(accounts.find(bytes, ats[index] as number, ends[index] as number)).toBe(found[index]);
      }
    }
  }
});

test("many at once end before the first that is not open, or no name at all", () => {
  const engine = new WalletEngine();
  engine.apply(ledgerOpened());
  for (const name of ["a", "b", "c"]) engine.apply(accountOpened(name, 1));
  const found = new Int32Array(TOGETHER);
  for (const other of ["unknown", "@world", "", "a b", "x".repeat(65)]) {
    const { bytes, ats, ends } = placed(["a", "b", other, "c"]);
    expect(engine.accounts.findAll(bytes, ats, ends, 4, found)).toBe(2);
    expect(engine.accounts.findAll(bytes, ats, ends, 0, found)).toBe(0);
  }
});
