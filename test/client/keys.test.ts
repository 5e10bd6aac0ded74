/** The client with the keys of a node. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { Coffer, OutcomeUnknown, RequestFailed } from "../../clients/typescript/src/index.ts";
import { addKey, CofferNode } from "../../tools/harness/coffer.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { FaultyGateway, problem } from "./faulty-gateway.ts";

let node: CofferNode;
let gateway: FaultyGateway;
const keys: Record<string, string> = {};

beforeAll(async () => {
  const data = temporaryFolder();
  keys.all = await addKey(data, "all", "write");
  keys.read = await addKey(data, "read", "read");
  keys.shop = await addKey(data, "shop", "write", "shop-");
  node = await CofferNode.start(data);
  gateway = new FaultyGateway(node.url, async ({ path, headers, body }) => {
    const { authorization = "" } = Object.fromEntries(headers);
    const type = { "content-type": "application/json", authorization };
    return fetch(node.url + path, body === "" ? { headers: type } : { method: "POST", headers: type, body });
  });
  const coffer = new Coffer(node.url, { token: keys.all });
  for (const account of ["shop-1", "shop-2", "bank"])
    await coffer.openAccount({ account, initialBalance: 100 });
});

afterAll(async () => {
  await gateway?.stop();
  await node?.crash();
});

test("with a key every call is let in", async () => {
  const coffer = new Coffer(node.url, { token: keys.all });
  expect((await coffer.transfer({ from: "shop-1", to: "shop-2", amount: 1 })).status).toBe("committed");
  expect((await coffer.deposit({ to: "shop-1", amount: 1 })).status).toBe("committed");
  expect((await coffer.balance("shop-1"))?.balance).toBe(100n);
  expect((await coffer.ledger()).transactions).toBeGreaterThan(3);
});

test("without one, with a wrong one and with one of too small a scope a call fails at once", async () => {
  const cases = [
    [{}, 401, "unauthorized"],
    [{ token: `${keys.all}x` }, 401, "unauthorized"],
    [{ token: keys.read }, 403, "forbidden"],
  ] as const;
  for (const [options, status, code] of cases) {
    const coffer = new Coffer(gateway.url, options);
    for (const call of [
      () => coffer.transfer({ from: "shop-1", to: "shop-2", amount: 1 }),
      () => coffer.withdraw({ from: "shop-1", amount: 1 }),
      () => coffer.openAccount({ account: "shop-3" }),
    ]) {
      gateway.asked.length = 0;
      const error = await call().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(RequestFailed);
      expect(error).toMatchObject({ status, code });
      expect(gateway.asked).toHaveLength(1);
    }
  }
});

test("transfers out of accounts that the key is not bound to fail alone, the others of their batch go", async () => {
  const coffer = new Coffer(gateway.url, { token: keys.shop });
  gateway.asked.length = 0;
  const results = await Promise.allSettled(
    ["shop-1", "bank", "shop-2", "bank", "shop-1"].map((from) =>
      coffer.transfer({ from, to: "till", amount: 2 }),
    ),
  );
  expect(results.map(({ status }) => status)).toEqual([
    "fulfilled",
    "rejected",
    "fulfilled",
    "rejected",
    "fulfilled",
  ]);
  for (const result of results) {
    if (result.status === "fulfilled")
      expect(result.value).toMatchObject({ status: "committed", replayed: false });
    else {
      expect(result.reason).toBeInstanceOf(RequestFailed);
      expect(result.reason).toMatchObject({ status: 403, code: "forbidden" });
    }
  }
  expect(gateway.asked.map(({ transfers }) => transfers)).toEqual([5, 4, 3]);
  const bank = new Coffer(node.url, { token: keys.all });
  expect([(await bank.balance("till"))?.balance, (await bank.balance("bank"))?.balance]).toEqual([6n, 100n]);
});

test("after an attempt that may have been executed, a refusal leaves the outcome unknown", async () => {
  const gate = new FaultyGateway(node.url, ({ body }) =>
    gate.asked.length === 1
      ? problem(504, {})
      : problem(403, { code: "forbidden", path: body.includes("bank") ? "/transfers/0/from_account" : "" }),
  );
  const coffer = new Coffer(gate.url, { token: keys.shop });
  const error = await coffer.transfer({ from: "bank", to: "till", amount: 1 }).catch((reason) => reason);
  expect(error).toBeInstanceOf(OutcomeUnknown);
  await gate.stop();
});
