/**
 * The nats-server that a node carries lives, and stores nothing: the node says that it is not ready, and is
 * ready again without any help.
 */

import { expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { isRunning } from "../../tools/harness/processes.ts";
import { randomIntegers, SEED } from "../../tools/harness/seed.ts";
import { expectWhole } from "../support/node-checks.ts";
import { MAX_FALSE_MS, Readiness, readinessOf } from "../support/readiness.ts";
import { fill, SmallDisk } from "../support/small-disk.ts";
import { Tellers } from "../support/tellers.ts";

const AT_ONCE = 8;
const EVENTS = ["queue_stalled", "queue_answers", "nats_server_replaced"];
const STALLED = "the queue is stalled: it does not store messages";

/** What the node's log says about the queue that stores nothing. */
function eventsOf(node: CofferNode): string[] {
  const lines = node.process.stderr.map((line) => JSON.parse(line) as { event?: string });
  return lines.flatMap(({ event }) => (event !== undefined && EVENTS.includes(event) ? event : []));
}

async function metric(node: CofferNode, name: string): Promise<string | undefined> {
  const metrics = await (await fetch(`${node.url}/metrics`)).text();
  return new RegExp(`^${name} (.*)$`, "m").exec(metrics)?.[1];
}

test.concurrent("a disk of the queue that something else filled for 2 s: the node is ready again when there is room", async () => {
  const disk = await SmallDisk.mount("64m");
  const data = temporaryFolder();
  mkdirSync(join(disk.folder, "nats"));
  symlinkSync(join(disk.folder, "nats"), join(data, "nats"));
  const node = await CofferNode.start(data);
  const server = await node.natsPid();
  const tellers = new Tellers(randomIntegers(SEED));
  await tellers.work(node.client, 100, AT_ONCE);
  const empty = fill(disk.folder);
  const readiness = new Readiness(node, tellers);
  const working = tellers.work(node.client, 1_000_000, AT_ONCE);
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  empty();
  await eventually(
    "the node says that its queue is stalled",
    async () => (await readinessOf(node)) === STALLED,
  );
  const refused = await node.client.deposit("teller-0", 1);
  expect([refused.status, refused.body.code, refused.body.detail]).toEqual([
    503,
    "queue_unavailable",
    STALLED,
  ]);
  expect(await metric(node, "coffer_taking_commands")).toBe("0");
  const before = tellers.acknowledged;
  await eventually("commands are taken again", () => tellers.acknowledged > before + 100);
  tellers.stop();
  await working;
  expect(await readiness.stop()).toBeLessThan(MAX_FALSE_MS);
  expect([await readinessOf(node), await metric(node, "coffer_taking_commands")]).toEqual(["ready", "1"]);
  expect(await node.natsPid()).not.toBe(server);
  expect(eventsOf(node)).toEqual(["queue_stalled", "nats_server_replaced", "queue_answers"]);
  await expectWhole(node, tellers);
});

test.concurrent.each([
  ["under load", true],
  ["at rest", false],
])("a nats-server that hangs is replaced, %s", async (_, load) => {
  const node = await CofferNode.start(temporaryFolder());
  const tellers = new Tellers(randomIntegers(SEED + 1));
  await tellers.work(node.client, 20, AT_ONCE);
  const server = await node.natsPid();
  const readiness = new Readiness(node, tellers);
  const working = load ? tellers.work(node.client, 1_000_000, AT_ONCE) : Promise.resolve();
  process.kill(server, "SIGSTOP");
  await eventually("the node is not ready", async () => (await readinessOf(node)) !== "ready");
  expect((await node.client.deposit("teller-0", 1)).status).toBe(503);
  await eventually("another one is started", async () => (await node.natsPid()) !== server);
  expect(isRunning(server)).toBe(false);
  await eventually("the node is ready", async () => (await readinessOf(node)) === "ready");
  const before = tellers.acknowledged;
  if (load) await eventually("commands are taken again", () => tellers.acknowledged > before + 100);
  tellers.stop();
  await working;
  expect(await readiness.stop()).toBeLessThan(MAX_FALSE_MS);
  expect(eventsOf(node).filter((event) => event === "nats_server_replaced")).toHaveLength(1);
  // An empty frame is nobody's mistake.
  expect(await metric(node, "coffer_malformed_messages_total")).toBe("0");
  await expectWhole(node, tellers);
});

test.concurrent("an id that comes twice while the nats-server stands still is answered once as a first decision", async () => {
  const node = await CofferNode.start(temporaryFolder());
  expect((await node.client.open("alice", 100)).status).toBe(201);
  const transfer = () => ({
    transaction_id: randomUUID(),
    from_account: "alice",
    to_account: "bob",
    amount: 1,
  });
  const one = transfer();
  const batch = [transfer(), transfer()];
  const server = await node.natsPid();
  process.kill(server, "SIGSTOP");
  const singles = [node.client.transfer(one)];
  const batches = [node.client.transfers(batch)];
  await new Promise((resolve) => setTimeout(resolve, 100)); // another turn, and so another frame
  singles.push(node.client.transfer(one));
  batches.push(node.client.transfers(batch));
  await eventually("their frames were sent again", () => eventsOf(node).includes("queue_stalled"));
  process.kill(server, "SIGCONT");

  const answers = await Promise.all(singles);
  expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  const replayed = answers.map(({ headers }) => headers.get("idempotent-replayed"));
  expect(replayed.sort()).toEqual([null, "true"]);
  const told = (await Promise.all(batches)).map(({ body }) => [body.committed, body.replayed, body.failed]);
  expect(told.sort()).toEqual([
    [0, 2, 0],
    [2, 0, 0],
  ]);
  expect(await node.client.balance("bob")).toBe(3);
  await eventually("the node is ready", async () => (await readinessOf(node)) === "ready");
  expect(eventsOf(node)).toEqual(["queue_stalled", "queue_answers"]);
  expect(await node.stop()).toBe(0);
});
