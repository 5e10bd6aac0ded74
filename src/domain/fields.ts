/**
 * Types of fields: what the values of events and commands may be, and how they are spelled as text.
 *
 * In JSON a value is a string, an integer with all its digits, or a boolean; its text is the string's content or
 * the literal. How a value is spelled in a frame's bytes is in wire/field-bytes.ts.
 */

import { type Money, parseAmount, parseBalance } from "./amount.ts";
import {
  ACCOUNT,
  type AccountId,
  CURRENCY,
  type Currency,
  MAX_ACCOUNT_LENGTH,
  MAX_CURRENCY_LENGTH,
  parseAccount,
  parseCurrency,
  parseTransactionId,
  type TransactionId,
  WORLD,
} from "./names.ts";

/** How a field is spelled in a frame. */
export type FieldShape = "uuid" | "text" | "integer" | "flag";

export interface FieldType<T> {
  readonly json: "string" | "number" | "boolean";
  readonly shape: FieldShape;
  /** What a reader expects of the field, after its name: `as a UUID in lower case`. */
  readonly expected: string;
  /** What a caller is answered if the field of a request is something else: `must be a UUID`. */
  readonly must: string;
  /** The value of its text; undefined for anything that is not one. */
  parse(text: string): T | undefined;
  /** A pattern, without groups, of texts that exact() takes. Rare values (huge integers) may not fit it. */
  readonly pattern: string;
  /** The value of a text that fits the pattern. */
  exact(text: string): T;
  /** As parse(), for requests; absent if they must spell it like the log. */
  accept?(text: string): T | undefined;
  /** The only value there is: a request need not name it. */
  readonly only?: T;
  /** The text is kept for as long as the ledger: it must not be a part of a longer string. */
  readonly isKept?: true;
  /** The most characters of a text; absent for other shapes. */
  readonly maxLength?: number;
  /** Left out when it is the ledger's default currency. */
  readonly omitsDefault?: true;
}

export type FieldTypes = Readonly<Record<string, FieldType<unknown>>>;

/** The values of an object with these fields. */
export type ValuesOf<F extends FieldTypes> = {
  readonly [N in keyof F]: F[N] extends FieldType<infer T> ? T : never;
};

/** Each number of so many digits is a safe integer. */
const INTEGER_PATTERN = "(?:0|[1-9][0-9]{0,14})";
const ACCOUNT_PATTERN = ACCOUNT.source.slice(1, -1);

/** A UUID in lower case. */
export const ID: FieldType<TransactionId> = {
  json: "string",
  shape: "uuid",
  expected: "as a UUID in lower case",
  must: "must be a UUID",
  accept: parseTransactionId,
  parse: (text) => {
    const id = parseTransactionId(text);
    return id === text ? id : undefined;
  },
  pattern: "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
  exact: (text) => text as TransactionId,
};

/** An account of a caller's. */
export const CALLERS_ACCOUNT: FieldType<AccountId> = {
  json: "string",
  shape: "text",
  expected: "as an account",
  must: "must be an account: 1 to 64 characters of A-Z a-z 0-9 . _ : @ + -, starting with a letter or digit",
  parse: parseAccount,
  pattern: ACCOUNT_PATTERN,
  exact: (text) => text as AccountId,
  isKept: true,
  maxLength: MAX_ACCOUNT_LENGTH,
};

/** The account that deposits come from and withdrawals go to. */
export const WORLD_ACCOUNT: FieldType<AccountId> = {
  json: "string",
  shape: "text",
  expected: `as ${WORLD}`,
  must: `must be ${WORLD}`,
  only: WORLD,
  parse: (text) => (text === WORLD ? WORLD : undefined),
  pattern: WORLD,
  exact: () => WORLD,
  maxLength: WORLD.length,
};

/** A caller's account, or `@world`. */
export const ANY_ACCOUNT: FieldType<AccountId> = {
  ...CALLERS_ACCOUNT,
  parse: (text) => (text === WORLD ? WORLD : parseAccount(text)),
  pattern: `(?:${ACCOUNT_PATTERN}|${WORLD})`,
};

export const ANY_CURRENCY: FieldType<Currency> = {
  json: "string",
  shape: "text",
  expected: "as a currency",
  must: "must be a currency: 3 to 12 characters of A-Z 0-9, starting with a letter",
  parse: parseCurrency,
  pattern: CURRENCY.source.slice(1, -1),
  exact: (text) => text as Currency,
  isKept: true,
  maxLength: MAX_CURRENCY_LENGTH,
};

/** A currency that is left out when it is the ledger's default. */
export const CURRENCY_IN_LEDGER: FieldType<Currency> = { ...ANY_CURRENCY, omitsDefault: true };

/** 1 … 2^63−1, in minor units. */
export const AMOUNT: FieldType<Money> = {
  json: "number",
  shape: "integer",
  expected: "from 1 to 2^63-1",
  must: "must be an integer from 1 to 2^63-1",
  parse: parseAmount,
  pattern: "[1-9][0-9]{0,14}",
  exact: (text) => Number(text) as Money,
};

/** 0 … 2^63−1, in minor units. */
export const AMOUNT_OR_ZERO: FieldType<Money> = {
  ...AMOUNT,
  expected: "from 0 to 2^63-1",
  must: "must be an integer from 0 to 2^63-1",
  parse: parseBalance,
  pattern: INTEGER_PATTERN,
};

/** 0 … 2^53−1. */
export const COUNT: FieldType<number> = {
  json: "number",
  shape: "integer",
  expected: "as an integer",
  must: "must be an integer from 0 to 2^53-1",
  parse: (text) => {
    const value = parseBalance(text);
    return typeof value === "number" ? value : undefined;
  },
  pattern: INTEGER_PATTERN,
  exact: Number,
};

export const FLAG: FieldType<boolean> = {
  json: "boolean",
  shape: "flag",
  expected: "as true or false",
  must: "must be true or false",
  parse: (text) => (text === "true" ? true : text === "false" ? false : undefined),
  pattern: "(?:true|false)",
  exact: (text) => text === "true",
};

export function oneOf<T extends string>(values: readonly T[]): FieldType<T> {
  const known = new Map<string, T>(values.map((value) => [value, value]));
  const parse = (text: string) => known.get(text);
  return {
    json: "string",
    shape: "text",
    expected: `as one of ${values.join(", ")}`,
    must: `must be one of ${values.join(", ")}`,
    parse,
    pattern: `(?:${values.join("|")})`,
    maxLength: Math.max(...values.map(({ length }) => length)),
    exact: (text) => known.get(text) ?? (text as T), // only the known one is not a part of a longer string
  };
}
