/** Balances by the bytes of their names, one by one and many at once, while their table grows. */

import { expect, test } from "bun:test";
import { WalletEngine } from "../../src/engine/wallet-engine.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { account, accountOpened, currency, ledgerOpened } from "../support/ledger-specs.ts";

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
  engine.apply([ledgerOpened()]);
  const { balances } = engine;
  const found = new Int32Array(TOGETHER);
  for (let open = 0; open < ACCOUNTS; ) {
    for (const end = open + 1 + draw(500); open < end; open++)
      engine.apply([accountOpened(nameOf(open), open)]);
    for (let round = 0; round < 20; round++) {
      const numbers = Array.from({ length: 1 + draw(TOGETHER) }, () => draw(open));
      const { bytes, ats, ends } = placed(numbers.map(nameOf));
      expect(balances.findAll(bytes, ats, ends, numbers.length, found)).toBe(numbers.length);
      for (const [index, number] of numbers.entries()) {
        const balance = balances.balance(found[index] as number);
        expect(balance.account).toBe(account(nameOf(number)));
        const at = ats[index] as number;
        expect(balances.find(bytes, at, ends[index] as number, at, at)).toBe(found[index]);
      }
    }
  }
});

test("many at once end before the first that is not open, or no name at all", () => {
  const engine = new WalletEngine();
  engine.apply([ledgerOpened()]);
  for (const name of ["a", "b", "c"]) engine.apply([accountOpened(name, 1)]);
  const found = new Int32Array(TOGETHER);
  for (const other of ["unknown", "@world", "", "a b", "x".repeat(65)]) {
    const { bytes, ats, ends } = placed(["a", "b", other, "c"]);
    expect(engine.balances.findAll(bytes, ats, ends, 4, found)).toBe(2);
    expect(engine.balances.findAll(bytes, ats, ends, 0, found)).toBe(0);
  }
});

test("an account has a balance in each currency that it was opened in, and no other", () => {
  const engine = new WalletEngine();
  engine.apply([ledgerOpened()]);
  const opened = [
    ["a", ""],
    ["a", "EUR"],
    ["aEUR", ""],
    ["aE", "URX"],
  ] as const;
  for (const [name, code] of opened)
    engine.apply([accountOpened(name, 1, code === "" ? {} : { currency: code })]);
  const find = (name: string, code: string) => {
    const number = engine.balances.find(
      Buffer.from(name + code),
      0,
      name.length,
      name.length,
      name.length + code.length,
    );
    return number === undefined ? undefined : engine.balances.balance(number);
  };
  for (const _ of ["looked up", "from the cache"]) {
    for (const [name, code] of opened)
      expect(find(name, code)).toMatchObject({
        account: account(name),
        currency: currency(code === "" ? "USD" : code),
      });
    for (const [name, code] of [
      ["aE", "UR"],
      ["aEUR", "EUR"],
      ["a", "eur"],
      ["", "EUR"],
    ] as const)
      expect(find(name, code)).toBeUndefined();
  }
});
