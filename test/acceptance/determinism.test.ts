/** Nodes that read one stream write one log, to the byte, whenever they read it. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import { CofferNode, coffer, RUNTIME_NAMES, type RuntimeName } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import type { Asked } from "../../tools/harness/ledger-audit.ts";
import { NatsServer } from "../../tools/harness/nats.ts";
import { randomIntegers, SEED } from "../../tools/harness/seed.ts";
import { Tellers } from "../support/tellers.ts";

const SUBJECT = "coffer.commands.0";
const REQUESTS = 400;
const AT_ONCE = 16;

let nats: NatsServer;
let flags: readonly string[];
const nodes: CofferNode[] = [];

beforeAll(async () => {
  nats = await NatsServer.start(temporaryFolder());
  flags = ["--nats-url", nats.url];
});
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.crash()));
  await nats.stop();
});

async function start(runtime?: RuntimeName): Promise<CofferNode> {
  const node = await CofferNode.start(temporaryFolder(), runtime ? { runtime, flags } : { flags });
  nodes.push(node);
  return node;
}

const logOf = (node: CofferNode) => readFileSync(join(node.data, "events.log"), "latin1");

const foreign = (more: object = {}) => ({
  transaction_id: randomUUID(),
  from_account: "teller-0",
  to_account: "outsider",
  amount: 1,
  ...more,
});
type Foreign = ReturnType<typeof foreign>;

/** What NATS clients publish past all gateways: what the ledger must decide, and the ids that it must not. */
function publishForeign(connection: NatsConnection, valid: Asked[], invalid: Set<string>): void {
  const publish = (message: unknown) => connection.publish(SUBJECT, JSON.stringify(message));
  const publishValid = (...transfers: Foreign[]) => {
    for (const { transaction_id: id, from_account: from, to_account: to, amount } of transfers)
      valid.push({ id, kind: "transfer", from, to, amount: Number(amount) });
    publish(transfers.length === 1 ? transfers[0] : transfers);
  };
  const publishInvalid = (...transfers: Foreign[]) => {
    for (const { transaction_id } of transfers) invalid.add(transaction_id);
    publish(transfers.length === 1 ? transfers[0] : transfers);
  };
  const once = foreign();
  publishValid(once);
  publish(once);
  publish({ ...once, amount: 2 });
  publishValid(foreign(), foreign({ amount: "3" }), foreign({ amount: 2 ** 52 }));
  publishInvalid(foreign(), foreign({ amount: 1.5 }), foreign());
  publishInvalid(foreign({ from_account: "@world" }));
  publishInvalid(foreign({ to_account: "@world" }));
  publishInvalid(foreign({ to_account: "teller-0" }));
  publishInvalid(foreign({ amount: -1 }));
  publishInvalid(foreign({ kind: "deposit" }));
  publish({ from_account: "teller-0", to_account: "outsider", amount: 1 });
  for (const bytes of ["[".repeat(10_000), "", new Uint8Array([0xff, 0xfe, 0x00])])
    connection.publish(SUBJECT, bytes);
}

test("two nodes on one NATS, both in use, and latecomers under every runtime write byte-identical logs", async () => {
  // This one only registers, so that no message is purged before the latecomers have read it.
  const witness = await start();
  expect(await witness.stop()).toBe(0);

  const [left, right] = [await start(), await start()];
  const tellers = new Tellers(randomIntegers(SEED));
  const asked: Asked[] = [];
  const deposit = (node: CofferNode) => {
    const id = randomUUID();
    asked.push({ id, kind: "deposit", from: "@world", to: "teller-0", amount: 50 });
    return node.client.deposit("teller-0", 50, { transaction_id: id });
  };
  const invalid = new Set<string>();
  const publishing = async () => {
    const connection = await nats.connect();
    for (let turn = 0; turn < 10; turn++) {
      publishForeign(connection, asked, invalid);
      await connection.flush();
      await Promise.all([deposit(left), deposit(right)]);
    }
    await connection.close();
  };
  await Promise.all([
    tellers.work(left.client, REQUESTS, AT_ONCE),
    tellers.work(right.client, REQUESTS, AT_ONCE),
    publishing(),
  ]);
  const { seq } = (await deposit(left)).body;
  await eventually("the other node has read all of the stream", async () => {
    return (await right.client.ledger()).seq === seq;
  });

  const late = await Promise.all(RUNTIME_NAMES.map(start));
  for (const node of late) expect((await node.client.ledger()).seq).toBe(seq);
  const all = [left, right, ...late];
  expect(await Promise.all(all.map((node) => node.stop()))).toEqual(all.map(() => 0));
  const log = logOf(left);
  expect(all.filter((node) => logOf(node) !== log)).toEqual([]);

  expect(tellers.problems(join(left.data, "events.log"), asked)).toEqual([]);
  expect([...tellers.statuses.keys()].sort()).toEqual([200, 201, 422]);
  const { lines } = replayIndependently(join(left.data, "events.log"));
  const decided = new Set(lines.map((line) => line.transaction_id));
  expect(asked.filter(({ id }) => !decided.has(id))).toEqual([]);
  expect([...invalid].filter((id) => decided.has(id))).toEqual([]);
}, 120_000);

test("the nodes are registered on the NATS, and one that is gone for good is forgotten", async () => {
  const queue = (...args: string[]) => coffer(["queue", ...args, "--nats-url", nats.url]);
  const before = await queue("nodes");
  expect(before.code).toBe(0);
  const lines = before.stdout.split("\n").slice(1, -1); // between the header and the line about the stream
  const names = lines.map((line) => line.split(" ")[0]!);
  expect(names).toHaveLength(nodes.length);
  const own = nodes.map((node) => readFileSync(join(node.data, "node"), "utf8").trim());
  expect(names.sort()).toEqual([...own].sort());

  expect((await queue("forget", own[0]!)).code).toBe(0);
  expect((await queue("forget", own[0]!)).code).toBe(1);
  expect((await queue("nodes")).stdout).not.toContain(own[0]!);
});
