/** What batches and reads answer: every field, status and header. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import { newId } from "../support/ledger-specs.ts";
import { expectProblem, linesOf, names, UUID_V7 } from "./answer-specs.ts";

let node: CofferNode;
let log: string;

beforeAll(async () => {
  node = await CofferNode.start(temporaryFolder());
  log = join(node.data, "events.log");
});

afterAll(async () => {
  await node?.crash();
});

describe("a batch", () => {
  test("counts what it did, and lists its failures in order", async () => {
    const [rich, poor, other] = names("rich", "poor", "other");
    await node.client.open(rich, 100);
    await node.client.open(poor, 0);
    const before = { transaction_id: newId(), from_account: rich, to_account: other, amount: 1 };
    const failedBefore = { transaction_id: newId(), from_account: poor, to_account: other, amount: 1 };
    await node.client.transfer(before);
    await node.client.transfer(failedBefore);
    const fresh = { transaction_id: newId(), from_account: rich, to_account: other, amount: 10 };
    const { seq } = await node.client.ledger();
    const transfers = [
      failedBefore,
      fresh,
      { ...before, amount: 2 },
      fresh,
      { transaction_id: newId(), from_account: poor, to_account: rich, amount: 1 },
      { transaction_id: newId(), from_account: other, to_account: poor, amount: 11 },
      { transaction_id: newId(), from_account: rich, to_account: poor, amount: 90 },
      before,
    ];
    const answer = await node.client.transfers(transfers);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("application/json");
    expect(answer.body).toEqual({
      committed: 2,
      replayed: 2,
      failed: 4,
      failures: [
        { index: 0, transaction_id: transfers[0]?.transaction_id, code: "insufficient_funds" },
        { index: 2, transaction_id: transfers[2]?.transaction_id, code: "transaction_id_conflict" },
        { index: 4, transaction_id: transfers[4]?.transaction_id, code: "insufficient_funds" },
        { index: 6, transaction_id: transfers[6]?.transaction_id, code: "insufficient_funds" },
      ],
      seq: seq + 6,
    });
    expect((await node.client.ledger()).seq).toBe(seq + 6);
    expect([
      await node.client.balance(rich),
      await node.client.balance(other),
      await node.client.balance(poor),
    ]).toEqual([89, 0, 11]);
  });

  test("tells all ids in order where one of them was made, and none where all were given", async () => {
    const [payer, receiver] = names("payer", "receiver");
    await node.client.open(payer, 2);
    const given = newId();
    const transfer = { from_account: payer, to_account: receiver, amount: 1 };
    const mixed = await node.client.transfers([transfer, { ...transfer, transaction_id: given }, transfer]);
    const { transaction_ids, failures } = mixed.body;
    expect(transaction_ids).toHaveLength(3);
    expect(transaction_ids[1]).toBe(given);
    expect(transaction_ids[0]).toMatch(UUID_V7);
    expect(new Set(transaction_ids).size).toBe(3);
    expect(failures).toEqual([{ index: 2, transaction_id: transaction_ids[2], code: "insufficient_funds" }]);
    expect(linesOf(log, transaction_ids[0])).toHaveLength(2);
    expect(
      "transaction_ids" in (await node.client.transfers([{ ...transfer, transaction_id: given }])).body,
    ).toBe(false);
  });

  test("of which all fail is a 200", async () => {
    const [payer, receiver] = names("payer", "receiver");
    const answer = await node.client.transfers(
      [1, 2].map((amount) => ({
        transaction_id: newId(),
        from_account: payer,
        to_account: receiver,
        amount,
      })),
    );
    expect([answer.status, answer.body.committed, answer.body.replayed, answer.body.failed]).toEqual([
      200, 0, 0, 2,
    ]);
  });

  test("of 8,192 transfers adds up", async () => {
    const [payer, receiver] = names("payer", "receiver");
    await node.client.open(payer, 8_000);
    const transfers = Array.from({ length: 8_192 }, () => ({
      transaction_id: newId(),
      from_account: payer,
      to_account: receiver,
      amount: 1,
    }));
    const first = await node.client.transfers(transfers);
    expect([first.status, first.body.committed, first.body.replayed, first.body.failed]).toEqual([
      200, 8_000, 0, 192,
    ]);
    expect(first.body.failures.map((failure: { index: number }) => failure.index)).toEqual(
      Array.from({ length: 192 }, (_, i) => 8_000 + i),
    );
    const { seq } = await node.client.ledger();
    expect(first.body.seq).toBe(seq);
    const again = await node.client.transfers(transfers);
    expect(again.body).toEqual({ ...first.body, committed: 0, replayed: 8_000 });
    expect((await node.client.ledger()).seq).toBe(seq);
    expect(await node.client.balance(receiver)).toBe(8_000);
  });

  test("may say that it is not atomic", async () => {
    const [payer, receiver] = names("payer", "receiver");
    const transfers = [{ from_account: payer, to_account: receiver, amount: 1 }];
    for (const body of [
      { atomic: false, transfers },
      { transfers, atomic: false },
    ]) {
      expect((await node.client.post("/v1/wallet/transfers", body)).body.failed).toBe(1);
    }
  });
});

describe("reading", () => {
  test("a balance tells what there is, as of the last event", async () => {
    const [account] = names("account");
    const { body: deposited } = await node.client.deposit(account, 12);
    const answer = await node.client.get(`/v1/wallet/balance/${account}`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("application/json");
    const balance = { account_id: account, currency: "USD", balance: 12, available: 12, frozen: 0 };
    expect(answer.body).toEqual({ ...balance, seq: deposited.seq });
    await node.client.deposit(account, 1, { currency: "EUR" });
    const later = await node.client.get(`/v1/wallet/balance/${account}?currency=USD`);
    expect(later.body).toEqual({ ...balance, seq: deposited.seq + 2 });
    expect((await node.client.get(`/v1/wallet/balance/${account}?currency=EUR`)).body.balance).toBe(1);
  });

  test("an account may be written with escapes", async () => {
    const [account] = names("a:b@c+d-e_f");
    await node.client.deposit(account, 5);
    for (const path of [account, encodeURIComponent(account), account.replace("a", "%61")]) {
      const { body } = await node.client.get(`/v1/wallet/balance/${path}?`);
      expect([body.account_id, body.balance]).toEqual([account, 5]);
    }
  });

  test("@world has a balance in every currency, also where nothing was ever moved", async () => {
    for (const path of ["@world", "%40world"]) {
      const { status, body } = await node.client.get(`/v1/wallet/balance/${path}?currency=XAU`);
      expect([status, body.account_id, body.balance]).toEqual([200, "@world", 0]);
    }
  });

  test("an account that was never opened in the currency is a 404", async () => {
    const [account] = names("account");
    await node.client.open(account);
    expectProblem(
      await node.client.get(`/v1/wallet/balance/${account}?currency=EUR`),
      404,
      "account_not_found",
      {},
    );
    expectProblem(await node.client.get(`/v1/wallet/balance/${account}x`), 404, "account_not_found", {});
  });

  test("the ledger counts accounts and transactions, and every currency adds up to 0", async () => {
    const [account, other] = names("account", "other");
    const before = await node.client.ledger();
    const currency = "AAA";
    await node.client.open(account, 9, { currency });
    await node.client.open(account, 9, { currency });
    await node.client.withdraw(account, 2, { currency });
    await node.client.withdraw(account, 8, { currency });
    await node.client.transfer({ from_account: account, to_account: other, amount: 1, currency });
    const answer = await node.client.get("/v1/ledger");
    const { totals, ...rest } = answer.body;
    expect(answer.headers.get("content-type")).toBe("application/json");
    expect(rest).toEqual({
      ledger_id: before.ledger_id,
      seq: before.seq + 6,
      accounts: before.accounts + 2,
      transactions: before.transactions + 4,
    });
    expect(totals[0]).toEqual({ currency, sum: 0, in_circulation: 7 });
    const currencies = totals.map((total: { currency: string }) => total.currency);
    expect(currencies).toEqual([...currencies].sort());
    expect(totals.every((total: { sum: number }) => total.sum === 0)).toBe(true);
    expect(replayIndependently(log).events).toBe(rest.seq);
  });

  test("HEAD answers as GET does, without a body", async () => {
    for (const [path, status] of [
      ["/v1/ledger", 200],
      ["/v1/wallet/balance/@world", 200],
      ["/v1/wallet/balance/nobody", 404],
      ["/health/ready", 200],
    ] as const) {
      const answer = await fetch(node.url + path, { method: "HEAD" });
      expect([answer.status, await answer.text()]).toEqual([status, ""]);
    }
  });

  test("a node that is well says so", async () => {
    expect((await node.client.get("/health/live")).body).toEqual({ status: "live" });
    expect((await node.client.get("/health/ready")).body).toEqual({ status: "ready" });
  });
});
