/** What a node answers when there is too much, when the queue is slow or gone, and when the disk is full. */

import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { LEAST_ROOM, REQUEST_WEIGHT } from "../../src/gateway/admission.ts";
import { MAX_FRAME_COMMANDS } from "../../src/wire/frame.ts";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { freePort, NatsServer } from "../../tools/harness/nats.ts";
import { type WalletAnswer, WalletClient } from "../../tools/harness/wallet-client.ts";
import { newId } from "../support/ledger-specs.ts";
import { RawConnection } from "../support/raw-http.ts";
import { expectProblem, linesOf, REPLAYED, UUID_V7 } from "./answer-specs.ts";
import { TRANSFER } from "./bad-bodies.ts";

const GIB = 2 ** 30;
/** Whole batches, of which eight are admitted however slow the queue is. */
const REQUESTS = 12;
const ALWAYS_ADMITTED = LEAST_ROOM / (MAX_FRAME_COMMANDS + REQUEST_WEIGHT);

interface Setting {
  readonly node: CofferNode;
  readonly server: NatsServer;
  readonly log: string;
}

/** A node on a nats-server of its own, where alice has 1,000. */
async function setting(flags: readonly string[] = []): Promise<Setting> {
  const folder = temporaryFolder();
  const server = await NatsServer.start(join(folder, "nats"));
  const data = join(folder, "data");
  const node = await CofferNode.start(data, { flags: ["--nats-url", server.url, ...flags] });
  expect((await node.client.open("alice", 1_000)).status).toBe(201);
  return { node, server, log: join(data, "events.log") };
}

async function end({ node, server }: Pick<Setting, "node" | "server">): Promise<void> {
  await node.crash();
  await server.crash();
}

function payment(amount = 1) {
  return { transaction_id: newId(), from_account: "alice", to_account: "bob", amount };
}

async function lastSequence(server: NatsServer): Promise<number> {
  const connection = await server.connect();
  const { state } = await (await jetstreamManager(connection)).streams.info("COFFER_COMMANDS");
  await connection.close();
  return state.last_seq;
}

/** Up to which message the stream's consumers were given them. */
async function deliveredSequence(server: NatsServer): Promise<number> {
  const connection = await server.connect();
  const consumers = await (await jetstreamManager(connection)).consumers.list("COFFER_COMMANDS").next();
  await connection.close();
  return Math.max(0, ...consumers.map(({ delivered }) => delivered.stream_seq));
}

