/** What is taken off the stream, and when: only what every node has on disk, so that each finds what it needs. */

import { afterAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { jetstreamManager, type StreamState } from "@nats-io/jetstream";
import { type KV, Kvm } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";
import { DiskFolder } from "../../src/eventlog/disk.ts";
import { LogMark } from "../../src/eventlog/mark.ts";
import { CofferNode, coffer } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import { NatsServer } from "../../tools/harness/nats.ts";
import { randomIntegers, SEED } from "../../tools/harness/seed.ts";
import { expectWhole } from "../support/node-checks.ts";
import { Tellers } from "../support/tellers.ts";

const STREAM = "COFFER_COMMANDS";
const BUCKET = "COFFER_NODES";
const GONE = "a-node-that-is-gone";

const ended: (() => unknown)[] = [];
afterAll(async () => {
  for (const end of ended.reverse()) await end();
});

class Setting {
  private constructor(
    readonly server: NatsServer,
    readonly connection: NatsConnection,
    readonly bucket: KV,
  ) {}

  static async start(): Promise<Setting> {
    const server = await NatsServer.start(temporaryFolder());
    const connection = await server.connect();
    ended.push(async () => {
      await connection.close();
      await server.crash();
    });
    return new Setting(server, connection, await new Kvm(connection).create(BUCKET));
  }

  async node(flags: readonly string[] = [], data = temporaryFolder()): Promise<CofferNode> {
    const node = await CofferNode.start(data, { flags: ["--nats-url", this.server.url, ...flags] });
    ended.push(() => node.crash());
    return node;
  }

  async state(): Promise<StreamState> {
    return (await (await jetstreamManager(this.connection)).streams.info(STREAM)).state;
  }

  queue(...args: string[]) {
    return coffer(["queue", ...args, "--nats-url", this.server.url]);
  }

  /** What `coffer queue nodes` prints: each node and the message up to which it needs none. */
  async nodes(): Promise<ReadonlyMap<string, number>> {
    const { code, stdout } = await this.queue("nodes");
    expect(code).toBe(0);
    const [head, ...lines] = stdout.split("\n").map((line) => line.split(/ +/));
    expect(head).toEqual(["NODE", "MARK", "REPORTS"]);
    expect(lines.pop()?.slice(0, 3)).toEqual(["the", "stream", STREAM]);
    return new Map(lines.map(([name, mark]) => [name as string, Number(mark)]));
  }
}

/** The message of the command at the log's mark. */
function markedSequence(node: CofferNode): number {
  return LogMark.read(new DiskFolder(node.data))?.sequence ?? 0;
}

function lastSequence(node: CofferNode): number {
  const { lines } = replayIndependently(join(node.data, "events.log"));
  return Number(lines.at(-1).command.split(".")[0]);
}

test.concurrent("messages behind the mark are taken off, never the one at the end of the log, and the node starts again from it", async () => {
  const setting = await Setting.start();
  const tellers = new Tellers(randomIntegers(SEED));
  let node = await setting.node();
  await eventually("messages were taken off", async () => {
    await tellers.work(node.client, 5, 1);
    const { first_seq } = await setting.state();
    expect(first_seq).toBeLessThanOrEqual(Math.max(1, markedSequence(node)));
    return first_seq > 1;
  });
  await node.crash();
  const last = lastSequence(node);
  const jsm = await jetstreamManager(setting.connection);
  expect(await jsm.streams.getMessage(STREAM, { seq: last })).not.toBeNull();
  node = await setting.node([], node.data);
  await tellers.work(node.client, 50, 4);
  await expectWhole(node, tellers);
});

test.concurrent("a node that must not go on is not registered, unless it was before", async () => {
  const setting = await Setting.start();
  const node = await setting.node();
  const refused = CofferNode.launch(temporaryFolder(), {
    flags: ["--nats-url", setting.server.url, "--currency", "EUR"],
  });
  expect(await refused.process.exited).toBe(1);
  expect(refused.process.stderr.at(-1)).toContain("--currency is EUR");
  expect([...(await setting.nodes()).keys()]).toEqual([readFileSync(join(node.data, "node"), "utf8").trim()]);
  expect(await node.stop()).toBe(0);
  const again = CofferNode.launch(node.data, {
    flags: ["--nats-url", setting.server.url, "--currency", "EUR"],
  });
  expect(await again.process.exited).toBe(1);
  expect((await setting.nodes()).size).toBe(1);
});

test.concurrent("nothing is taken off that a registered node may need, until it is forgotten", async () => {
  const setting = await Setting.start();
  const tellers = new Tellers(randomIntegers(SEED + 1));
  await setting.bucket.put(GONE, "0");
  const [node, other] = await Promise.all([setting.node(), setting.node()]);
  await tellers.work(node.client, 60, 4);
  await setting.bucket.put("another-that-is-gone", "20");
  await setting.bucket.put(GONE, "7");
  await eventually("messages were taken off", async () => {
    await tellers.work(node.client, 5, 1);
    return (await setting.state()).first_seq > 1;
  });
  expect((await setting.state()).first_seq).toBe(7);

  const nodes = await setting.nodes();
  expect(nodes.size).toBe(4);
  expect([nodes.get(GONE), nodes.get("another-that-is-gone")]).toEqual([7, 20]);
  expect(await setting.queue("forget", GONE)).toMatchObject({ code: 0 });
  expect(await setting.queue("forget", GONE)).toMatchObject({ code: 1 });
  expect(await setting.queue("forget", "nobody")).toMatchObject({ code: 1 });
  expect([...(await setting.nodes()).keys()]).not.toContain(GONE);
  await eventually("more was taken off", async () => (await setting.state()).first_seq > 7);
  expect((await setting.state()).first_seq).toBe(20);
  expect(await other.stop()).toBe(0);
  await expectWhole(node, tellers);
});

test.concurrent("a node that is registered with what is no number needs everything", async () => {
  const setting = await Setting.start();
  for (const value of ["", "many", "-1", "1e9", "99999999999999999999"]) {
    await setting.bucket.put(`odd-${value.length}`, value);
  }
  const node = await setting.node();
  const name = readFileSync(join(node.data, "node"), "utf8").trim();
  await eventually("the node has told its mark twice", async () => {
    expect((await node.client.deposit("alice", 1)).status).toBe(200);
    return Number((await setting.bucket.get(name))?.string() ?? 0) > 3;
  });
  const { first_seq, messages, last_seq } = await setting.state();
  expect([first_seq, messages]).toEqual([1, last_seq]);
  expect(await node.stop()).toBe(0);
});

test.concurrent("a queue that is full, because a node that is gone needs all of it, takes commands again when that is forgotten", async () => {
  const setting = await Setting.start();
  await setting.bucket.put(GONE, "0");
  const node = await setting.node(["--stream-max-bytes", String(1 << 20)]);
  await eventually("the mark has moved", async () => {
    expect((await node.client.deposit("alice", 1)).status).toBe(200);
    return markedSequence(node) >= 5;
  });
  for (const length of [4_000, 400, 40, 4, 1]) {
    const transfers = Array.from({ length }, () => ({ from_account: "a", to_account: "b", amount: 1 }));
    while ((await node.client.transfers(transfers)).status === 200);
  }
  expect((await node.client.deposit("alice", 1)).status).toBe(503);
  expect((await setting.state()).first_seq).toBe(1);
  expect(await setting.queue("forget", GONE)).toMatchObject({ code: 0 });
  await eventually("there is room", async () => (await node.client.deposit("alice", 1)).status === 200);
  expect((await setting.state()).first_seq).toBeGreaterThan(4);
  expect(await node.stop()).toBe(0);
});
