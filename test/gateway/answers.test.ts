/** What the calls that move money answer, when all is well and when the ledger says no: every field, status and header. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { newId } from "../support/ledger-specs.ts";
import { expectProblem, linesOf, names, REPLAYED, UUID_V7 } from "./answer-specs.ts";

let node: CofferNode;
let log: string;

beforeAll(async () => {
  node = await CofferNode.start(temporaryFolder());
  log = join(node.data, "events.log");
});

afterAll(async () => {
  await node?.crash();
});

describe("a transfer", () => {
  test("is answered with its id, its last seq and both balances", async () => {
    const [payer, receiver] = names("payer", "receiver");
    const { body: opened } = await node.client.open(payer, 100);
    const transaction_id = newId();
    const answer = await node.client.transfer({
      transaction_id,
      from_account: payer,
      to_account: receiver,
      amount: 30,
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("application/json");
    expect(answer.headers.get(REPLAYED)).toBeNull();
    const seq = opened.seq + 2;
    expect(answer.body).toEqual({
      transaction_id,
      status: "committed",
      seq,
      from_balance: 70,
      to_balance: 30,
    });
    expect(linesOf(log, transaction_id)).toMatchObject([
      { type: "MoneyDeducted", seq: seq - 1, amount: "30" },
      { type: "MoneyCredited", seq, amount: "30" },
    ]);
  });

  test("without an id gets a UUIDv7, under which it can be repeated", async () => {
    const [payer, receiver] = names("payer", "receiver");
    await node.client.open(payer, 100);
    const request = { from_account: payer, to_account: receiver, amount: 30 };
    const first = await node.client.transfer(request);
    expect(first.body.transaction_id).toMatch(UUID_V7);
    const second = await node.client.transfer(request);
    expect(second.body.transaction_id).not.toBe(first.body.transaction_id);
    const repeat = await node.client.transfer({ ...request, transaction_id: first.body.transaction_id });
    expect(repeat.headers.get(REPLAYED)).toBe("true");
    expect(repeat.body).toEqual({ ...first.body, from_balance: 40, to_balance: 60 });
  });

  test("that is repeated has the first status and seq, and today's balances", async () => {
    const [payer, receiver] = names("payer", "receiver");
    await node.client.open(payer, 100);
    const request = { transaction_id: newId(), from_account: payer, to_account: receiver, amount: 30 };
    const first = await node.client.transfer(request);
    await node.client.deposit(payer, 5);
    const { seq } = await node.client.ledger();
    const repeat = await node.client.transfer(request);
    expect(repeat.status).toBe(200);
    expect(repeat.headers.get(REPLAYED)).toBe("true");
    expect(repeat.body).toEqual({ ...first.body, from_balance: 75 });
    expect((await node.client.ledger()).seq).toBe(seq);
  });

  test("under an id in upper case is the same transaction", async () => {
    const [payer, receiver] = names("payer", "receiver");
    await node.client.open(payer, 100);
    const transaction_id = newId();
    const request = { from_account: payer, to_account: receiver, amount: 30 };
    const first = await node.client.transfer({ ...request, transaction_id: transaction_id.toUpperCase() });
    expect(first.body.transaction_id).toBe(transaction_id);
    const repeat = await node.client.transfer({ ...request, transaction_id });
    expect(repeat.headers.get(REPLAYED)).toBe("true");
    expect(linesOf(log, transaction_id)).toHaveLength(2);
  });

  test("that its payer cannot pay is a 422, once and for all", async () => {
    const [payer, receiver] = names("payer", "receiver");
    await node.client.open(payer, 10);
    const transaction_id = newId();
    const request = { transaction_id, from_account: payer, to_account: receiver, amount: 11 };
    const first = await node.client.transfer(request);
    const { seq } = await node.client.ledger();
    expectProblem(first, 422, "insufficient_funds", { transaction_id, seq, available: 10 });
    expect(first.headers.get(REPLAYED)).toBeNull();
    expect(first.headers.get("retry-after")).toBeNull();
    await node.client.deposit(payer, 1_000);
    const repeat = await node.client.transfer(request);
    expectProblem(repeat, 422, "insufficient_funds", { transaction_id, seq, available: 1_010 });
    expect(repeat.headers.get(REPLAYED)).toBe("true");
    expect(await node.client.balance(payer)).toBe(1_010);
    expect((await node.client.get(`/v1/wallet/balance/${receiver}`)).status).toBe(404);
    expect(linesOf(log, transaction_id)).toMatchObject([
      { type: "TransactionFailed", seq, reason: "insufficient_funds" },
    ]);
  });

  test("from an account that nobody opened is one without funds", async () => {
    const [payer, receiver] = names("payer", "receiver");
    const answer = await node.client.transfer({ from_account: payer, to_account: receiver, amount: 1 });
    expect([answer.status, answer.body.code, answer.body.available]).toEqual([422, "insufficient_funds", 0]);
  });

  test("that its payer cannot pay tells what it has available, in that currency, with all its digits", async () => {
    const [payer, receiver] = names("payer", "receiver");
    await node.client.open(payer, 7);
    await node.client.open(payer, "9007199254740993", { currency: "EUR" });
    const request = { from_account: payer, to_account: receiver };
    for (const [currency, amount, available] of [
      ["USD", 8, "7"],
      ["USD", "8", "7"],
      ["EUR", "9007199254740994", "9007199254740993"],
      ["GBP", 1, "0"],
    ] as const) {
      const { text } = await node.client.transfer({ ...request, currency, amount });
      expect(text).toContain(`,"available":${available}}`);
    }
    const { body } = await node.client.post("/v1/wallet/withdraw", { account_id: payer, amount: 8 });
    expect([body.code, body.available]).toEqual(["insufficient_funds", 7]);
  });

  test("with other content under a known id is a 409, whatever differs", async () => {
    const [payer, receiver, other] = names("payer", "receiver", "other");
    await node.client.open(payer, 100);
    await node.client.open(other, 100);
    const transaction_id = newId();
    const request = { transaction_id, from_account: payer, to_account: receiver, amount: 30 };
    await node.client.transfer(request);
    const { seq } = await node.client.ledger();
    const others = [
      await node.client.transfer({ ...request, amount: 31 }),
      await node.client.transfer({ ...request, from_account: other }),
      await node.client.transfer({ ...request, to_account: other }),
      await node.client.transfer({ ...request, currency: "EUR" }),
      await node.client.deposit(receiver, 30, { transaction_id }),
      await node.client.withdraw(payer, 30, { transaction_id }),
      await node.client.open(receiver, 30, { transaction_id }),
    ];
    for (const answer of others) {
      expectProblem(answer, 409, "transaction_id_conflict", { transaction_id });
      expect(answer.headers.get(REPLAYED)).toBeNull();
    }
    expect((await node.client.ledger()).seq).toBe(seq);
    expect(await node.client.balance(payer)).toBe(70);
  });
});

describe("an integer of 64 bits", () => {
  const ALL = "9223372036854775807";

  test("is exact in every answer and in the log", async () => {
    const [whale, minnow] = names("whale", "minnow");
    const currency = "BIG";
    const opened = await node.client.post(
      "/v1/wallet/accounts",
      `{"account_id":"${whale}","initial_balance":${ALL},"currency":"${currency}"}`,
    );
    expect(opened.status).toBe(201);
    expect(opened.text).toContain(`"currency":"BIG","balance":${ALL},"available":${ALL},"frozen":0,`);
    const transaction_id = newId();
    const moved = await node.client.post(
      "/v1/wallet/transfer",
      `{"transaction_id":"${transaction_id}","from_account":"${whale}","to_account":"${minnow}","amount":9007199254740993,"currency":"BIG"}`,
    );
    expect(moved.text).toContain('"from_balance":9214364837600034814,"to_balance":9007199254740993}');
    expect(linesOf(log, transaction_id).map((line) => line.amount)).toEqual([
      "9007199254740993",
      "9007199254740993",
    ]);
    const read = await node.client.get(`/v1/wallet/balance/${whale}?currency=BIG`);
    expect(read.text).toContain('"balance":9214364837600034814,"available":9214364837600034814,"frozen":0,');
    const world = await node.client.get("/v1/wallet/balance/@world?currency=BIG");
    expect(world.text).toContain(`"balance":-${ALL},"available":-${ALL},"frozen":0,`);
    const ledger = await node.client.get("/v1/ledger");
    expect(ledger.text).toContain(`{"currency":"BIG","sum":0,"in_circulation":${ALL}}`);

    const back = await node.client.transfer({
      from_account: minnow,
      to_account: whale,
      amount: "9007199254740993",
      currency,
    });
    expect(back.text).toContain(`"from_balance":0,"to_balance":${ALL}}`);
    const everything = await node.client.transfer({
      from_account: whale,
      to_account: minnow,
      amount: ALL,
      currency,
    });
    expect(everything.text).toContain(`"from_balance":0,"to_balance":${ALL}}`);
  });

  test("is not left: one unit more is a balance_overflow", async () => {
    const [whale] = names("whale");
    const currency = "FULL";
    expect((await node.client.deposit(whale, ALL, { currency })).status).toBe(200);
    const transaction_id = newId();
    for (const answer of [
      await node.client.deposit(whale, 1, { currency, transaction_id }),
      await node.client.open(`${whale}.2`, 1, { currency, transaction_id: newId() }),
    ]) {
      const { seq, transaction_id: id } = answer.body;
      expectProblem(answer, 422, "balance_overflow", { transaction_id: id, seq });
    }
    expect((await node.client.withdraw(whale, ALL, { currency })).status).toBe(200);
    const replayed = await node.client.deposit(whale, 1, { currency, transaction_id });
    expect([replayed.status, replayed.headers.get(REPLAYED)]).toEqual([422, "true"]);
  });
});

describe("an account", () => {
  test("is opened with 201, and answered with 200 where it is already open so", async () => {
    const [account] = names("account");
    const transaction_id = newId();
    const first = await node.client.open(account, 100, { transaction_id });
    const { seq } = await node.client.ledger();
    const fields = { account_id: account, currency: "USD", balance: 100, available: 100, frozen: 0 };
    expect(first.status).toBe(201);
    expect(first.headers.get(REPLAYED)).toBeNull();
    expect(first.body).toEqual({ transaction_id, ...fields, seq });

    const again = await node.client.open(account, 100);
    expect(again.status).toBe(200);
    expect(again.headers.get(REPLAYED)).toBeNull();
    const { transaction_id: made, seq: _, ...rest } = again.body;
    expect(rest).toEqual(fields);
    expect(made).toMatch(UUID_V7);

    const repeat = await node.client.open(account, 100, { transaction_id });
    expect(repeat.status).toBe(201);
    expect(repeat.headers.get(REPLAYED)).toBe("true");
    expect(repeat.body).toEqual(first.body);
    expect((await node.client.ledger()).seq).toBe(seq);
  });

  test("that is open with another balance is a 409, and its id is still free", async () => {
    const [account] = names("account");
    await node.client.open(account, 100);
    const transaction_id = newId();
    const { seq } = await node.client.ledger();
    expectProblem(await node.client.open(account, 99, { transaction_id }), 409, "account_exists", {
      transaction_id,
    });
    expectProblem(await node.client.open(account, 0, { transaction_id }), 409, "account_exists", {
      transaction_id,
    });
    expect((await node.client.ledger()).seq).toBe(seq);
    expect((await node.client.deposit(account, 1, { transaction_id })).status).toBe(200);
  });

  test("that a credit opened was opened with 0", async () => {
    const [account] = names("account");
    await node.client.deposit(account, 7);
    const answer = await node.client.open(account);
    expect([answer.status, answer.body.balance]).toEqual([200, 7]);
    expect((await node.client.open(account, 7)).status).toBe(409);
  });

  test("is another one in another currency", async () => {
    const [account] = names("account");
    await node.client.open(account, 1);
    const euros = await node.client.open(account, 2, { currency: "EUR" });
    expect([euros.status, euros.body.currency, euros.body.balance]).toEqual([201, "EUR", 2]);
    expect(await node.client.balance(account)).toBe(1);
  });
});

describe("deposits and withdrawals", () => {
  test("move money from and to @world", async () => {
    const [account] = names("account");
    const world = (await node.client.get("/v1/wallet/balance/@world")).body.balance;
    const transaction_id = newId();
    const deposit = await node.client.deposit(account, 50, { transaction_id });
    const { seq } = await node.client.ledger();
    const answer = { transaction_id, status: "committed", seq, from_balance: world - 50, to_balance: 50 };
    expect([deposit.status, deposit.body]).toEqual([200, answer]);
    const withdrawal = await node.client.withdraw(account, 20);
    expect(withdrawal.body).toMatchObject({ from_balance: 30, to_balance: world - 30, seq: seq + 2 });
    const tooMuch = await node.client.withdraw(account, 31);
    expect([tooMuch.status, tooMuch.body.code]).toEqual([422, "insufficient_funds"]);
    expect((await node.client.deposit(account, 50, { transaction_id })).headers.get(REPLAYED)).toBe("true");
    expect(await node.client.balance(account)).toBe(30);
  });
});

test("in a strict ledger only opened accounts pay and are paid", async () => {
  const strict = await CofferNode.start(temporaryFolder(), { flags: ["--strict", "--currency", "EUR"] });
  const { client } = strict;
  expect((await client.open("alice", 10)).body.currency).toBe("EUR");
  const transaction_id = newId();
  const refused = await client.transfer({
    transaction_id,
    from_account: "alice",
    to_account: "bob",
    amount: 1,
  });
  const { seq } = await client.ledger();
  expectProblem(refused, 422, "account_not_found", { transaction_id, seq });
  for (const answer of [
    await client.transfer({ from_account: "bob", to_account: "alice", amount: 1 }),
    await client.deposit("bob", 1),
    await client.withdraw("bob", 1),
    await client.transfer({ from_account: "alice", to_account: "bob", amount: 1, currency: "USD" }),
  ]) {
    expect([answer.status, answer.body.code]).toEqual([422, "account_not_found"]);
  }
  const batch = await client.transfers([{ from_account: "alice", to_account: "bob", amount: 1 }]);
  expect(batch.body.failures[0].code).toBe("account_not_found");
  await client.open("bob");
  expect((await client.transfer({ from_account: "alice", to_account: "bob", amount: 1 })).status).toBe(200);
  expect(
    (await client.transfer({ transaction_id, from_account: "alice", to_account: "bob", amount: 1 })).status,
  ).toBe(422);
  expect((await client.deposit("bob", 1)).status).toBe(200);
  expect(await client.balance("bob")).toBe(2);
  expect((await client.ledger()).totals).toEqual([{ currency: "EUR", sum: 0, in_circulation: 11 }]);
  await strict.crash();
});
