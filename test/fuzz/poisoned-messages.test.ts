/**
 * Messages as only a raw socket can send them: header blocks, status lines, reply subjects and sizes that no client
 * library would make, on all subjects that a node reads. Each is decided or counted, and does nothing else: no
 * session ends, good transfers between them are decided, and a node that reads it all from the beginning comes to
 * the same log.
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { BalanceChangeSource, balanceChangesOf } from "../../src/postgres/balance-change-source.ts";
import { NatsSession } from "../../src/queue/nats-session.ts";
import { systemClock } from "../../src/runtime/system-clock.ts";
import { readMessage } from "../../src/wire/messages.ts";
import { CofferNode, coffer } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import { NatsServer } from "../../tools/harness/nats.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { currency } from "../support/ledger-specs.ts";
import { type RawMessage, RawNats } from "../support/raw-nats.ts";
import { FUZZ_TIMEOUT_MS, rounds } from "./budget.ts";
import { hostileHead, hostileReply } from "./hostile-headers.ts";

const STREAM = "COFFER_COMMANDS";
const MESSAGES = 200;
const MAX_PAYLOAD = 256 << 10;

const draw = randomIntegers();
let server: NatsServer;
let connection: NatsConnection;
let jsm: JetStreamManager;
let raw: RawNats;
let flags: readonly string[];
let node: CofferNode;

beforeAll(async () => {
  server = await NatsServer.start(temporaryFolder(), undefined, { maxPayload: MAX_PAYLOAD });
  flags = ["--nats-url", server.url];
  // This one only registers, so that the stream is kept whole.
  const witness = await CofferNode.start(temporaryFolder(), { flags });
  expect(await witness.stop()).toBe(0);
  node = await CofferNode.start(temporaryFolder(), { flags });
  connection = await server.connect();
  jsm = await jetstreamManager(connection);
  raw = await RawNats.open(server.port);
  expect((await node.client.open("payer", 1_000_000)).status).toBe(201);
});

afterAll(async () => {
  raw?.close();
  await connection?.close();
  await node?.crash();
  await server?.crash();
});

const head = (status: string, ...lines: string[]) =>
  Buffer.from([`NATS/1.0${status}`, ...lines, "", ""].join("\r\n"), "latin1");

/** Those that have stopped a node once, or look as if they could. */
const HEADS: readonly Uint8Array[] = [
  head("", "bad name: x"),
  head("", "b\u0001d: x"),
  head("", "b\xe4d: x"),
  Buffer.from("NATS/1.0\r\nbäd: x\r\n\r\n"),
  head("", "A: b\nC: d"),
  head("", ": x"),
  head("", "no colon"),
  head("", `A: ${"b".repeat(60_000)}`),
  head(" 100 Idle Heartbeat", "Nats-Consumer-Stalled: coffer.commands.0"),
  head(" 503"),
  Buffer.from("100 Idle Heartbeat\r\n\r\n"),
  Buffer.from("100 FlowControl Request\r\nNats-Consumer-Stalled: coffer.commands.0\r\n\r\n"),
  Buffer.from("NATS/1.0 100"),
  Buffer.from("NATS/1.0"),
  Buffer.from("NATS/1.0\r\nA: b"),
  Buffer.from("\r\n"),
  Buffer.from("x"),
];

async function send(message: RawMessage): Promise<void> {
  raw.publish(message);
  try {
    await raw.flush();
  } catch {
    raw.close();
    raw = await RawNats.open(server.port); // what nats-server refuses is not ours to judge
  }
}

/** What a node counts. */
async function metric(of: CofferNode, name: string): Promise<number> {
  const text = await (await fetch(`${of.url}/metrics`)).text();
  return Number(new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1] ?? Number.NaN);
}

/** How many messages from `first` on are no commands, by a plain reading of the stream; all of them are there. */
async function malformedFrom(first: number): Promise<number> {
  const { state } = await jsm.streams.info(STREAM);
  expect(state.messages).toBe(state.last_seq);
  let malformed = 0;
  for (let seq = first; seq <= state.last_seq; seq++) {
    const message = await jsm.streams.getMessage(STREAM, { seq });
    if (readMessage((message as { data: Uint8Array }).data, currency("USD")).from === "nobody") malformed++;
  }
  return malformed;
}

