/** An id that was used before, with other content: refused, and nothing is written. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CofferNode, RUNTIME_NAMES } from "../../tools/harness/coffer.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import type { WalletAnswer, WalletClient } from "../../tools/harness/wallet-client.ts";

/** Each sends something else under the id of `ORIGINALS`. */
const OTHERS: Readonly<Record<string, (client: WalletClient, id: string) => Promise<WalletAnswer>>> = {
  "another amount": (client, transaction_id) => client.transfer({ ...CONTENT, transaction_id, amount: 21 }),
  "another payer": (client, transaction_id) =>
    client.transfer({ ...CONTENT, transaction_id, from_account: "dave" }),
  "another receiver": (client, transaction_id) =>
    client.transfer({ ...CONTENT, transaction_id, to_account: "dave" }),
  "the opposite direction": (client, transaction_id) =>
    client.transfer({ transaction_id, from_account: "bob", to_account: "alice", amount: 20 }),
  "another currency": (client, transaction_id) =>
    client.transfer({ ...CONTENT, transaction_id, currency: "EUR" }),
  "a deposit": (client, transaction_id) => client.deposit("bob", 20, { transaction_id }),
  "a withdrawal": (client, transaction_id) => client.withdraw("alice", 20, { transaction_id }),
  "an opening": (client, transaction_id) => client.open("carol", 20, { transaction_id }),
};
const CONTENT = { from_account: "alice", to_account: "bob", amount: 20 };

/** What the id was first used for. */
const ORIGINALS: Readonly<Record<string, (client: WalletClient, id: string) => Promise<WalletAnswer>>> = {
  "a committed transfer": (client, transaction_id) => client.transfer({ ...CONTENT, transaction_id }),
  "a rejected transfer": (client, transaction_id) =>
    client.transfer({ ...CONTENT, transaction_id, from_account: "poor" }),
  "an opening": (client, transaction_id) => client.open("opened", 20, { transaction_id }),
  "a deposit": (client, transaction_id) => client.deposit("alice", 20, { transaction_id }),
};

describe.each(RUNTIME_NAMES)("under %s", (runtime) => {
  let node: CofferNode;
  const data = temporaryFolder();
  const ids = Object.fromEntries(Object.keys(ORIGINALS).map((name) => [name, randomUUID()]));

  const log = () => readFileSync(join(data, "events.log"), "latin1");

  beforeAll(async () => {
    node = await CofferNode.start(data, { runtime });
    for (const account of ["alice", "bob", "dave"]) await node.client.open(account, 1_000);
    await node.client.open("poor", 5);
    const statuses = [];
    for (const [name, send] of Object.entries(ORIGINALS))
      statuses.push((await send(node.client, ids[name]!)).status);
    expect(statuses).toEqual([200, 422, 201, 200]);
  });
  afterAll(() => node.crash());

  /** Every kind of other content, under every id. */
  async function conflicts(): Promise<void> {
    const before = log();
    for (const [original, id] of Object.entries(ids)) {
      for (const [other, send] of Object.entries(OTHERS)) {
        if (original === "a deposit" && other === "a deposit") continue;
        const { status, headers, body } = await send(node.client, id);
        expect([original, other, status]).toEqual([original, other, 409]);
        expect(body).toMatchObject({ code: "transaction_id_conflict", status: 409, transaction_id: id });
        expect(headers.get("content-type")).toBe("application/problem+json");
        expect(headers.get("idempotent-replayed")).toBeNull();
      }
    }
    expect(log()).toBe(before);
  }

  test("is refused with 409, whatever differs, and nothing is written", conflicts);

  test("stays refused after a restart, and the first content still has its first outcome", async () => {
    await node.crash();
    node = await CofferNode.start(data, { runtime });
    await conflicts();
    for (const [name, send] of Object.entries(ORIGINALS)) {
      const { headers, status } = await send(node.client, ids[name]!);
      expect([name, status, headers.get("idempotent-replayed")]).toEqual([
        name,
        name === "a rejected transfer" ? 422 : name === "an opening" ? 201 : 200,
        "true",
      ]);
    }
  });

  test("is a failure in a batch, beside transfers that go through", async () => {
    const fresh = randomUUID();
    const { status, body } = await node.client.transfers([
      { ...CONTENT, transaction_id: ids["a committed transfer"]!, amount: 1 },
      { ...CONTENT, transaction_id: fresh },
      { ...CONTENT, transaction_id: fresh, amount: 2 },
      { ...CONTENT, transaction_id: fresh },
      { ...CONTENT, transaction_id: ids["an opening"]! },
    ]);
    expect(status).toBe(200);
    const code = "transaction_id_conflict";
    expect(body).toMatchObject({ committed: 1, replayed: 1, failed: 3 });
    expect(body.failures).toEqual([
      { index: 0, transaction_id: ids["a committed transfer"]!, code },
      { index: 2, transaction_id: fresh, code },
      { index: 4, transaction_id: ids["an opening"]!, code },
    ]);
  });

  test("of fifty contents under one id, all at once, one is decided and the others are refused", async () => {
    const transaction_id = randomUUID();
    const before = await node.client.balance("alice");
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        node.client.transfer({ ...CONTENT, transaction_id, amount: index + 1 }),
      ),
    );
    const winners = answers.flatMap(({ status }, index) => (status === 200 ? [index + 1] : []));
    expect(winners).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(49);
    expect(await node.client.balance("alice")).toBe(before - winners[0]!);
  });

  test("an opening of an account that is open elsewise leaves its id free", async () => {
    const transaction_id = randomUUID();
    const { status, body } = await node.client.open("alice", 3, { transaction_id });
    expect([status, body.code]).toEqual([409, "account_exists"]);
    expect((await node.client.transfer({ ...CONTENT, transaction_id })).status).toBe(200);
  });
});
