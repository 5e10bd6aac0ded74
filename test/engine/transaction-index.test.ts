/** The index of transaction ids against a Map: every field, while it grows, and what an id costs. */

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import process from "node:process";
import fc from "fast-check";
import { money } from "../../src/domain/amount.ts";
import { TRANSACTION_KINDS } from "../../src/domain/kinds.ts";
import type { DecidedTransaction } from "../../src/domain/ledger.ts";
import { parseTransactionId, type TransactionId } from "../../src/domain/names.ts";
import { REJECTIONS } from "../../src/domain/rejections.ts";
import { TransactionIndex } from "../../src/engine/transaction-index.ts";
import { TestProcess } from "../../tools/harness/processes.ts";
import { randomIntegers, SEED } from "../../tools/harness/seed.ts";
import { account, currency, id, MAX } from "../support/ledger-specs.ts";

const ids = fc.uuid().map((text) => parseTransactionId(text) as TransactionId);
const amounts = fc.oneof(
  fc.bigInt({ min: 0n, max: MAX }),
  fc.bigInt({ min: 0n, max: 3n }),
  ...[2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n - 4n].map((edge) =>
    fc.bigInt({ min: edge - 3n, max: edge + 3n }),
  ),
);
const decided: fc.Arbitrary<DecidedTransaction> = fc.record({
  kind: fc.constantFrom(...TRANSACTION_KINDS),
  from_account: fc.constantFrom(account("@world"), account("alice"), account("bob")),
  to_account: fc.constantFrom(account("@world"), account("alice"), account("x".repeat(64))),
  amount: amounts.map(money),
  currency: fc.constantFrom(currency("USD"), currency("EUR"), currency("ABCDEFGHIJKL")),
  reason: fc.option(fc.constantFrom(...REJECTIONS), { nil: undefined }),
  seq: fc.oneof(
    fc.integer({ min: 1, max: 1_000 }),
    fc.integer({ min: 2 ** 32 - 3, max: 2 ** 32 + 3 }),
    fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  ),
});

const seqOf = (number: number) => number * 9_000_000 + 1;

/** A decision that differs with its number in every field. */
function decision(number: number): DecidedTransaction {
  return {
    kind: TRANSACTION_KINDS[number % TRANSACTION_KINDS.length] as DecidedTransaction["kind"],
    from_account: account(`from-${number % 97}`),
    to_account: account(`to-${number % 89}`),
    amount: money(BigInt(number) * 7_919_777_777_777n + 1n),
    currency: currency(`C${String(number % 53).padStart(2, "0")}`),
    reason: REJECTIONS[(number % 8) - 1],
    seq: seqOf(number),
  };
}

describe("the index of transaction ids", () => {
  test("gives back what was recorded, field by field, and nothing else", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(ids, decided), { size: "large" }), fc.array(ids), (records, others) => {
        const index = new TransactionIndex([SEED, 7]);
        const map = new Map<TransactionId, DecidedTransaction>();
        for (const [key, value] of records) {
          expect(index.find(key)).toEqual(map.get(key));
          if (map.has(key)) expect(() => index.record(key, value)).toThrow(/twice/);
          else {
            index.record(key, value);
            map.set(key, value);
          }
          expect(index.size).toBe(map.size);
        }
        for (const key of [...map.keys(), ...others]) expect(index.find(key)).toEqual(map.get(key));
      }),
      { numRuns: 300 },
    );
  });

  test("tells ids apart that differ in one bit", () => {
    const index = new TransactionIndex([SEED, 7]);
    const base = 0x0190b5c0_1234_7abc_8def_0123456789abn;
    for (let bit = 0n; bit < 128n; bit++) {
      const hex = (base ^ (1n << bit)).toString(16).padStart(32, "0");
      const key = parseTransactionId(hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5"));
      expect(index.find(key as TransactionId)).toBeUndefined();
      index.record(key as TransactionId, decision(Number(bit)));
    }
    expect(index.size).toBe(128);
  });

  test.each([0, 1, 2, 3])(
    "tells ids apart that differ in a part of 32 bits alone, in a table full of them: part %i",
    (part) => {
      const index = new TransactionIndex([SEED, 7]);
      const idOf = (number: number) => {
        const parts = ["0190b5c0", "12347abc", "8def0123", "456789ab"];
        parts[part] = Math.imul(number, 0x9e3779b1 | 1)
          .toString(16)
          .replace("-", "")
          .padStart(8, "0");
        const hex = parts.join("");
        return parseTransactionId(
          hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5"),
        ) as TransactionId;
      };
      const recorded = new Map<TransactionId, number>();
      for (let number = 1; recorded.size < 40_000; number++) {
        const key = idOf(number);
        if (recorded.has(key)) continue;
        recorded.set(key, number);
        index.record(key, decision(number));
      }
      for (const [key, number] of recorded) {
        if (index.find(key)?.seq !== seqOf(number)) throw new Error(`${key} is taken for another id`);
      }
    },
  );

  test("finds everything, and nothing else, at every step of its growth", () => {
    const index = new TransactionIndex([SEED, 7]);
    const draw = randomIntegers();
    const spread = draw(2 ** 20) * 2;
    const idOf = (number: number) => id((number + 1) * 2 + spread);
    for (let number = 0; number < 400_000; number++) {
      index.record(idOf(number), decision(number));
      if (index.find(idOf(number))?.seq !== seqOf(number))
        throw new Error(`record ${number} is not found right after it was made`);
      if (number % 4 !== 0) continue;
      const earlier = draw(number + 1);
      const found = index.find(idOf(earlier));
      if (found === undefined || found.seq !== seqOf(earlier))
        throw new Error(`record ${earlier} is not found after ${number}`);
      if (index.find(id((earlier + 1) * 2 + spread + 1)) !== undefined)
        throw new Error(`an id that was never recorded is found after ${number}`);
    }
    for (let number = 0; number < 400_000; number += 7)
      expect(index.find(idOf(number))).toEqual(decision(number));
    expect(() => index.record(idOf(123_456), decision(0))).toThrow(/twice/);
    expect(index.size).toBe(400_000);
  });

  test("knows more than a million currencies apart", () => {
    const index = new TransactionIndex([SEED, 7]);
    const codeOf = (number: number) => currency(`C${number.toString(36).toUpperCase().padStart(5, "0")}`);
    const wanted = 2 ** 20 + 2;
    const same = decision(1);
    for (let number = 0; number < wanted; number++)
      index.record(id(number), { ...same, currency: codeOf(number) });
    for (const number of [0, 1, 2, 2 ** 20 - 1, 2 ** 20, 2 ** 20 + 1])
      expect(index.find(id(number))).toEqual({ ...same, currency: codeOf(number) });
  });

  test("costs at most 64 bytes an id, also while it grows", async () => {
    const growing = new TestProcess(process.execPath, [join(import.meta.dir, "index-memory.ts")]);
    expect([await growing.exited, growing.stderr]).toEqual([0, []]);
    expect(growing.stdout.length).toBeGreaterThan(40);
    for (const line of growing.stdout) {
      const [ids, bytes] = JSON.parse(line) as [number, number];
      expect(bytes / ids).toBeLessThanOrEqual(64);
      expect(bytes / ids).toBeGreaterThan(40);
    }
  });
});
