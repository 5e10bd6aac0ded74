/** What a key that is bound to accounts can do, on the short way and the long one, and what it is not told. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { addKey, CofferNode } from "../../tools/harness/coffer.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { type WalletAnswer, WalletClient } from "../../tools/harness/wallet-client.ts";
import { newId } from "../support/ledger-specs.ts";

let node: CofferNode;
/** Bound to `shop-1:`. */
let shop: WalletClient;
let unbound: WalletClient;

const MINE = "shop-1:till";
const OWN = "shop-1:safe";
const THEIRS = "shop-12:till";

beforeAll(async () => {
  const data = temporaryFolder();
  const shopKey = await addKey(data, "shop-1", "write", "shop-1:");
  const key = await addKey(data, "all", "admin");
  node = await CofferNode.start(data);
  shop = new WalletClient(node.url, { key: shopKey });
  unbound = new WalletClient(node.url, { key });
  for (const account of [MINE, OWN, THEIRS]) expect((await unbound.open(account, 1_000)).status).toBe(201);
});

afterAll(() => node?.crash());

const lines = () => readFileSync(join(node.data, "events.log"), "latin1").split("\n").length;

/** Path of a refusal that has left nothing in the log. */
async function refusedAt(call: () => Promise<WalletAnswer>): Promise<string> {
  const before = lines();
  const { status, headers, body } = await call();
  expect([status, body.code, headers.get("www-authenticate")]).toEqual([403, "forbidden", null]);
  expect(await unbound.balance(THEIRS)).toBe(1_000);
  expect(lines()).toBe(before);
  return body.path;
}

/** A transfer as each way reads it: from its bytes, and taken apart. */
const WAYS = {
  "plain bytes": (body: string) => body,
  "an escape": (body: string) => body.replace('"from_account":"s', '"from_account":"\\u0073'),
  "an amount that is text": (body: string) => body.replace(/"amount":([0-9]+)/g, '"amount":"$1"'),
} as const;

const body = (from_account: string, to_account: string, more: object = {}) =>
  JSON.stringify({ transaction_id: newId(), from_account, to_account, amount: 1, ...more });

for (const [way, write] of Object.entries(WAYS)) {
  const transfer = (text: string) => shop.post("/v1/wallet/transfer", write(text));
  const transfers = (texts: readonly string[]) =>
    shop.post("/v1/wallet/transfers", `{"transfers":[${texts.map(write).join(",")}]}`);

  test(`${way}: its own accounts pay whomever they like`, async () => {
    expect((await transfer(body(MINE, THEIRS, { amount: 5 }))).status).toBe(200);
    expect((await transfers([body(MINE, THEIRS), body(OWN, MINE)])).body).toMatchObject({ committed: 2 });
    const back = { from_account: THEIRS, to_account: MINE, amount: 6 };
    expect((await unbound.transfer(back)).status).toBe(200);
  });

  test(`${way}: others' accounts pay nothing, and a batch is refused whole`, async () => {
    expect(await refusedAt(() => transfer(body(THEIRS, MINE)))).toBe("/from_account");
    expect(await refusedAt(() => transfer(body("shop-1", MINE)))).toBe("/from_account");
    expect(await refusedAt(() => transfer(body("s", "shop-1:x")))).toBe("/from_account");
    const batch = [body(MINE, OWN), body(MINE, THEIRS), body(THEIRS, MINE), body("shop-2", MINE)];
    expect(await refusedAt(() => transfers(batch))).toBe("/transfers/2/from_account");
  });

  test(`${way}: of others' balances nothing is told`, async () => {
    const paid = await transfer(body(MINE, THEIRS));
    expect(Object.keys(paid.body)).toEqual(["transaction_id", "status", "seq", "from_balance"]);
    const moved = await transfer(body(MINE, OWN));
    expect(moved.body).toMatchObject({
      from_balance: await unbound.balance(MINE),
      to_balance: await unbound.balance(OWN),
    });
    await unbound.transfer({ from_account: THEIRS, to_account: MINE, amount: 1 });
  });
}

