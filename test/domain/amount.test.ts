/** Money as exact integers: what is read, what is refused, and sums against BigInt over the whole range. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  add,
  MAX_MONEY,
  MIN_MONEY,
  type Money,
  money,
  parseAmount,
  parseBalance,
  subtract,
} from "../../src/domain/amount.ts";
import { MAX } from "../support/ledger-specs.ts";
import "../../tools/harness/seed.ts";

const SAFE = 2n ** 53n - 1n;

/** Every int64 but −2^63, with many near the places where something changes. */
const integers = fc.oneof(
  fc.bigInt({ min: -MAX, max: MAX }),
  fc.bigInt({ min: -1_000n, max: 1_000n }),
  ...[2n ** 31n, 2n ** 32n, SAFE, MAX].flatMap((edge) => [near(edge), near(-edge)]),
);

function near(edge: bigint) {
  return fc
    .bigInt({ min: -3n, max: 3n })
    .map((distance) => edge + distance)
    .filter((value) => value >= -MAX && value <= MAX);
}

/** A number where that is exact, a bigint beyond; never −0. */
function expectCanonical(value: Money, exact: bigint): void {
  expect(BigInt(value)).toBe(exact);
  expect(typeof value).toBe(exact >= -SAFE && exact <= SAFE ? "number" : "bigint");
  expect(Object.is(value, -0)).toBe(false);
  expect(String(value)).toBe(String(exact));
}

describe("amounts", () => {
  test.each([
    "1",
    "9",
    "10",
    "999999999999999",
    "1000000000000000",
    "9007199254740991",
    "9007199254740992",
    "9007199254740993",
    "1000000000000000001",
    "9223372036854775806",
    "9223372036854775807",
  ])("%s is an amount, exactly", (text) => {
    expectCanonical(parseAmount(text) as Money, BigInt(text));
    expectCanonical(parseBalance(text) as Money, BigInt(text));
  });

  test.each([
    "",
    " ",
    "-1",
    "-0",
    "+1",
    "00",
    "01",
    "007",
    "1.0",
    "1.",
    ".1",
    "1e3",
    "1E3",
    "1e0",
    "5 ",
    " 5",
    "5\n",
    "5\u0000",
    "1_000",
    "1,000",
    "1 000",
    "0x10",
    "0b1",
    "1n",
    "NaN",
    "Infinity",
    "١",
    "１",
    "²",
    "9223372036854775808",
    "9223372036854775817",
    "9999999999999999999",
    "10000000000000000000",
    "18446744073709551617",
    "1".repeat(400),
  ])("%j is no amount", (text) => {
    expect(parseAmount(text)).toBeUndefined();
    expect(parseBalance(text)).toBeUndefined();
  });

  test("0 is a balance to open an account with, and no amount to move", () => {
    expect(parseAmount("0")).toBeUndefined();
    expect(parseBalance("0")).toBe(0 as Money);
  });

  test("every integer from 1 to 2^63-1 is read exactly, and no other is", () => {
    fc.assert(
      fc.property(fc.oneof(integers, fc.bigInt({ min: MAX - 5n, max: 2n ** 64n })), (value) => {
        const parsed = parseAmount(String(value));
        if (value >= 1n && value <= MAX) expectCanonical(parsed as Money, value);
        else expect(parsed).toBeUndefined();
      }),
      { numRuns: 2_000 },
    );
  });

  test("the limits are 2^63-1 on both sides", () => {
    expectCanonical(MAX_MONEY, MAX);
    expectCanonical(MIN_MONEY, -MAX);
  });
});

describe("sums", () => {
  test("adding and subtracting agree with BigInt, in one form for each value", () => {
    fc.assert(
      fc.property(integers, integers, (a, b) => {
        expectCanonical(add(money(a), money(b)), a + b);
        expectCanonical(subtract(money(a), money(b)), a - b);
      }),
      { numRuns: 5_000 },
    );
  });

  test("=== and < tell of two values what BigInt tells", () => {
    fc.assert(
      fc.property(integers, integers, (a, b) => {
        expect(money(a) === money(b)).toBe(a === b);
        expect(money(a) < money(b)).toBe(a < b);
        expect(money(a) > MAX_MONEY).toBe(false);
        expect(money(a) < MIN_MONEY).toBe(false);
      }),
      { numRuns: 5_000 },
    );
  });

  test("a sum that was added to and taken from comes back to what it was", () => {
    fc.assert(
      fc.property(integers, fc.array(integers, { maxLength: 8 }), (start, changes) => {
        let value = money(start);
        for (const change of changes) value = add(value, money(change));
        for (const change of changes) value = subtract(value, money(change));
        expectCanonical(value, start);
      }),
    );
  });

  test.each([2 ** 53, -(2 ** 53), 0.5, Number.NaN, Number.POSITIVE_INFINITY])(
    "%p is a number that may have been rounded, and is refused",
    (value) => {
      expect(() => money(value)).toThrow(RangeError);
    },
  );

  test("there is one zero", () => {
    for (const zero of [money(-0), money(0n), add(money(-5), money(5)), subtract(money(7n), money(7))])
      expectCanonical(zero, 0n);
  });
});
