/**
 * Money as exact integers in minor units (cents).
 *
 * A value is a `number` where that is exact (|x| ≤ 2^53−1) and a `bigint` beyond. The form is
 * canonical, so `===` compares, `<` compares across both, and the common case never allocates.
 */

declare const brand: unique symbol;

/** Minor units, exact, any sign: balances and sums. Made only by the functions of this file. */
export type Money = (number & { readonly [brand]: "Money" }) | (bigint & { readonly [brand]: "Money" });

/** The largest amount and the largest absolute balance, 2^63−1. */
export const MAX_MONEY = (2n ** 63n - 1n) as Money;
/** The smallest balance of `@world`, −(2^63−1). */
export const MIN_MONEY = -(2n ** 63n - 1n) as Money;
export const ZERO = 0 as Money;

/** The canonical form of an integer. Throws RangeError on a number that is not a safe integer. */
export function money(value: number | bigint): Money {
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new RangeError(`not an exact integer: ${value}`);
    return (value === 0 ? 0 : value) as Money;
  }
  const narrow = Number(value);
  return (Number.isSafeInteger(narrow) ? narrow : value) as Money;
}

export function add(a: Money, b: Money): Money {
  if (typeof a === "number" && typeof b === "number") {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum as Money;
  }
  return money(BigInt(a) + BigInt(b));
}

export function subtract(a: Money, b: Money): Money {
  if (typeof a === "number" && typeof b === "number") {
    const difference = a - b;
    if (Number.isSafeInteger(difference)) return difference as Money;
  }
  return money(BigInt(a) - BigInt(b));
}

const DIGITS = /^[1-9][0-9]{0,18}$/;

/**
 * Reads an amount, 1 … 2^63−1, from its plain decimal digits; undefined for anything else (signs,
 * fractions, exponents, spaces, leading zeros).
 */
export function parseAmount(text: string): Money | undefined {
  if (!DIGITS.test(text)) return undefined;
  if (text.length <= 15) return Number(text) as Money;
  const value = BigInt(text);
  return value > MAX_MONEY ? undefined : money(value);
}

/** As parseAmount, with 0 allowed: the initial balance of an account. */
export function parseBalance(text: string): Money | undefined {
  return text === "0" ? ZERO : parseAmount(text);
}