async function counts(of: CofferNode, malformed: number): Promise<void> {
  await eventually(`${malformed} malformed messages are counted`, async () => {
    const counted = await metric(of, "coffer_malformed_messages_total");
    if (counted > malformed) throw new Error(`${counted} malformed messages are counted, of ${malformed}`);
    return counted === malformed;
  });
}

const transfer = () => ({
  transaction_id: randomUUID(),
  from_account: "payer",
  to_account: `receiver-${draw(9)}`,
  amount: 1 + draw(3),
});

/** A busy machine may refuse it for a while: it is asked again until it is decided. */
async function pay(payment: ReturnType<typeof transfer>): Promise<void> {
  await eventually("a transfer is decided", async () => {
    const { status, body } = await node.client.transfer(payment);
    if (status === 503 && body.code === "overloaded") return false;
    expect([status, body.status]).toEqual([200, "committed"]);
    return true;
  });
}

async function expectHealthy(sessions: number): Promise<void> {
  await pay(transfer());
  expect((await node.client.get("/health/ready")).status).toBe(200);
  expect(await metric(node, "coffer_queue_sessions_total")).toBe(sessions);
}

async function lastSequence(): Promise<number> {
  return (await jsm.streams.info(STREAM)).state.last_seq;
}

test("a message with any of the headers that stopped a node once is passed over, as the last one before a start too", async () => {
  for (const poison of HEADS) {
    const before = await metric(node, "coffer_malformed_messages_total");
    await send({ subject: "coffer.commands.0", head: poison });
    await expectHealthy(1);
    await counts(node, before + 1);
  }
  // The message at the last logged position is looked up at the start, and the ones after it are read again.
  for (const poison of HEADS) {
    const payment = transfer();
    await send({ subject: "coffer.commands.0", head: poison, data: JSON.stringify(payment) });
    await eventually("it is decided", async () => {
      return (await node.client.transfer(payment)).headers.get("idempotent-replayed") === "true";
    });
    await send({ subject: "coffer.commands.0", head: poison });
  }
  await node.crash();
  node = await CofferNode.start(node.data, { flags });
  await expectHealthy(1);
});

test("neither a key of the nodes' bucket that is poisoned, nor one that is taken out by another client, is in a node's way", async () => {
  const bucket = "$KV.COFFER_NODES.";
  for (const [index, poison] of HEADS.entries()) {
    await send({ subject: `${bucket}poison-${index}`, head: poison, data: index % 2 === 0 ? "7" : "" });
    await send({ subject: "coffer.positions", head: poison, data: "{" });
  }
  await send({ subject: `${bucket}deleted`, data: "1" });
  await send({ subject: `${bucket}deleted`, head: head("", "KV-Operation: DEL") });
  const own = readFileSync(join(node.data, "node"), "utf8").trim();
  await send({ subject: bucket + own, head: head("", "bad name: x"), data: "1" });
  expect(await node.stop()).toBe(0);
  node = await CofferNode.start(node.data, { flags });
  await expectHealthy(1);
  const listed = async () => (await coffer(["queue", "nodes", ...flags])).stdout.split("\n").sort();
  const nodes = await listed();
  const markOf = (name: string) => nodes.find((line) => line.startsWith(`${name} `))?.split(/ +/)[1];
  expect([markOf("poison-0"), markOf("poison-1")]).toEqual(["7", "0"]);
  expect(nodes.filter((line) => line.startsWith("deleted "))).toEqual([]);
  for (const line of nodes.filter((name) => name.startsWith("poison-")))
    expect(await coffer(["queue", "forget", line.split(" ")[0] as string, ...flags])).toMatchObject({
      code: 0,
    });
  expect((await listed()).filter((line) => line.startsWith("poison-"))).toEqual([]);
});

