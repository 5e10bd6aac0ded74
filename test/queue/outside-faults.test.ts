/**
 * What may happen to a nats-server that is not the node's own, under a running node and while it is down.
 * Where the stream has lost what the log was made from, other nodes may know more: the node stops, and goes on
 * only where it is told to.
 */

import { afterAll, expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import { freePort, NatsServer } from "../../tools/harness/nats.ts";
import { randomIntegers, SEED } from "../../tools/harness/seed.ts";
import { WalletClient } from "../../tools/harness/wallet-client.ts";
import { expectWhole } from "../support/node-checks.ts";
import { Tellers } from "../support/tellers.ts";

const STREAM = "COFFER_COMMANDS";
const SUBJECT = "coffer.commands.0";
const AT_ONCE = 8;

const ended: (() => Promise<unknown>)[] = [];
afterAll(() => Promise.all(ended.map((end) => end())));

const logOf = (data: string) => readFileSync(join(data, "events.log"), "latin1");

/** A ledger on a nats-server of its own. */
class Setting {
  readonly data = temporaryFolder();
  readonly tellers = new Tellers(randomIntegers(SEED));

  private constructor(public server: NatsServer) {
    ended.push(() => this.server.crash());
  }

  static async start(): Promise<Setting> {
    return new Setting(await NatsServer.start(temporaryFolder()));
  }

  launch(...flags: string[]): CofferNode {
    const node = CofferNode.launch(this.data, { flags: ["--nats-url", this.server.url, ...flags] });
    ended.push(() => node.crash());
    return node;
  }

  async node(...flags: string[]): Promise<CofferNode> {
    const node = this.launch(...flags);
    await node.ready();
    return node;
  }

  work(node: CofferNode, count: number): Promise<void> {
    return this.tellers.work(node.client, count, AT_ONCE);
  }

  /** The server is killed, and comes back with what is in `folder`; with its own store unless told otherwise. */
  async restartServer(folder?: string): Promise<void> {
    await this.server.crash();
    this.server = await this.server.restart(folder);
  }

  /** A copy of the server's store as it is now. */
  async copyOfStore(): Promise<string> {
    const copy = temporaryFolder();
    await this.server.crash();
    cpSync(this.server.folder, copy, { recursive: true });
    this.server = await this.server.restart();
    return copy;
  }

  /** Publishes transfers straight on the stream, past any gateway; returns their ids and messages. */
  async publishForeign(count: number): Promise<{ id: string; sequence: number }[]> {
    return await this.manage(async (jsm) => {
      const published: { id: string; sequence: number }[] = [];
      for (let i = 0; i < count; i++) {
        const id = randomUUID();
        const transfer = { transaction_id: id, from_account: "teller-0", to_account: "outsider", amount: 1 };
        const { seq } = await jsm.jetstream().publish(SUBJECT, JSON.stringify(transfer));
        published.push({ id, sequence: seq });
      }
      return published;
    });
  }

  async manage<T>(run: (jsm: Awaited<ReturnType<typeof jetstreamManager>>) => Promise<T>): Promise<T> {
    const connection = await this.server.connect();
    try {
      return await run(await jetstreamManager(connection));
    } finally {
      await connection.close();
    }
  }
}

/** The node ends by itself, says why, and leaves its log as it was. */
async function expectRefusal(node: CofferNode, why: RegExp): Promise<void> {
  expect(await node.process.exited).toBe(1);
  const said = JSON.parse(node.process.stderr.at(-1) ?? "{}") as { event: string; error: string };
  expect(said.event).toBe("node_failed");
  expect(said.error).toMatch(why);
  expect(said.error).not.toContain("\n");
}

/** Refuses to start, however often, and changes nothing. */
async function expectNoStart(setting: Setting, why: RegExp, ...flags: string[]): Promise<void> {
  const before = logOf(setting.data);
  for (let time = 0; time < 2; time++) await expectRefusal(setting.launch(...flags), why);
  expect(logOf(setting.data)).toBe(before);
}

test.concurrent("a server that is killed and comes back with its store is gone on with, by a node that runs and by one that starts", async () => {
  const setting = await Setting.start();
  let node = await setting.node();
  const working = setting.work(node, 1_000_000);
  for (let time = 1; time <= 2; time++) {
    const enough = setting.tellers.acknowledged + 100;
    await eventually("more were answered", () => setting.tellers.acknowledged >= enough);
    await setting.restartServer();
  }
  const enough = setting.tellers.acknowledged + 100;
  await eventually("more were answered", () => setting.tellers.acknowledged >= enough);
  await node.crash();
  setting.tellers.stop();
  await working;
  await setting.restartServer();
  node = await setting.node();
  await setting.work(node, 50);
  expect(node.process.stderr.join("\n")).not.toContain("stream_recreated");
  await expectWhole(node, setting.tellers);
});

const LOSSES = [
  { name: "emptied", store: async () => temporaryFolder() },
  { name: "cut back to an older one", store: (setting: Setting) => setting.copyOfStore() },
];

test.concurrent.each(LOSSES)(
  "a server whose store is $name stops the node, which starts again only with --remake-lost-stream",
  async ({ store }) => {
    const setting = await Setting.start();
    let node = await setting.node();
    await setting.work(node, 50);
    await node.stop();
    const other = await store(setting);
    node = await setting.node();
    const working = setting.work(node, 1_000_000);
    const enough = setting.tellers.acknowledged + 100;
    await eventually("more were answered", () => setting.tellers.acknowledged >= enough);
    await setting.restartServer(other);
    await expectRefusal(node, /--remake-lost-stream/);
    setting.tellers.stop();
    await working;
    const { command, seq } = replayIndependently(join(setting.data, "events.log")).lines.at(-1);
    const last = Number(command.split(".")[0]);
    const named = new RegExp(`--remake-lost-stream=${seq} `);
    await expectNoStart(setting, named);
    await expectNoStart(setting, named, `--remake-lost-stream=${seq - 1}`);
    await expectNoStart(setting, named, "--accept-gap", `${last + 1}-${last + 1}`);

    node = await setting.node(`--remake-lost-stream=${seq}`);
    await setting.manage(async (jsm) => {
      const { config, state } = await jsm.streams.info(STREAM);
      expect(state.first_seq).toBe(last + 1);
      expect(config.metadata).toMatchObject({ continues_at: String(last + 1) });
    });
    await setting.work(node, 50);
    // A flag that was forgotten destroys nothing: neither under this process nor at its next start.
    await setting.restartServer(temporaryFolder());
    await expectRefusal(node, /--remake-lost-stream=/);
    await expectNoStart(setting, /--remake-lost-stream=/, `--remake-lost-stream=${seq}`);
    const end = replayIndependently(join(setting.data, "events.log")).lines.at(-1).seq;
    node = await setting.node(`--remake-lost-stream=${end}`);
    await node.stop();
    node = await setting.node();
    await setting.work(node, 50);
    await expectWhole(node, setting.tellers);
  },
);

test.concurrent("a stream that was cut back and filled again by others, beyond where the log ends, is refused", async () => {
  const setting = await Setting.start();
  let node = await setting.node();
  await setting.work(node, 30);
  await node.stop();
  const older = await setting.copyOfStore();
  node = await setting.node();
  await setting.work(node, 50);
  await node.stop();
  await setting.restartServer(older);
  await setting.publishForeign(400);
  await expectNoStart(setting, /message [0-9]+ of the stream differs/);
});

test.concurrent("the stream of another ledger is refused by a node that runs and by one that starts, whatever it is told", async () => {
  const [setting, another] = await Promise.all([Setting.start(), Setting.start()]);
  const other = await another.node();
  await another.work(other, 100);
  await other.stop();
  await another.server.stop();
  const node = await setting.node();
  await setting.work(node, 50);
  await setting.restartServer(another.server.folder);
  await expectRefusal(node, /belongs to ledger/);
  await expectNoStart(setting, /belongs to ledger/, "--remake-lost-stream=1", "--accept-gap=1-2");
  await setting.manage(async (jsm) => {
    expect((await jsm.streams.info(STREAM)).state.messages).toBeGreaterThan(1);
  });
});

test.concurrent("a stream that was not made for a ledger is refused", async () => {
  const setting = await Setting.start();
  await setting.manage((jsm) => jsm.streams.add({ name: STREAM, subjects: ["coffer.commands.*"] }));
  await expectRefusal(setting.launch("--remake-lost-stream=0"), /not created by Coffer/);
});

const GAPS = [
  { name: "purged from the front", drop: [0, 1, 2] },
  { name: "deleted in the middle", drop: [1, 2] },
  { name: "deleted at the end", drop: [3, 4] },
];

test.concurrent.each(GAPS)(
  "commands that were $name before they were read are a gap: refused, unless --accept-gap",
  async ({ name, drop }) => {
    const setting = await Setting.start();
    let node = await setting.node();
    await setting.work(node, 30);
    await node.client.deposit("teller-0", 100);
    await node.stop();
    const published = await setting.publishForeign(5);
    await setting.manage(async (jsm) => {
      const dropped = drop.map((index) => published[index]?.sequence as number);
      if (name.startsWith("purged")) await jsm.streams.purge(STREAM, { seq: (dropped.at(-1) as number) + 1 });
      else for (const sequence of dropped) await jsm.streams.deleteMessage(STREAM, sequence);
    });
    // What comes before the gap may be read and logged; what comes after it must not be.
    const missing = [drop[0], drop.at(-1)].map((index) => published[index as number]?.sequence as number);
    const named = missing.join("-");
    await expectRefusal(setting.launch(), new RegExp(`--accept-gap=${named} `));
    const other = [missing[0], (missing[1] as number) + 1].join("-");
    await expectRefusal(setting.launch(`--accept-gap=${other}`), new RegExp(`--accept-gap=${named} `));
    const after = published.slice((drop.at(-1) as number) + 1);
    expect(after.filter(({ id }) => logOf(setting.data).includes(id))).toEqual([]);

    node = await setting.node(`--accept-gap=${named}`);
    expect((await node.client.deposit("teller-0", 1)).status).toBe(200);
    expect(await node.stop()).toBe(0);
    const { lines } = replayIndependently(join(setting.data, "events.log"));
    const logged = new Set(lines.map(({ transaction_id }) => transaction_id));
    expect(published.map(({ id }) => logged.has(id))).toEqual(
      published.map((_, index) => !drop.includes(index)),
    );
  },
);

test.concurrent("a node whose server is away at its start says so, and is ready when it comes", async () => {
  const [natsPort, port] = [await freePort(), await freePort()];
  const data = temporaryFolder();
  const flags = ["--nats-url", `nats://127.0.0.1:${natsPort}`, "--port", String(port)];
  const node = CofferNode.launch(data, { flags });
  ended.push(() => node.crash());
  const client = new WalletClient(`http://127.0.0.1:${port}`);
  const problem = async () => {
    const { status, body } = await client.get("/health/ready").catch(() => ({ status: 0, body: undefined }));
    return status === 503 ? body : undefined;
  };
  await eventually("it says that the queue is away", async () =>
    /^the queue is unavailable$/.test((await problem())?.detail ?? ""),
  );
  const refused = await client.deposit("alice", 1);
  expect([refused.status, refused.body.code]).toEqual([503, "queue_unavailable"]);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  const server = await NatsServer.start(temporaryFolder(), natsPort);
  ended.push(() => server.crash());
  await node.ready();
  expect((await client.get("/health/ready")).status).toBe(200);
  expect((await client.deposit("alice", 1)).status).toBe(200);
  expect(await node.stop()).toBe(0);
});