test("what is no request is 400, whoever's accounts it names", async () => {
  const answer = await shop.post("/v1/wallet/transfers", `{"transfers":[${body(THEIRS, MINE)},{}]}`);
  expect([answer.status, answer.body.path]).toEqual([400, "/transfers/1/from_account"]);
});

test("a transfer without an id, and its repeat, tell no more than the first", async () => {
  const made = await shop.post("/v1/wallet/transfer", { from_account: MINE, to_account: THEIRS, amount: 2 });
  const { transaction_id } = made.body;
  const again = { transaction_id, from_account: MINE, to_account: THEIRS, amount: 2 };
  const repeat = await shop.transfer(again);
  expect([repeat.headers.get("idempotent-replayed"), Object.keys(repeat.body)]).toEqual([
    "true",
    Object.keys(made.body),
  ]);
  await unbound.transfer({ from_account: THEIRS, to_account: MINE, amount: 2 });
});

test("what its own account lacks is told, and what others lack is not", async () => {
  for (const amount of [10_000_000, "10000000"]) {
    const poor = await shop.transfer({ from_account: MINE, to_account: THEIRS, amount });
    expect([poor.status, poor.body.available]).toEqual([422, await unbound.balance(MINE)]);
    const theirs = await shop.transfer({ from_account: THEIRS, to_account: MINE, amount });
    expect([theirs.status, theirs.body.available]).toEqual([403, undefined]);
  }
});

test("another's transaction id tells that it is taken, and not by what", async () => {
  const transaction_id = newId();
  const theirs = { transaction_id, from_account: THEIRS, to_account: OWN, amount: 1 };
  await unbound.transfer(theirs);
  await unbound.transfer({ from_account: OWN, to_account: THEIRS, amount: 1 });
  expect(await refusedAt(() => shop.transfer(theirs))).toBe("/from_account");
  const own = await shop.transfer({ ...theirs, from_account: MINE });
  expect([own.status, own.body.code]).toEqual([409, "transaction_id_conflict"]);
  expect(own.text).not.toContain(THEIRS);
});

test("it withdraws from its own accounts, and is not told what is in circulation", async () => {
  expect(await refusedAt(() => shop.withdraw(THEIRS, 1))).toBe("/account_id");
  const { status, body } = await shop.withdraw(MINE, 1);
  expect([status, Object.keys(body)]).toEqual([200, ["transaction_id", "status", "seq", "from_balance"]]);
});

test("it makes no money: no deposit, and its accounts open empty", async () => {
  expect(await refusedAt(() => shop.deposit(MINE, 1))).toBeUndefined();
  expect(await refusedAt(() => shop.open("shop-1:new", 1))).toBe("/initial_balance");
  expect(await refusedAt(() => shop.open("shop-2", 0))).toBe("/account_id");
  expect(await refusedAt(() => shop.open(THEIRS, 1_000))).toBe("/account_id");
  expect((await shop.open("shop-1:new", 0)).status).toBe(201);
  expect((await shop.open("shop-1:new", "0")).status).toBe(200);
});

test("it reads its own balances alone, and not the ledger's totals", async () => {
  expect((await shop.get(`/v1/wallet/balance/${encodeURIComponent(MINE)}`)).status).toBe(200);
  expect((await shop.get("/v1/wallet/balance/shop-1:never")).status).toBe(404);
  for (const account of [THEIRS, "@world", "shop-1", "shop-1%2E", "nobody", "shop-2%3Anever"])
    expect([account, await refusedAt(() => shop.get(`/v1/wallet/balance/${account}`))]).toEqual([
      account,
      "/account_id",
    ]);
  expect(await refusedAt(() => shop.get("/v1/ledger"))).toBeUndefined();
});
