/** The nats-server that a node carries, killed or spoilt under it. */

import { expect, test } from "bun:test";
import { CofferNode, RUNTIME_NAMES } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { randomIntegers, SEED } from "../../tools/harness/seed.ts";
import { expectWhole } from "../support/node-checks.ts";
import { Tellers } from "../support/tellers.ts";

const KILLS = 2;

// At once, for they wait a good part of the time.
test("a nats-server that is killed under load is started again, and every command comes to an end", async () => {
  await Promise.all(
    RUNTIME_NAMES.map(async (runtime) => {
      const random = randomIntegers(SEED);
      const node = await CofferNode.start(temporaryFolder(), { runtime });
      const tellers = new Tellers(random);
      const working = tellers.work(node.client, 1_000_000, 16);
      for (let kill = 0; kill < KILLS; kill++) {
        const enough = tellers.acknowledged + 100 + random(200);
        await eventually("there is load", () => tellers.acknowledged > enough);
        const nats = await node.natsPid();
        process.kill(nats, "SIGKILL");
        await eventually("another nats-server runs", async () => (await node.natsPid()) !== nats);
      }
      const enough = tellers.acknowledged + 200;
      await eventually("commands go through again", () => tellers.acknowledged > enough);
      tellers.stop();
      await working;
      for (const status of tellers.statuses.keys()) expect([200, 201, 422, 503, 504]).toContain(status);
      await expectWhole(node, tellers);
    }),
  );
});

test("while the nats-server is away, commands are refused at once, reads go on, and the node says that it is unready", async () => {
  const node = await CofferNode.start(temporaryFolder());
  await node.client.deposit("alice", 5);
  const nats = await node.natsPid();
  process.kill(nats, "SIGSTOP");
  // Its heartbeat is missed, and then it does not answer: the connection counts as lost.
  await eventually(
    "the node is unready",
    async () => (await node.client.get("/health/ready")).status === 503,
  );
  const { status, headers, body } = await node.client.deposit("alice", 1);
  expect([status, body.code, headers.get("retry-after")]).toEqual([503, "queue_unavailable", "1"]);
  expect(await node.client.balance("alice")).toBe(5);
  expect((await node.client.get("/health/live")).status).toBe(200);
  process.kill(nats, "SIGCONT");
  await eventually("the node is ready", async () => (await node.client.get("/health/ready")).status === 200);
  expect((await node.client.deposit("alice", 1)).body.to_balance).toBe(6);
  expect(await node.stop()).toBe(0);
});

test("a command without an outcome in time is a 504 with its id: sent again, it is decided once", async () => {
  const node = await CofferNode.start(temporaryFolder(), { flags: ["--outcome-timeout-ms", "300"] });
  const { client } = node;
  await client.open("alice", 100);
  const { seq } = await client.ledger();
  const nats = await node.natsPid();
  process.kill(nats, "SIGSTOP");
  const request = { from_account: "alice", to_account: "bob", amount: 10 };
  const tooMuch = { from_account: "bob", to_account: "alice", amount: 1_000 };
  const [single, batch] = await Promise.all([client.transfer(request), client.transfers([request, tooMuch])]);
  process.kill(nats, "SIGCONT");
  for (const { status, body } of [single, batch])
    expect([status, body.code]).toEqual([504, "outcome_unknown"]);
  const ids: string[] = batch.body.transaction_ids;
  expect(ids).toHaveLength(2);
  await eventually("all have been decided", async () => (await client.ledger()).seq === seq + 5);

  const again = await client.transfer({ ...request, transaction_id: single.body.transaction_id });
  expect([again.status, again.headers.get("idempotent-replayed")]).toEqual([200, "true"]);
  const { body } = await client.transfers([
    { ...request, transaction_id: ids[0]! },
    { ...tooMuch, transaction_id: ids[1]! },
  ]);
  expect(body).toMatchObject({ committed: 0, replayed: 1, failed: 1 });
  expect(await client.balance("alice")).toBe(80);
  expect(await node.stop()).toBe(0);
});
