/**
 * Hostile messages straight on the stream of two nodes that are in use: none stops them, both write what a plain
 * reading of the stream comes to, and good commands between them are decided.
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { jetstream } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { WalletEngine } from "../../src/engine/wallet-engine.ts";
import { UnknownCommand } from "../../src/wire/frame.ts";
import { readMessage } from "../../src/wire/messages.ts";
import { CofferNode, coffer } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import { NatsServer } from "../../tools/harness/nats.ts";
import { OpenApi } from "../../tools/harness/openapi.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { currency } from "../support/ledger-specs.ts";
import { FUZZ_TIMEOUT_MS, rounds } from "./budget.ts";
import { hostileMessage, mutated, sealed } from "./hostile-messages.ts";

const STREAM = "COFFER_COMMANDS";
const SUBJECT = "coffer.commands.0";
const MESSAGES = 150;

const draw = randomIntegers();
let nats: NatsServer;
let connection: NatsConnection;
const nodes: CofferNode[] = [];
const [LEFT, RIGHT] = [0, 1];

beforeAll(async () => {
  nats = await NatsServer.start(temporaryFolder());
  const flags = ["--nats-url", nats.url];
  // This one only registers, so that the stream is kept whole.
  const witness = await CofferNode.start(temporaryFolder(), { flags });
  expect(await witness.stop()).toBe(0);
  for (const _ of [LEFT, RIGHT]) nodes.push(await CofferNode.start(temporaryFolder(), { flags }));
  connection = await nats.connect();
});

afterAll(async () => {
  await connection?.close();
  await Promise.all(nodes.map((node) => node.crash()));
  await nats?.crash();
});

/** Whether it is one of those that are there to stop a node: docs/frames.md. */
function stops(message: Uint8Array): boolean {
  try {
    readMessage(message, currency("USD"));
    return false;
  } catch (error) {
    if (error instanceof UnknownCommand) return true;
    throw error;
  }
}

/** The door for others takes any bytes, and answers as HTTP does. */
async function expectAnswered(message: Uint8Array): Promise<void> {
  const answer = await connection.request("coffer.transfer", message, { timeout: 30_000 });
  const headers = new Headers({ "content-type": answer.headers?.get("Content-Type") ?? "" });
  if (answer.headers?.has("Idempotent-Replayed")) headers.set("idempotent-replayed", "true");
  const told = { status: Number(answer.headers?.get("Coffer-Status")), headers, text: answer.string() };
  const document = await OpenApi.published();
  const wrong = ["/v1/wallet/transfer", "/v1/wallet/transfers"].map((path) =>
    document.wrongIn("POST", path, told),
  );
  if (!wrong.includes("") || told.status >= 500)
    throw new Error(`${told.status} ${told.text}: ${wrong.join(", ")}`);
}

/** What the lines of a log say, as a plain reading of the stream has it: no short way, no batch. */
async function readStream(last: number): Promise<readonly object[]> {
  const engine = new WalletEngine();
  const lines: object[] = [];
  const consumer = await jetstream(connection).consumers.get(STREAM);
  for await (const message of await consumer.consume()) {
    const read = readMessage(message.data, engine.ledger.opened?.currency);
    if (read.from !== "nobody") {
      read.commands.forEach((command, index) => {
        const events = engine.execute(command);
        if (events.length > 0) engine.apply(events);
        const place = { command: `${message.seq}.${index}` };
        lines.push(...events.map((event, at) => (at === events.length - 1 ? { ...event, ...place } : event)));
      });
    }
    if (message.seq === last) break;
  }
  return lines;
}

/** The fields of a line or an event that both have. */
function told(line: object): unknown {
  const { seq: _seq, at: _at, crc: _crc, ...fields } = line as Record<string, unknown>;
  for (const name of ["amount", "initial_balance"]) if (name in fields) fields[name] = String(fields[name]);
  if (fields.type !== "LedgerOpened") fields.currency ??= "USD";
  return fields;
}

test(
  "whatever is published, both nodes go on, decide what is good, and write the same log",
  async () => {
    const [left, right] = nodes as [CofferNode, CofferNode];
    expect((await left.client.open("payer", 1_000_000)).status).toBe(201);
    const captured: Buffer[] = [];
    const wanted: string[] = [];
    connection.subscribe(SUBJECT, {
      callback: (_, { data }) => {
        if (captured.length < 1_000) captured.push(Buffer.from(data));
      },
    });

    for (const round of rounds(8)) {
      const asked: Promise<unknown>[] = [];
      for (let number = 0; number < MESSAGES; number++) {
        const again = captured[draw(captured.length * 8)];
        const seen = again && (draw(2) === 0 ? again : sealed(mutated(again, draw)));
        const message = seen ?? hostileMessage(draw);
        if (!stops(message)) connection.publish(SUBJECT, message);
        if (draw(10) === 0) asked.push(expectAnswered(message));
        if (draw(10) > 0) continue;
        const transfer = { from_account: "payer", to_account: `receiver-${draw(9)}`, amount: 1 + draw(3) };
        const transaction_id = randomUUID();
        wanted.push(transaction_id);
        if (draw(2) === 0) connection.publish(SUBJECT, JSON.stringify({ transaction_id, ...transfer }));
        else asked.push((nodes[draw(2)] as CofferNode).client.transfer({ transaction_id, ...transfer }));
      }
      await connection.flush();
      await Promise.all(asked);
      const { status, body } = await nodes[round % 2]!.client.deposit("payer", 1_000);
      expect(status).toBe(200);
      for (const node of nodes)
        await eventually("a node has read what the other one has", async () => {
          return (await node.client.ledger()).seq >= body.seq;
        });
    }

    const { streams } = await jetstream(connection).jetstreamManager();
    const { state } = await streams.info(STREAM);
    const expected = await readStream(state.last_seq);
    for (const node of nodes) {
      expect((await node.client.ledger()).totals.filter(({ sum }: { sum: number }) => sum !== 0)).toEqual([]);
      expect(node.process.stderr.filter((line) => JSON.parse(line).level >= 50)).toEqual([]);
    }
    expect(await Promise.all(nodes.map((node) => node.stop()))).toEqual([0, 0]);

    const log = join(left.data, "events.log");
    expect(readFileSync(join(right.data, "events.log")).equals(readFileSync(log))).toBe(true);
    const { lines } = replayIndependently(log);
    expect(lines.map(told)).toEqual(expected.map(told));
    const decided = new Set(lines.map((line) => line.transaction_id));
    expect(decided.size).toBeGreaterThan(wanted.length + 100); // some hostile messages are good commands
    expect(wanted.filter((id) => !decided.has(id))).toEqual([]);
    for (const { data } of nodes) expect(await coffer(["verify", "--data", data])).toMatchObject({ code: 0 });
  },
  FUZZ_TIMEOUT_MS,
);
