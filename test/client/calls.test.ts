/** Calls beside transfers, amounts over the whole range, and ids. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { answerObject, integerIn } from "../../clients/typescript/src/exact-json.ts";
import {
  AccountExists,
  Coffer,
  InvalidRequest,
  newTransactionId,
  RequestFailed,
  TransactionIdConflict,
} from "../../clients/typescript/src/index.ts";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import "../../tools/harness/seed.ts";

/** 2^63−1. */
const MAX = 9_223_372_036_854_775_807n;

let node: CofferNode;
let coffer: Coffer;

beforeAll(async () => {
  node = await CofferNode.start(temporaryFolder());
  coffer = new Coffer(`${node.url}/`);
});

afterAll(async () => {
  await coffer.close();
  await node.stop();
});

function reasonOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => "no error",
    (reason) => reason,
  );
}

test("amounts are exact up to 2^63-1, in calls and in answers", async () => {
  const huge = { currency: "HUGE" };
  const opened = await coffer.openAccount({ account: "vault", initialBalance: MAX, ...huge });
  expect(opened).toMatchObject({
    status: "opened",
    existed: false,
    balance: MAX,
    available: MAX,
    frozen: 0n,
  });
  const moved = await coffer.transfer({ from: "vault", to: "safe", amount: MAX - 1n, ...huge });
  expect(moved.status).toBe("committed");
  expect((await coffer.balance("safe", huge))?.balance).toBe(MAX - 1n);
  expect((await coffer.balance("vault", huge))?.balance).toBe(1n);
  expect((await coffer.balance("@world", huge))?.balance).toBe(-MAX);
  expect(await coffer.transfer({ from: "safe", to: "vault", amount: MAX, ...huge })).toMatchObject({
    status: "rejected",
    code: "insufficient_funds",
  });
  const { totals } = await coffer.ledger();
  expect(totals).toContainEqual({ currency: "HUGE", sum: 0n, inCirculation: MAX });
  expect(await coffer.deposit({ to: "vault", amount: 1, ...huge })).toMatchObject({
    status: "rejected",
    code: "balance_overflow",
  });
});

test("an account is opened once by its name; with another initial balance it exists", async () => {
  const opening = { account: "alice", initialBalance: 100 };
  const first = await coffer.openAccount(opening);
  expect(first).toMatchObject({ status: "opened", existed: false, account: "alice", balance: 100n });
  expect(await coffer.openAccount(opening)).toMatchObject({ status: "opened", existed: true });
  const { transactionId } = first;
  expect(await coffer.openAccount({ ...opening, transactionId })).toMatchObject({ existed: false });
  const error = await reasonOf(coffer.openAccount({ ...opening, initialBalance: 5 }));
  expect(error).toBeInstanceOf(AccountExists);
});

test("money comes in and goes out; a repeat says that it is one", async () => {
  const deposit = { to: "bob", amount: 50n, transactionId: newTransactionId() };
  const first = await coffer.deposit(deposit);
  expect(first).toMatchObject({ status: "committed", replayed: false });
  expect(await coffer.deposit(deposit)).toEqual({ ...first, replayed: true } as typeof first);
  expect(await coffer.withdraw({ from: "bob", amount: 20 })).toMatchObject({ status: "committed" });
  expect(await coffer.withdraw({ from: "bob", amount: 31 })).toMatchObject({
    status: "rejected",
    code: "insufficient_funds",
  });
  expect((await coffer.balance("bob"))?.balance).toBe(30n);
  const conflict = await reasonOf(coffer.deposit({ ...deposit, amount: 51 }));
  expect(conflict).toBeInstanceOf(TransactionIdConflict);
});

test("what was never opened has no balance", async () => {
  expect(await coffer.balance("nobody")).toBeUndefined();
  expect(await coffer.balance("bob", { currency: "XTS" })).toBeUndefined();
});

test("calls that are wrong reject with a pointer to what is wrong", async () => {
  const wrong: readonly [path: string, call: Promise<unknown>][] = [
    ["/account_id", coffer.deposit({ to: "@world", amount: 1 })],
    ["/amount", coffer.deposit({ to: "bob", amount: 0 })],
    ["/amount", coffer.withdraw({ from: "bob", amount: MAX + 1n })],
    ["/transaction_id", coffer.withdraw({ from: "bob", amount: 1, transactionId: "1" })],
    ["/initial_balance", coffer.openAccount({ account: "bob", initialBalance: -1 })],
    ["/currency", coffer.openAccount({ account: "bob", currency: "usd" })],
    ["/account_id", coffer.balance("@bank")],
    ["/currency", coffer.balance("bob", { currency: "a&b=c" })],
    ["/curency", coffer.transfer({ from: "alice", to: "bob", amount: 1, curency: "EUR" } as never)],
    ["/transactionid", coffer.deposit({ to: "bob", amount: 1, transactionid: "1" } as never)],
    ["/from", coffer.openAccount({ account: "bob", from: "alice" } as never)],
  ];
  const errors = await Promise.all(wrong.map(([, call]) => reasonOf(call)));
  for (const [index, [path]] of wrong.entries()) {
    const error = errors[index];
    expect(error).toBeInstanceOf(InvalidRequest);
    expect((error as InvalidRequest).path).toBe(path);
  }
});

test("an option that there is not is refused", () => {
  expect(() => new Coffer(node.url, { timeoutMS: 1 } as never)).toThrow(RangeError);
});

test("a URL that is no coffer's fails, and says with what", async () => {
  const elsewhere = new Coffer(`${node.url}/elsewhere`);
  const calls = [
    elsewhere.transfer({ from: "alice", to: "bob", amount: 1 }),
    elsewhere.deposit({ to: "bob", amount: 1 }),
    elsewhere.balance("bob"),
  ];
  for (const error of await Promise.all(calls.map(reasonOf))) {
    expect(error).toBeInstanceOf(RequestFailed);
    expect(error).toMatchObject({ status: 404, code: "not_found" });
  }
});

test("every integer of an answer is read as it was written, whatever stands around it", () => {
  const int64 = fc.bigInt({ min: -MAX, max: MAX });
  fc.assert(
    fc.property(int64, int64, fc.string({ unit: "binary" }), fc.boolean(), (first, second, text, spaced) => {
      const colon = spaced ? " : " : ":";
      const answer = answerObject(
        `{"text"${colon}${JSON.stringify(text)},"first"${colon}${first},"list":[${second}],"second"${colon}${second}}`,
      );
      expect(answer.text).toBe(text);
      expect(integerIn(answer, "first")).toBe(first);
      expect(integerIn(answer, "second")).toBe(second);
    }),
  );
  const tricky = `{"text":"\\"1234567890123456789 \\\\","n":${MAX}}`;
  expect(integerIn(answerObject(tricky), "n")).toBe(MAX);
  for (const broken of ['{"n":1.5}', '{"n":"x"}', '{"n":null}', "{}", "[1]", '{"n":1e30}', "<html>", ""])
    expect(() => integerIn(answerObject(broken), "n")).toThrow();
});

test("ids are UUIDs of version 7, of now, and differ", () => {
  const before = Date.now();
  const ids = Array.from({ length: 20_000 }, newTransactionId);
  expect(new Set(ids).size).toBe(ids.length);
  const variants = new Set<string>();
  for (const id of ids) {
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    variants.add(id[19] as string);
    const madeMs = Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
    expect(madeMs).toBeGreaterThanOrEqual(before);
    expect(madeMs).toBeLessThanOrEqual(Date.now());
  }
  expect(variants.size).toBe(4);
});
