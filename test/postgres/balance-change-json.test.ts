/** Balance changes of other systems: what is taken, and what is refused with a pointer to the field. */

import { describe, expect, test } from "bun:test";
import { parseBalanceChange } from "../../src/postgres/balance-change-json.ts";
import { InvalidInput } from "../../src/wire/strict-json.ts";

const GOOD = {
  event_id: '"e-1"',
  account_id: '"alice"',
  currency_code: '"USD"',
  available_delta: "-5",
  frozen_delta: "5",
};
const MAX = "9223372036854775807";

/** The JSON with these fields' texts; undefined leaves a field out. */
function parse(fields: Readonly<Record<string, string | undefined>>) {
  const all = Object.entries({ ...GOOD, ...fields }).filter(([, text]) => text !== undefined);
  return parseBalanceChange(Buffer.from(`{${all.map(([name, text]) => `"${name}":${text}`)}}`));
}

function pathOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof InvalidInput) return error.path;
    throw error;
  }
  throw new Error("it was taken");
}

test("a change is taken as it is, to the last digit", () => {
  expect(parse({})).toEqual({
    eventId: "e-1",
    account: "alice",
    currency: "USD",
    availableDelta: -5n,
    frozenDelta: 5n,
  });
  expect(parse({ available_delta: MAX, frozen_delta: `"-${MAX}"` })).toMatchObject({
    availableDelta: 2n ** 63n - 1n,
    frozenDelta: -(2n ** 63n - 1n),
  });
  expect(parse({ event_id: JSON.stringify("é ".repeat(64)) }).eventId).toHaveLength(128);
  expect(parse({ note: '{"anything":[1]}' }).account).toBe("alice");
});

describe("is refused", () => {
  test.each(Object.keys(GOOD))("without %s, and where it is null", (field) => {
    expect(pathOf(() => parse({ [field]: undefined }))).toBe(`/${field}`);
    expect(pathOf(() => parse({ [field]: "null" }))).toBe(`/${field}`);
  });

  test.each(["available_delta", "frozen_delta"])("%s that is no integer within the range", (field) => {
    const wrong = [
      "1.0",
      "1e3",
      '"5 "',
      '"+5"',
      '"05"',
      "true",
      "9223372036854775808",
      "-9223372036854775808",
    ];
    for (const text of wrong) expect(pathOf(() => parse({ [field]: text }))).toBe(`/${field}`);
  });

  test("an event id that is empty, too long, or not to be stored", () => {
    for (const id of ["", "x".repeat(129), "a\0b", "\ud800"])
      expect(pathOf(() => parse({ event_id: JSON.stringify(id) }))).toBe("/event_id");
  });

  test("an account or a currency that could not be one, and the ledger's own", () => {
    for (const name of ["", "@world", "a b", "x".repeat(65)])
      expect(pathOf(() => parse({ account_id: JSON.stringify(name) }))).toBe("/account_id");
    for (const code of ["", "usd", "US"])
      expect(pathOf(() => parse({ currency_code: JSON.stringify(code) }))).toBe("/currency_code");
  });

  test("what is no object, or has a field twice", () => {
    for (const text of ["", "[]", "1", "null", '{"event_id":"a","event_id":"a"}', "\xff"])
      expect(() => parseBalanceChange(Buffer.from(text, "latin1"))).toThrow(InvalidInput);
  });
});