function expectRefused(answer: WalletAnswer, code: string, more: object = {}): void {
  expectProblem(answer, 503, code, more);
  expect(Number(answer.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
}

test("if too much waits a request is refused at once, and those that wait get their answers", async () => {
  const { node, server, log } = await setting();
  await node.client.deposit("alice", REQUESTS * MAX_FRAME_COMMANDS);
  const sequence = await lastSequence(server);
  server.process.kill("SIGSTOP");
  await eventually("the server stands still", () => stateOf(server.process.pid) === "T");
  let answered = 0;
  const answers = Array.from({ length: REQUESTS }, async () => {
    const transfers = Array.from({ length: MAX_FRAME_COMMANDS }, () => payment());
    const answer = await node.client.transfers(transfers);
    // The queue stands still: whatever is answered now was refused. When all that must be are, it goes on.
    if (++answered === REQUESTS - ALWAYS_ADMITTED) server.process.kill("SIGCONT");
    return { id: transfers[0]?.transaction_id as string, answer };
  });
  const refused: string[] = [];
  for (const { id, answer } of await Promise.all(answers)) {
    if (answer.status === 200) {
      expect(answer.body.committed).toBe(MAX_FRAME_COMMANDS);
      continue;
    }
    expectRefused(answer, "overloaded");
    refused.push(id);
  }
  expect(refused.length).toBeGreaterThanOrEqual(REQUESTS - ALWAYS_ADMITTED);
  for (const id of refused) expect(linesOf(log, id)).toEqual([]);
  const admitted = REQUESTS - refused.length;
  expect(await node.client.balance("bob")).toBe(admitted * MAX_FRAME_COMMANDS);
  // A batch with room for its ids may take two messages.
  expect(await lastSequence(server)).toBeLessThanOrEqual(sequence + 2 * admitted);
  await end({ node, server });
});

/** A process's state: T if it was stopped. */
function stateOf(pid: number): string | undefined {
  return readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.[0];
}

test("an outcome that does not come in time is unknown, and safe to ask for again", async () => {
  const { node, server, log } = await setting(["--outcome-timeout-ms", "300"]);
  const { client } = node;
  server.process.kill("SIGSTOP");
  await eventually("the server stands still", () => stateOf(server.process.pid) === "T");
  const given = payment(7);
  const opening = newId();
  const { transaction_id: _, ...withoutId } = given;
  const [first, last] = [payment(), payment()];
  const batch = [first, { ...withoutId, amount: 2 }, last];
  const plainBatch = [payment(), payment()];
  const [transfer, made, batched, plain, opened, deposited, withdrawn] = await Promise.all([
    client.transfer(given),
    client.transfer(withoutId),
    client.transfers(batch),
    client.transfers(plainBatch),
    client.open("carol", 5, { transaction_id: opening }),
    client.deposit("dave", 6),
    client.withdraw("alice", 3),
  ]);
  expectProblem(transfer, 504, "outcome_unknown", { transaction_id: given.transaction_id });
  expectProblem(plain, 504, "outcome_unknown", {});
  expectProblem(opened, 504, "outcome_unknown", { transaction_id: opening });
  for (const answer of [made, deposited, withdrawn]) {
    const { transaction_id } = answer.body;
    expectProblem(answer, 504, "outcome_unknown", { transaction_id });
    expect(transaction_id).toMatch(UUID_V7);
  }
  const { transaction_ids } = batched.body;
  expectProblem(batched, 504, "outcome_unknown", { transaction_ids });
  expect([transaction_ids[0], transaction_ids[2]]).toEqual([first.transaction_id, last.transaction_id]);
  expect(transaction_ids[1]).toMatch(UUID_V7);

  server.process.kill("SIGCONT");
  const again = async (send: () => Promise<WalletAnswer>) => {
    let answer = await send();
    await eventually("the outcome is known", async () => {
      if (answer.status >= 500) answer = await send();
      return answer.status < 500;
    });
    return answer;
  };
  const transaction_id = made.body.transaction_id;
  expect((await again(() => client.transfer(given))).status).toBe(200);
  expect((await again(() => client.transfer({ ...withoutId, transaction_id }))).status).toBe(200);
  expect((await again(() => client.open("carol", 5, { transaction_id: opening }))).status).toBe(201);
  expect(
    (await again(() => client.deposit("dave", 6, { transaction_id: deposited.body.transaction_id }))).status,
  ).toBe(200);
  expect(
    (await again(() => client.withdraw("alice", 3, { transaction_id: withdrawn.body.transaction_id })))
      .status,
  ).toBe(200);
  const sameBatch = batch.map((one, index) => ({ ...one, transaction_id: transaction_ids[index] }));
  const { body } = await again(() => client.transfers(sameBatch));
  expect([body.committed + body.replayed, body.failed]).toEqual([3, 0]);
  expect((await again(() => client.transfers(plainBatch))).body.failed).toBe(0);
  expect((await again(() => client.transfer(given))).headers.get(REPLAYED)).toBe("true");
  expect([
    await client.balance("alice"),
    await client.balance("bob"),
    await client.balance("carol"),
    await client.balance("dave"),
  ]).toEqual([1_000 - 7 - 7 - 4 - 2 - 3, 7 + 7 + 4 + 2, 5, 6]);
  for (const id of [given.transaction_id, transaction_id, ...transaction_ids])
    expect(linesOf(log, id)).toHaveLength(2);
  expect(linesOf(log, opening)).toHaveLength(1);
  await end({ node, server });
});

test("without its queue a node refuses commands, still reads, and says that it is not ready", async () => {
  const { node, server } = await setting();
  const { client } = node;
  await server.crash();
  await eventually("the node notices", async () => (await client.get("/health/ready")).status === 503);
  const request = payment();
  expectRefused(await client.transfer(request), "queue_unavailable", {
    transaction_id: request.transaction_id,
  });
  expectRefused(await client.transfers([payment()]), "queue_unavailable");
  expectRefused(await client.get("/health/ready"), "not_ready");
  expect((await client.get("/health/live")).status).toBe(200);
  expect(await client.balance("alice")).toBe(1_000);
  expect((await client.ledger()).accounts).toBe(1);
  expect((await client.transfer({ ...request, amount: 0 })).status).toBe(400);
  const back = await server.restart();
  await eventually("the node is ready", async () => (await client.get("/health/ready")).status === 200);
  const answer = await client.transfer(request);
  expect([answer.status, answer.headers.get(REPLAYED)]).toEqual([200, null]);
  await end({ node, server: back });
});

test("a body of any length is refused without being kept", async () => {
  const { node, server } = await setting();
  const block = Buffer.alloc(1 << 16, " ");
  const chunk = Buffer.concat([Buffer.from("10000\r\n"), block, Buffer.from("\r\n")]);
  const blocks = 4_096;
  const before = peakBytes(node);
  for (const [header, piece, last] of [
    [`Content-Length: ${blocks * block.length}`, block, ""],
    ["Transfer-Encoding: chunked", chunk, "0\r\n\r\n"],
  ] as const) {
    const connection = await RawConnection.open(node.url);
    await connection.send(
      `POST ${TRANSFER} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${header}\r\n\r\n`,
    );
    for (let sent = 0; sent < blocks && (await connection.send(piece)); sent++);
    const open = await connection.send(last);
    expect((await connection.answer())?.status).toBe(413);
    // The connection is either closed or as good as before.
    if (open && (await connection.send("GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"))) {
      const next = await connection.answer();
      if (next) expect([next.status, next.text]).toEqual([200, '{"status":"live"}']);
    }
    connection.cut();
  }
  expect(peakBytes(node) - before).toBeLessThan((blocks * block.length) / 4);
  expect(await node.client.balance("alice")).toBe(1_000);
  await end({ node, server });
});

/** The most memory that the node ever had. */
function peakBytes({ process: { pid } }: CofferNode): number {
  const kibibytes = /^VmHWM:\s+([0-9]+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kibibytes) * 1_024;
}

test("on a full disk a node starts, reads, refuses commands, and leaves those of others on the queue", async () => {
  const { node, server, log } = await setting();
  expect(await node.stop()).toBe(0);
  const waiting = payment(10);
  const connection = await server.connect();
  connection.publish("coffer.commands.0", JSON.stringify(waiting));
  await connection.flush();
  await connection.close();
  const [sequence, before] = [await lastSequence(server), readFileSync(log, "latin1")];

  const port = await freePort();
  const full = CofferNode.launch(node.data, {
    flags: ["--nats-url", server.url, "--port", String(port), "--min-free-bytes", String(2 ** 53 - 1)],
  });
  full.client = new WalletClient(`http://127.0.0.1:${port}`);
  await eventually("the node can be read", async () => {
    try {
      return (await full.client.get("/v1/wallet/balance/alice")).body?.balance === 1_000;
    } catch {
      return false; // it does not listen yet
    }
  });
  expectRefused(await full.client.get("/health/ready"), "not_ready");
  const request = payment();
  expectRefused(await full.client.transfer(request), "queue_unavailable", {
    transaction_id: request.transaction_id,
  });
  await eventually(
    "the waiting command has come",
    async () => (await deliveredSequence(server)) === sequence,
  );
  expect((await full.client.ledger()).seq).toBe(2);
  expect(full.process.stdout).toEqual([]);
  expect(await full.stop()).toBe(0);
  expect(readFileSync(log, "latin1")).toBe(before);

  const again = await CofferNode.start(node.data, { flags: ["--nats-url", server.url] });
  await eventually(
    "the waiting command is decided",
    async () => (await again.client.balance("alice")) === 990,
  );
  expect(linesOf(log, waiting.transaction_id)).toHaveLength(2);
  expect(linesOf(log, request.transaction_id)).toEqual([]);
  await end({ node: again, server });
});

test("when the disk fills up commands are refused, until there is room again", async () => {
  const folder = temporaryFolder();
  const { bavail, bsize } = statfsSync(folder);
  const size = Math.min(2 * GIB, Math.floor((bavail * bsize) / 2));
  const node = await CofferNode.start(join(folder, "data"), {
    flags: ["--min-free-bytes", String(bavail * bsize - Math.floor(size / 2))],
  });
  const { client } = node;
  await client.open("alice", 1_000);
  const filler = join(folder, "filler");
  const made = spawnSync("fallocate", ["-l", String(size), filler]);
  expect([made.status, String(made.stderr)]).toEqual([0, ""]);
  const sent: string[] = [];
  const waiting: string[] = [];
  await eventually("commands are refused", async () => {
    const request = payment();
    const answer = await client.transfer(request);
    // One that the queue had already taken stays there, and is decided when there is room.
    if (answer.status === 504) waiting.push(request.transaction_id);
    else if (answer.status === 200) sent.push(request.transaction_id);
    else expectRefused(answer, "queue_unavailable", { transaction_id: request.transaction_id });
    return answer.status === 503;
  });
  expectRefused(await client.get("/health/ready"), "not_ready");
  expect(await client.balance("alice")).toBe(1_000 - sent.length);
  rmSync(filler);
  await eventually("there is room", async () => (await client.get("/health/ready")).status === 200);
  expect((await client.transfer(payment())).status).toBe(200);
  expect(await client.balance("bob")).toBe(sent.length + waiting.length + 1);
  for (const id of [...sent, ...waiting]) expect(linesOf(join(node.data, "events.log"), id)).toHaveLength(2);
  await node.crash();
});