test("a request on coffer.transfer is answered to nobody's subject but its client's", async () => {
  const seen: string[] = [];
  for (const subject of ["$JS.API.>", "coffer.>", "$KV.>"]) {
    connection.subscribe(subject, {
      callback: (_, message) => void seen.push(`${message.subject} ${message.string()}`),
    });
  }
  await connection.flush();
  const paid: string[] = [];
  for (const reply of [
    "$JS.API.STREAM.PURGE.COFFER_COMMANDS",
    "$KV.COFFER_NODES.x",
    "coffer.commands.0",
    "coffer.transfer",
    "a..b",
    ">",
    "\u0001",
  ]) {
    const payment = transfer();
    paid.push(payment.transaction_id);
    const request = { subject: "coffer.transfer", head: head("", "bad name: x"), reply };
    await send({ ...request, data: JSON.stringify(payment) });
  }
  const answered = new Promise<string>((resolve) => {
    connection.subscribe("a.clients.inbox", { callback: (_, message) => resolve(message.string()) });
  });
  await connection.flush();
  const last = transfer();
  await send({ subject: "coffer.transfer", reply: "a.clients.inbox", data: JSON.stringify(last) });
  expect(JSON.parse(await answered)).toMatchObject({
    transaction_id: last.transaction_id,
    status: "committed",
  });
  await eventually("all are decided", async () => {
    const { lines } = replayIndependently(join(node.data, "events.log"));
    const decided = new Set(lines.map((line) => line.transaction_id));
    return paid.every((id) => decided.has(id));
  });
  await expectHealthy(1);
  expect(seen.filter((text) => text.includes('"status":'))).toEqual([]);
  expect((await jsm.streams.info(STREAM)).state.first_seq).toBe(1);
  expect(node.process.stderr.filter((line) => JSON.parse(line).level >= 50)).toEqual([]);
});

test("nobody else can use up the ids under which a node's frames are kept apart", async () => {
  const ids: string[] = [];
  const seeing = connection.subscribe("coffer.commands.0", {
    callback: (_, message) => void ids.push(message.headers?.get("Nats-Msg-Id") ?? ""),
  });
  await connection.flush();
  await pay(transfer());
  await eventually("its frame is seen", () => ids.length > 0);
  seeing.unsubscribe();
  const [, origin, number, rest] = /^([0-9a-f]{32})-([0-9]+)(.*)$/.exec(ids[0] as string) as string[];
  for (let next = Number(number) + 1; next <= Number(number) + 20; next++) {
    for (const id of [`${origin}-${next}`, `${origin}-${next}${rest}`])
      raw.publish({ subject: "coffer.commands.0", head: head("", `Nats-Msg-Id: ${id}`) });
  }
  await raw.flush();
  for (let count = 0; count < 10; count++) await pay(transfer());
  await expectHealthy(1);
});

