/** Frames on their way to a real server: refused, lost, doubled, and too large. */

import { afterAll, expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { frameCount } from "../../src/wire/frame.ts";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import { NatsServer, type NatsServerOptions } from "../../tools/harness/nats.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";

const STREAM = "COFFER_COMMANDS";
const SUBJECT = "coffer.commands.0";

const ended: (() => unknown)[] = [];
afterAll(async () => {
  for (const end of ended.reverse()) await end();
});

interface Setting {
  readonly node: CofferNode;
  readonly server: NatsServer;
  readonly proxy: TcpProxy;
  readonly connection: NatsConnection;
}

/** A node that reaches its server over a proxy; `rich` has 100,000. */
async function setting(flags: readonly string[] = [], options: NatsServerOptions = {}): Promise<Setting> {
  const server = await NatsServer.start(temporaryFolder(), undefined, options);
  ended.push(() => server.crash());
  const proxy = await TcpProxy.start(server.port);
  ended.push(() => proxy.stop());
  const url = `nats://127.0.0.1:${proxy.port}`;
  const node = await CofferNode.start(temporaryFolder(), { flags: ["--nats-url", url, ...flags] });
  ended.push(() => node.crash());
  const connection = await server.connect();
  ended.push(() => connection.close());
  expect((await node.client.open("rich", 100_000)).status).toBe(201);
  return { node, server, proxy, connection };
}

const pay = (amount = 1) => ({
  transaction_id: randomUUID(),
  from_account: "rich",
  to_account: "bob",
  amount,
});

async function lastSequence(connection: NatsConnection): Promise<number> {
  return (await (await jetstreamManager(connection)).streams.info(STREAM)).state.last_seq;
}

/** Stops the node; returns how often each id was decided. */
async function decisions(node: CofferNode, ids: readonly string[]): Promise<number[]> {
  expect(await node.stop()).toBe(0);
  const { lines } = replayIndependently(join(node.data, "events.log"));
  const decided = new Map<string, number>();
  for (const { command, transaction_id: id } of lines)
    if (command !== undefined) decided.set(id, (decided.get(id) ?? 0) + 1);
  return ids.map((id) => decided.get(id) ?? 0);
}

test.concurrent("a full queue refuses at once, and what it refused is not in the log", async () => {
  const { node, connection } = await setting(["--stream-max-bytes", String(1 << 20)]);
  const accepted: string[] = [];
  const refused: string[] = [];
  for (;;) {
    const transfers = Array.from({ length: 2_000 }, () => pay());
    const ids = transfers.map(({ transaction_id }) => transaction_id);
    const { status, body, headers } = await node.client.transfers(transfers);
    if (status === 200) {
      accepted.push(...ids);
      continue;
    }
    refused.push(...ids);
    expect([status, body.code, body.detail]).toEqual([
      503,
      "queue_unavailable",
      "the queue refused the command",
    ]);
    expect(Number(headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    break;
  }
  const before = await lastSequence(connection);
  const single = await node.client.transfers(Array.from({ length: 2_000 }, () => pay()));
  expect(single.status).toBe(503);
  // After a refusal one frame without commands finds out whether the stream stores.
  const manager = await jetstreamManager(connection);
  for (let seq = before + 1; seq <= (await lastSequence(connection)); seq++)
    expect(frameCount((await manager.streams.getMessage(STREAM, { seq }))?.data ?? new Uint8Array())).toBe(0);
  expect((await node.client.get("/health/ready")).status).toBe(200);
  const counts = await decisions(node, [...accepted, ...refused]);
  expect(counts).toEqual([...accepted.map(() => 1), ...refused.map(() => 0)]);
});

test.concurrent("a batch of 8,192 travels in many small messages and is answered as one", async () => {
  const { node, connection } = await setting([], { maxPayload: 64 << 10 });
  const before = await lastSequence(connection);
  const transfers = Array.from({ length: 8_192 }, (_, index) => (index % 1_000 === 7 ? pay(200_000) : pay()));
  const { status, body } = await node.client.transfers(transfers);
  expect(status).toBe(200);
  expect((await lastSequence(connection)) - before).toBeGreaterThan(4);
  const rejected = transfers.flatMap(({ amount, transaction_id }, index) =>
    amount > 1 ? [{ index, transaction_id, code: "insufficient_funds" }] : [],
  );
  expect(rejected).toHaveLength(9);
  expect(body).toMatchObject({ committed: 8_192 - 9, replayed: 0, failed: 9, failures: rejected });
  const again = await node.client.transfers(transfers);
  expect(again.body).toMatchObject({ committed: 0, replayed: 8_192 - 9, failed: 9, failures: rejected });
  expect(await node.client.balance("bob")).toBe(8_192 - 9);
  const ids = transfers.map(({ transaction_id }) => transaction_id);
  expect(new Set(await decisions(node, ids))).toEqual(new Set([1]));
});

test.concurrent("a connection that is cut after the queue took a frame: its caller gets the first outcome, once decided", async () => {
  const { node, proxy, connection } = await setting();
  const before = await lastSequence(connection);
  proxy.holdAnswers();
  const payments = [pay(), pay(2), pay(3)];
  const answer = node.client.transfers(payments); // one frame
  await eventually("the queue has taken it", async () => (await lastSequence(connection)) > before);
  const stored = await lastSequence(connection);
  proxy.cut();
  expect((await answer).body).toMatchObject({ committed: 3, replayed: 0, failed: 0 });
  expect(await lastSequence(connection)).toBe(stored);
  expect(await node.client.balance("bob")).toBe(6);
  expect(
    await decisions(
      node,
      payments.map(({ transaction_id }) => transaction_id),
    ),
  ).toEqual([1, 1, 1]);
});

test.concurrent("a frame that the queue holds twice moves money once, and is no repeat to its caller", async () => {
  const { node, proxy, connection } = await setting();
  const before = await lastSequence(connection);
  proxy.holdAnswers();
  const payment = pay(5);
  const answer = node.client.transfer(payment);
  await eventually("the queue has taken it", async () => (await lastSequence(connection)) > before);
  const jsm = await jetstreamManager(connection);
  const frame = await jsm.streams.getMessage(STREAM, { seq: before + 1 });
  await jsm.jetstream().publish(SUBJECT, frame!.data);
  expect(await lastSequence(connection)).toBe(before + 2);
  proxy.cut();
  const { status, headers } = await answer;
  expect([status, headers.get("idempotent-replayed")]).toEqual([200, null]);
  expect(await node.client.balance("bob")).toBe(5);
  // The first outcome came while the new connection was still read to its end: until then nothing is taken.
  await eventually("the queue is open again", async () => {
    return (await node.client.get("/health/ready")).status === 200;
  });
  const again = await node.client.transfer(payment);
  expect([again.status, again.headers.get("idempotent-replayed")]).toEqual([200, "true"]);
  expect(await decisions(node, [payment.transaction_id])).toEqual([1]);
});

const SILENCES = [
  { name: "whose server falls silent", hold: (proxy: TcpProxy) => proxy.holdAnswers() },
  { name: "that carries nothing to the server any more", hold: (proxy: TcpProxy) => proxy.holdRequests() },
];

test.concurrent.each(SILENCES)(
  "a connection $name is given up, and its callers get their outcomes over the next",
  async ({ hold }) => {
    const { node, proxy } = await setting();
    hold(proxy);
    const payments = [pay(), pay(2)];
    const answers = await Promise.all(payments.map((payment) => node.client.transfer(payment)));
    for (const { status, headers } of answers)
      expect([status, headers.get("idempotent-replayed")]).toEqual([200, null]);
    expect(
      await decisions(
        node,
        payments.map(({ transaction_id }) => transaction_id),
      ),
    ).toEqual([1, 1]);
  },
);

test.concurrent("a caller is told that nobody knows where the queue stays silent, and finds the outcome later", async () => {
  const { node, proxy, connection } = await setting(["--outcome-timeout-ms", "300"]);
  const before = await lastSequence(connection);
  proxy.holdAnswers();
  const payment = pay(7);
  const { status, body } = await node.client.transfer(payment);
  expect([status, body.code, body.transaction_id]).toEqual([504, "outcome_unknown", payment.transaction_id]);
  expect(await lastSequence(connection)).toBe(before + 1);
  proxy.cut();
  await eventually("it is decided", async () => {
    const answer = await node.client.transfer(payment);
    return answer.status === 200 && answer.headers.get("idempotent-replayed") === "true";
  });
  expect(await decisions(node, [payment.transaction_id])).toEqual([1]);
});

test.concurrent("a frame whose answer is that the store failed, and that the stream has all the same, is answered with its outcome", async () => {
  const { node, connection } = await setting();
  // A second opinion, which comes before that of the stream: its messages are synced first.
  let answers = 0;
  connection.subscribe(SUBJECT, {
    callback: (_, message) => {
      const error = { code: 503, err_code: 10_077, description: "store is closed" };
      if (message.respond(JSON.stringify({ stream: STREAM, seq: 0, error }))) answers++;
    },
  });
  await connection.flush();
  const payments = Array.from({ length: 20 }, () => pay());
  for (const payment of payments) expect((await node.client.transfer(payment)).status).toBe(200);
  expect(answers).toBeGreaterThanOrEqual(payments.length);
  expect(node.process.stderr.join("\n")).toContain('"event":"frame_unknown"');
  expect(
    new Set(
      await decisions(
        node,
        payments.map(({ transaction_id }) => transaction_id),
      ),
    ),
  ).toEqual(new Set([1]));
});

test.concurrent("a caller whose frame a failed store has refused is told that nobody knows, not that it was refused", async () => {
  const { node, connection } = await setting(["--outcome-timeout-ms", "300"]);
  await (await jetstreamManager(connection)).streams.update(STREAM, { subjects: ["coffer.commands.1"] });
  connection.subscribe(SUBJECT, {
    callback: (_, message) => {
      const error = { code: 503, err_code: 10_077, description: "store is closed" };
      message.respond(JSON.stringify({ stream: STREAM, seq: 0, error }));
    },
  });
  await connection.flush();
  const payment = pay();
  const { status, body } = await node.client.transfer(payment);
  expect([status, body.code, body.transaction_id]).toEqual([504, "outcome_unknown", payment.transaction_id]);
});
