/** Which accounts a key is bound to: by their names, as text and as bytes. */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { AccountPrefix } from "../../src/domain/account-prefix.ts";

function prefix(text: string): AccountPrefix {
  const parsed = AccountPrefix.parse(text);
  if (!parsed) throw new Error(`${text} is no prefix`);
  return parsed;
}

test("a prefix is what an account's name can begin with", () => {
  for (const text of ["a", "shop-7:", "0", "x".repeat(64)]) expect(prefix(text).text).toBe(text);
  for (const text of ["", "@", "@world", "-a", ".", "a b", "a\n", "é", "x".repeat(65)])
    expect(AccountPrefix.parse(text)).toBeUndefined();
});

test("an account belongs to it by its whole beginning; @world never does", () => {
  const shop = prefix("shop-7:");
  expect(["shop-7:", "shop-7:till"].map((name) => shop.has(name))).toEqual([true, true]);
  for (const name of ["shop-7", "shop-77", "shop-77:till", "Shop-7:till", "a.shop-7:till", "@world", ""])
    expect([name, shop.has(name)]).toEqual([name, false]);
});

test("bytes belong to it exactly where their text does, wherever they stand", () => {
  const name = fc.stringMatching(/^[ab][ab:]{0,5}$/);
  fc.assert(
    fc.property(
      name,
      name,
      fc.stringMatching(/^[ab:"]{0,8}$/),
      fc.stringMatching(/^[ab:"]{0,8}$/),
      (text, account, before, behind) => {
        const source = Buffer.from(before + account + behind, "latin1");
        expect(prefix(text).hasBytes(source, before.length, account.length)).toBe(prefix(text).has(account));
      },
    ),
  );
});
