/** Random commands over the whole range of their values. */

import fc from "fast-check";
import { MAX_MONEY, type Money, ZERO } from "../../src/domain/amount.ts";
import type { Command, OpenAccount, Transfer } from "../../src/domain/commands/commands.ts";
import { TRANSACTION_KINDS } from "../../src/domain/kinds.ts";
import { type TransactionId, WORLD } from "../../src/domain/names.ts";
import { account, amount, currency } from "../support/ledger-specs.ts";
import "../../tools/harness/seed.ts";

const NAME_FIRST = [..."ABCXYZabcxyz019"];
const NAME = [...NAME_FIRST, ..."._:@+-"];

function texts(first: readonly string[], others: readonly string[], min: number, max: number) {
  return fc
    .tuple(
      fc.constantFrom(...first),
      fc.array(fc.constantFrom(...others), { minLength: min - 1, maxLength: max - 1, size: "max" }),
    )
    .map(([start, rest]) => start + rest.join(""));
}

export const accounts = fc
  .oneof(texts(NAME_FIRST, NAME, 1, 3), texts(NAME_FIRST, NAME, 1, 64), fc.constant("a".repeat(64)))
  .map(account);

export const currencies = fc
  .oneof(fc.constantFrom("USD", "EUR"), texts([..."AZ"], [..."AZ09"], 3, 12))
  .map(currency);

export const uuids = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => Buffer.from(bytes).toString("hex"))
  .map((hex) => hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5") as TransactionId);

/** 1 … 2^63−1, dense around the powers of two and ten at which something changes. */
export const amounts: fc.Arbitrary<Money> = fc
  .oneof(
    fc.bigInt({ min: 1n, max: 10n ** 6n }),
    fc.bigInt({ min: 1n, max: BigInt(MAX_MONEY) }),
    fc
      .tuple(
        fc.constantFrom(2n ** 31n, 2n ** 32n, 10n ** 15n, 2n ** 53n, 2n ** 62n),
        fc.bigInt({ min: -3n, max: 3n }),
      )
      .map(([edge, by]) => edge + by),
    fc.bigInt({ min: BigInt(MAX_MONEY) - 3n, max: BigInt(MAX_MONEY) }),
  )
  .map(amount);

/** A command of any kind that a caller may ask for. */
export const requests: fc.Arbitrary<Transfer | OpenAccount> = fc
  .record({
    kind: fc.constantFrom(...TRANSACTION_KINDS),
    transaction_id: uuids,
    accounts: fc.uniqueArray(accounts, { minLength: 2, maxLength: 2 }),
    currency: currencies,
    amount: amounts,
    empty: fc.nat({ max: 3 }).map((roll) => roll === 0),
  })
  .map(({ kind, accounts: [from, to], amount: value, empty, ...same }) => {
    if (from === undefined || to === undefined) throw new RangeError("two accounts are drawn");
    if (kind === "open_account")
      return { kind, account: from, initial_balance: empty ? ZERO : value, ...same };
    const from_account = kind === "deposit" ? WORLD : from;
    const to_account = kind === "withdraw" ? WORLD : to;
    return { kind, from_account, to_account, amount: value, ...same };
  });

/** A command of any kind at all. */
export const commands: fc.Arbitrary<Command> = fc.oneof(
  { weight: 9, arbitrary: requests },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("open_ledger" as const),
      format: fc.constant(1),
      ledger_id: uuids,
      currency: currencies,
      strict: fc.boolean(),
    }),
  },
);
