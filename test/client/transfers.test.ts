/** Concurrent transfers of one client: they travel together, and each has an outcome of its own. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import {
  Coffer,
  InvalidRequest,
  newTransactionId,
  TransactionIdConflict,
  type Transfer,
} from "../../clients/typescript/src/index.ts";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { FaultyGateway } from "./faulty-gateway.ts";

let node: CofferNode;
let gateway: FaultyGateway;
let coffer: Coffer;

beforeAll(async () => {
  node = await CofferNode.start(temporaryFolder());
  gateway = new FaultyGateway(node.url);
  coffer = new Coffer(gateway.url);
});

afterAll(async () => {
  await coffer.close();
  await gateway.stop();
  await node.stop();
});

test("10,000 concurrent transfers keep the sum, and every outcome is its own", async () => {
  const CALLS = 10_000;
  const random = randomIntegers();
  const accounts = Array.from({ length: 50 }, (_, number) => `player-${number}`);
  await Promise.all(accounts.map((account) => coffer.openAccount({ account, initialBalance: 1_000 })));
  const transfers = Array.from({ length: CALLS }, () => {
    const from = random(accounts.length);
    const to = (from + 1 + random(accounts.length - 1)) % accounts.length;
    return { from: accounts[from] as string, to: accounts[to] as string, amount: 1 + random(900) };
  });
  const before = gateway.asked.length;
  const outcomes = await Promise.all(transfers.map((transfer) => coffer.transfer(transfer)));
  expect(gateway.asked.length - before).toBeLessThan(10);

  expect(new Set(outcomes.map(({ transactionId }) => transactionId)).size).toBe(CALLS);
  expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(["committed", "rejected"]));
  const logged = new Map<string, object>();
  replayIndependently(join(node.data, "events.log"), ([first, second]) => {
    if (first.type === "TransactionFailed")
      logged.set(first.transaction_id, {
        ...{ status: "rejected", from: first.from_account, to: first.to_account },
        ...{ amount: Number(first.amount), code: first.reason },
      });
    else if (second)
      logged.set(first.transaction_id, {
        ...{ status: "committed", from: first.account, to: second.account, amount: Number(first.amount) },
      });
  });
  for (const [index, outcome] of outcomes.entries()) {
    const { status, transactionId } = outcome;
    const code = outcome.status === "rejected" ? { code: outcome.code } : {};
    expect(logged.get(transactionId)).toEqual({ status, ...(transfers[index] as Transfer), ...code });
  }

  const balances = await Promise.all(accounts.map((account) => coffer.balance(account)));
  expect(balances.reduce((sum, balance) => sum + (balance?.balance ?? 0n), 0n)).toBe(50_000n);
  for (const balance of balances) expect(balance?.balance).toBeGreaterThanOrEqual(0n);
});

test("of concurrent payments that cannot all be covered, those that are rejected say why", async () => {
  await coffer.openAccount({ account: "alice", initialBalance: 100 });
  const payments = await Promise.all(
    Array.from({ length: 10 }, () => coffer.transfer({ from: "alice", to: "bob", amount: 20 })),
  );
  expect(payments.map(({ status }) => status)).toEqual([
    ...Array<"committed">(5).fill("committed"),
    ...Array<"rejected">(5).fill("rejected"),
  ]);
  expect(payments[9]).toEqual({
    status: "rejected",
    transactionId: payments[9]?.transactionId as string,
    code: "insufficient_funds",
  });
  expect((await coffer.balance("alice"))?.balance).toBe(0n);
});

test("whoever reads at the seq of an outcome sees the transfer", async () => {
  await coffer.openAccount({ account: "reader", initialBalance: 10 });
  const outcome = await coffer.transfer({ from: "reader", to: "bob", amount: 10 });
  const balance = await coffer.balance("reader");
  if (outcome.status !== "committed" || !balance) throw new Error("it has funds, and is open");
  expect(balance.seq).toBeGreaterThanOrEqual(outcome.seq);
  expect(balance.balance).toBe(0n);
});

test("an id that was used for something else is a conflict, for its call alone", async () => {
  await coffer.openAccount({ account: "carol", initialBalance: 100 });
  const transactionId = newTransactionId();
  const transfer = { from: "carol", to: "dave", amount: 5, transactionId };
  expect(await coffer.transfer(transfer)).toMatchObject({ status: "committed", transactionId });
  const [before, conflict, after] = await Promise.allSettled([
    coffer.transfer({ from: "carol", to: "dave", amount: 1 }),
    coffer.transfer({ ...transfer, amount: 6 }),
    coffer.transfer({ from: "carol", to: "dave", amount: 1 }),
  ]);
  expect(before).toMatchObject({ status: "fulfilled", value: { status: "committed" } });
  expect(after).toMatchObject({ status: "fulfilled", value: { status: "committed" } });
  expect(conflict.status === "rejected" && conflict.reason).toBeInstanceOf(TransactionIdConflict);
  expect(conflict.status === "rejected" && conflict.reason.transactionId).toBe(transactionId);
  expect((await coffer.balance("carol"))?.balance).toBe(93n);
});

test("a repeat under the caller's id is committed, and says so where that can be told", async () => {
  await coffer.openAccount({ account: "erin", initialBalance: 100 });
  const transactionId = newTransactionId().toUpperCase();
  const transfer = { from: "erin", to: "dave", amount: 5, transactionId };
  const other = { from: "erin", to: "dave", amount: 1 };
  const id = transactionId.toLowerCase();
  const replayed = (is: boolean | undefined) => ({ status: "committed", transactionId: id, replayed: is });
  expect(await coffer.transfer(transfer)).toMatchObject(replayed(false));
  const [repeat, made] = await Promise.all([coffer.transfer(transfer), coffer.transfer(other)]);
  expect(repeat).toMatchObject(replayed(true));
  expect(made).toMatchObject({ status: "committed", replayed: false });
  const given = { ...other, transactionId: newTransactionId() };
  const [untold] = await Promise.all([coffer.transfer(transfer), coffer.transfer(given)]);
  expect(untold).toMatchObject(replayed(undefined));
  expect((await coffer.balance("erin"))?.balance).toBe(93n);
});

test("one caller's bad input does not touch the others, and is not sent", async () => {
  await coffer.openAccount({ account: "frank", initialBalance: 100 });
  const good = { from: "frank", to: "dave", amount: 1 };
  const bad: readonly [path: string, transfer: object][] = [
    ["/from_account", { ...good, from: "@world" }],
    ["/from_account", { ...good, from: 'x","amount":1' }],
    ["/from_account", { ...good, from: undefined }],
    ["/to_account", { ...good, to: "a".repeat(65) }],
    ["/to_account", { ...good, to: "frank" }],
    ["/amount", { ...good, amount: 0 }],
    ["/amount", { ...good, amount: -1 }],
    ["/amount", { ...good, amount: 1.5 }],
    ["/amount", { ...good, amount: Number.NaN }],
    ["/amount", { ...good, amount: 2 ** 53 }],
    ["/amount", { ...good, amount: 2n ** 63n }],
    ["/amount", { ...good, amount: 0n }],
    ["/amount", { ...good, amount: "1" }],
    ["/currency", { ...good, currency: "usd" }],
    ["/transaction_id", { ...good, transactionId: "none" }],
  ];
  const before = gateway.asked.length;
  const calls = bad.flatMap(([, transfer]) => [coffer.transfer(transfer as Transfer), coffer.transfer(good)]);
  const settled = await Promise.allSettled(calls);
  for (const [index, [path]] of bad.entries()) {
    const refused = settled[2 * index] as PromiseRejectedResult;
    expect(refused.reason).toBeInstanceOf(InvalidRequest);
    expect(refused.reason.path).toBe(path);
    expect(settled[2 * index + 1]).toMatchObject({ status: "fulfilled", value: { status: "committed" } });
  }
  const sent = gateway.asked.slice(before).reduce((sum, { transfers }) => sum + transfers, 0);
  expect(sent).toBe(bad.length);
});