test(
  "whatever is in a message on any subject that a node reads, it is decided or counted, and nothing else happens",
  async () => {
    let from = (await lastSequence()) + 1;
    let counted = await metric(node, "coffer_malformed_messages_total");
    const wanted: string[] = [];
    for (const round of rounds(3)) {
      const asked: Promise<unknown>[] = [];
      for (let number = 0; number < MESSAGES; number++) {
        const good = transfer();
        const kind = draw(8);
        const data =
          kind < 3
            ? ""
            : kind < 5
              ? JSON.stringify(good)
              : kind === 5
                ? Buffer.from(Array.from({ length: draw(300) }, () => draw(256)))
                : kind === 6
                  ? "{".repeat(draw(2_000))
                  : draw(10) > 0
                    ? '{"node":"x","ledger_id":"y","command":"1.0","seq":1,"crc":"00000000"}'
                    : Buffer.alloc(draw(MAX_PAYLOAD + 1_000));
        const subject = [
          "coffer.commands.0",
          "coffer.commands.0",
          "coffer.commands.0",
          `coffer.commands.${draw(3)}`,
          "coffer.commands.\xe9",
          "coffer.transfer",
          "coffer.positions",
          `$KV.COFFER_NODES.fuzz-${draw(3)}`,
        ][draw(8)] as string;
        const reply = hostileReply(draw);
        const message = { subject, data, head: hostileHead(draw), ...(reply === undefined ? {} : { reply }) };
        if (draw(4) > 0) raw.publish(message);
        else await send(message);
        if (draw(10) === 0) {
          const wish = transfer();
          wanted.push(wish.transaction_id);
          asked.push(pay(wish));
        }
      }
      await send({ subject: "coffer.commands.0" });
      await Promise.all(asked);
      await expectHealthy(1);
      const malformed = await malformedFrom(from);
      expect(malformed).toBeGreaterThan(0);
      counted += malformed;
      await counts(node, counted);
      from = (await lastSequence()) + 1;
      if (round % 2 === 1) continue;
      // What comes after the last command that wrote is read again, and counted again.
      await expectHealthy(1);
      from = (await lastSequence()) + 1;
      if (draw(2) === 0) await node.crash();
      else expect(await node.stop()).toBe(0);
      node = await CofferNode.start(node.data, { flags });
      counted = await metric(node, "coffer_malformed_messages_total");
    }

    const other = await CofferNode.start(temporaryFolder(), { flags });
    await counts(other, await malformedFrom(1));
    expect([await node.stop(), await other.stop()]).toEqual([0, 0]);
    const log = join(node.data, "events.log");
    expect(readFileSync(join(other.data, "events.log")).equals(readFileSync(log))).toBe(true);
    const decided = new Set(replayIndependently(log).lines.map((line) => line.transaction_id));
    expect(wanted.filter((id) => !decided.has(id))).toEqual([]);
    for (const { process } of [node, other])
      expect(process.stderr.filter((line) => JSON.parse(line).level >= 50)).toEqual([]);
  },
  FUZZ_TIMEOUT_MS,
);

test(
  "of the balance changes of other systems, each message of the partition is given once, a change or malformed",
  async () => {
    const subject = "coffer.balance-changes.0";
    const names = { names: balanceChangesOf(2), maxBytes: 64 << 20, replicas: 1 };
    const connect = () => NatsSession.open({ servers: server.url }, "changes", names, () => {});
    const making = await connect();
    const source = new BalanceChangeSource(
      connect,
      { partition: 0, remakeLostChanges: undefined },
      systemClock,
      () => {},
    );
    const start = { offset: 0, crc: "00000000", ledgerId: null };
    for (const _ of rounds(1)) {
      await making.remove();
      await making.create(1, {});
      const wanted: string[] = [];
      const publishing = async (count: number) => {
        for (let number = 0; number < count; number++) {
          const event_id = randomUUID();
          const good = {
            event_id,
            account_id: "alice",
            currency_code: "USD",
            available_delta: 1,
            frozen_delta: 0,
          };
          const poison = HEADS[number] ?? hostileHead(draw);
          const isGood = draw(2) === 0;
          const reply = hostileReply(draw);
          if (isGood && reply === undefined && number < HEADS.length) wanted.push(event_id);
          await send({
            subject: `coffer.balance-changes.${draw(4) === 0 && number >= HEADS.length ? 1 : 0}`,
            head: poison,
            data: isGood ? JSON.stringify(good) : "",
            ...(reply === undefined ? {} : { reply }),
          });
        }
      };
      await publishing(100);
      const stream = await source.open(start);
      await publishing(100);
      await jsm.jetstream().publish(subject, ""); // when this is stored, all of them are
      const { state } = await jsm.streams.info("COFFER_BALANCE_CHANGES", { subjects_filter: subject });
      const stored = state.subjects?.[subject] ?? 0;
      const found: string[] = [];
      for (let messages = 0; messages < stored; ) {
        const set = stream.take();
        if (!set) {
          expect(stream.over).toBeUndefined();
          await stream.wait(1_000);
          continue;
        }
        messages++;
        found.push(...set.changes.map((change) => change.eventId));
      }
      expect(stream.take()).toBeUndefined();
      expect(stream.over).toBeUndefined();
      expect(wanted.filter((id) => !found.includes(id))).toEqual([]);
      stream.close();
    }
    making.end("the test is over");
  },
  FUZZ_TIMEOUT_MS,
);
