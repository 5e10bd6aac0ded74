/**
 * An external NATS lives, and stores nothing: the node says that it is not ready, refuses commands at once, and
 * is ready again when NATS stores again.
 */

import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { NatsServer } from "../../tools/harness/nats.ts";
import { randomIntegers, SEED } from "../../tools/harness/seed.ts";
import { NatsCluster } from "../support/nats-cluster.ts";
import { expectWhole } from "../support/node-checks.ts";
import { MAX_FALSE_MS, Readiness, readinessOf } from "../support/readiness.ts";
import { fill, SmallDisk } from "../support/small-disk.ts";
import { Tellers } from "../support/tellers.ts";

const STREAM = "COFFER_COMMANDS";
const AT_ONCE = 8;
const PAUSE_MS = 20;
const MAX_TRIES = 8;
const STALLED = "the queue is stalled: it does not store messages";

const ended: (() => Promise<unknown>)[] = [];
afterAll(() => Promise.all(ended.map((end) => end())));

/** Callers that try again and again, without a flood of refusals. */
const work = (tellers: Tellers, node: CofferNode) => tellers.work(node.client, 1_000_000, AT_ONCE, PAUSE_MS);

/** Which server sends the messages of the stream. */
async function sender(cluster: NatsCluster, connected: number): Promise<number> {
  const connection = await cluster.connect(connected);
  try {
    const manager = await jetstreamManager(connection);
    const [consumer] = await manager.consumers.list(STREAM).next();
    return Number(consumer?.cluster?.leader?.slice(1));
  } finally {
    await connection.close();
  }
}

test.concurrent.each([
  ["under load", true],
  ["at rest", false],
])("one whose stream has lost its quorum, %s: not ready until there is one again", async (_, load) => {
  const cluster = await NatsCluster.start();
  ended.push(() => cluster.stop());
  const data = temporaryFolder();
  const tellers = new Tellers(randomIntegers(SEED));
  let node: CofferNode;
  let survivor: number;
  // The node is to go on hearing from its consumer, which the cluster places where it likes.
  for (let time = 0; ; time++) {
    const server = time % NatsCluster.SERVERS;
    survivor = server;
    const flags = ["--nats-url", cluster.url(server), "--stream-replicas", "3"];
    node = await CofferNode.start(data, { flags });
    const { process } = node;
    ended.push(() => process.crash());
    await tellers.work(node.client, 20, AT_ONCE);
    if ((await sender(cluster, server)) === server || time === MAX_TRIES) break;
    expect(await node.stop()).toBe(0);
  }
  const others = [0, 1, 2].filter((index) => index !== survivor);
  const readiness = new Readiness(node, tellers);
  const working = load ? work(tellers, node) : Promise.resolve();
  await Promise.all(others.map((index) => cluster.crash(index)));
  await eventually("the node is not ready", async () => {
    // A server without a quorum may go on reporting the stream's state: then the next command finds out.
    if (!load && (await readinessOf(node)) === "ready") await tellers.work(node.client, 1, 1);
    return (await readinessOf(node)) !== "ready";
  });
  const { status, body } = await node.client.deposit("teller-0", 1);
  expect([status, body.code]).toEqual([503, "queue_unavailable"]);
  await Promise.all(others.map((index) => cluster.restart(index)));
  await eventually("the node is ready", async () => (await readinessOf(node)) === "ready");
  const before = tellers.acknowledged;
  if (load) await eventually("commands are taken again", () => tellers.acknowledged > before + 20);
  tellers.stop();
  await working;
  expect(await readiness.stop()).toBeLessThan(MAX_FALSE_MS);
  await expectWhole(node, tellers);
});

test.concurrent("one whose disk was full: not ready, with room too, until its operator starts it again", async () => {
  const disk = await SmallDisk.mount("64m");
  let server = await NatsServer.start(join(disk.folder, "nats"));
  ended.push(() => server.crash());
  const node = await CofferNode.start(temporaryFolder(), { flags: ["--nats-url", server.url] });
  ended.push(() => node.crash());
  const tellers = new Tellers(randomIntegers(SEED + 1));
  await tellers.work(node.client, 50, AT_ONCE);
  const readiness = new Readiness(node, tellers);
  const working = work(tellers, node);
  const empty = fill(disk.folder);
  await eventually("the node is not ready", async () => (await readinessOf(node)) === STALLED);
  empty();
  const statuses = new Set<string>();
  for (const until = performance.now() + 4_000; performance.now() < until; )
    statuses.add(await readinessOf(node));
  expect([...statuses]).toEqual([STALLED]);
  await server.crash();
  server = await server.restart();
  await eventually("the node is ready", async () => (await readinessOf(node)) === "ready");
  const before = tellers.acknowledged;
  await eventually("commands are taken again", () => tellers.acknowledged > before + 20);
  tellers.stop();
  await working;
  expect(await readiness.stop()).toBeLessThan(MAX_FALSE_MS);
  await expectWhole(node, tellers);
});
