/** The names of accounts, currencies and transactions: which are names, and which are not. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseAccount, parseCurrency, parseTransactionId } from "../../src/domain/names.ts";
import "../../tools/harness/seed.ts";

describe("accounts", () => {
  test.each([
    "a",
    "Z",
    "0",
    "alice",
    "a.b_c:d@e+f-g",
    "user@example.com",
    "00000000-0000-0000-0000-000000000000",
    "constructor",
    "toString",
    "x".repeat(64),
  ])("%s is an account", (name) => {
    expect(parseAccount(name)).toBe(name as never);
  });

  test.each([
    "",
    "@world",
    "@",
    "@alice",
    ".a",
    "_a",
    ":a",
    "+a",
    "-a",
    "__proto__",
    " a",
    "a ",
    "a b",
    "a\n",
    "\na",
    "a\u0000",
    'a"',
    "a\\",
    "a/b",
    "a,b",
    "ä",
    "аlice",
    "alice\u200b",
    "ａ",
    "😀",
    "x".repeat(65),
  ])("%j is no account", (name) => {
    expect(parseAccount(name)).toBeUndefined();
  });
});

describe("currencies", () => {
  test.each(["USD", "EUR", "X00", "COINS", "ABCDEFGHIJKL"])("%s is a currency", (code) => {
    expect(parseCurrency(code)).toBe(code as never);
  });

  test.each(["", "US", "usd", "Usd", "1US", "US-D", "USD ", " USD", "USD\n", "ÜSD", "ABCDEFGHIJKLM"])(
    "%j is no currency",
    (code) => {
      expect(parseCurrency(code)).toBeUndefined();
    },
  );
});

describe("transaction ids", () => {
  test("a UUID of any version is one, and reads as its lower case", () => {
    fc.assert(
      fc.property(fc.uuid(), fc.boolean(), (uuid, upper) => {
        expect(parseTransactionId(upper ? uuid.toUpperCase() : uuid)).toBe(uuid as never);
      }),
    );
    for (const uuid of ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"])
      expect(parseTransactionId(uuid)).toBe(uuid as never);
  });

  test.each([
    "",
    "0190b5c0",
    "0190b5c000007000800000000000000a",
    "0190b5c0-0000-7000-8000-00000000000",
    "0190b5c0-0000-7000-8000-0000000000000",
    "0190b5c0-0000-7000-80000-00000000000",
    "{0190b5c0-0000-7000-8000-00000000000a}",
    "urn:uuid:0190b5c0-0000-7000-8000-00000000000a",
    "0190b5c0_0000_7000_8000_00000000000a",
    "0190b5c0-0000-7000-8000-00000000000g",
    " 0190b5c0-0000-7000-8000-00000000000a",
    "0190b5c0-0000-7000-8000-00000000000a\n",
    "０190b5c0-0000-7000-8000-00000000000a",
  ])("%j is no transaction id", (text) => {
    expect(parseTransactionId(text)).toBeUndefined();
  });
});
