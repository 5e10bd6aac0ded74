/**
 * Text that looks like lines, and bytes that break them, in every field of every route and of every message: the
 * log of events and the node's own log have the lines that they should, and no other.
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import { parseAccount } from "../../src/domain/names.ts";
import { parseJson } from "../../src/wire/strict-json.ts";
import { CofferNode, coffer } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import { NatsServer } from "../../tools/harness/nats.ts";
import { type Json, OpenApi } from "../../tools/harness/openapi.ts";
import { newId } from "../support/ledger-specs.ts";
import { rawRequest } from "../support/raw-http.ts";
import { HOSTILE_TEXTS } from "./hostile-messages.ts";

const { document } = await OpenApi.published();
const AT_ONCE = 16;

let nats: NatsServer;
let connection: NatsConnection;
let node: CofferNode;

beforeAll(async () => {
  nats = await NatsServer.start(temporaryFolder());
  node = await CofferNode.start(temporaryFolder(), {
    flags: ["--nats-url", nats.url, "--log-level", "debug"],
  });
  connection = await nats.connect();
});
afterAll(async () => {
  await connection?.close();
  await node?.crash();
  await nats?.crash();
});

/** The value as JSON: escaped as it should be, as it is, and as bytes that are no UTF-8. */
function spellings(text: string): Buffer[] {
  // A line end in two and in three bytes, as no encoder writes it.
  const overlong = Buffer.from([0xc0, 0x8a, 0xe0, 0x80, 0x8a]);
  return [
    Buffer.from(JSON.stringify(text)),
    Buffer.from(`"${text}"`),
    Buffer.concat([Buffer.from('"a'), overlong, Buffer.from('"')]),
  ];
}

const HERE = "PLACE";
/** The JSON of `example`, with each of its fields in turn, and a further field's name, replaced by each spelling. */
function* hostileBodies(example: Json, fields: readonly string[]): Generator<Buffer> {
  for (const text of HOSTILE_TEXTS) {
    for (const spelling of spellings(text)) {
      for (const field of fields) yield filled(JSON.stringify({ ...example, [field]: HERE }), spelling);
      yield filled(JSON.stringify({ ...example, [HERE]: 1 }), spelling);
    }
  }
}

function filled(json: string, spelling: Buffer): Buffer {
  const [before, behind] = json.split(`"${HERE}"`);
  return Buffer.concat([Buffer.from(before as string), spelling, Buffer.from(behind as string)]);
}

/** Every request of the document, with hostile text wherever it takes any. */
function* hostileRequests(): Generator<{ method: string; target: string; body?: Buffer }> {
  for (const [path, operations] of Object.entries<Json>(document.paths)) {
    for (const [method, operation] of Object.entries<Json>(operations)) {
      const content = operation.requestBody?.content["application/json"];
      if (content) {
        const schema = document.components.schemas[content.schema.$ref.split("/").at(-1)];
        for (const body of hostileBodies(content.example, Object.keys(schema.properties)))
          yield { method: method.toUpperCase(), target: path, body };
        const item = schema.properties.transfers?.items.$ref.split("/").at(-1);
        if (!item) continue;
        const fields = Object.keys(document.components.schemas[item].properties);
        for (const inner of hostileBodies(content.example.transfers[0], fields))
          yield {
            method: "POST",
            target: path,
            body: Buffer.concat([Buffer.from('{"transfers":['), inner, Buffer.from("]}")]),
          };
        continue;
      }
      for (const text of HOSTILE_TEXTS.filter((text) => text.isWellFormed())) {
        const escaped = encodeURIComponent(text);
        yield { method: "GET", target: path.replace(/\{\w+\}/, escaped) };
        const usual = path.replace(/\{\w+\}/, "alice");
        yield { method: "GET", target: `${usual}?currency=${escaped}` };
        yield { method: "GET", target: `${usual}?${escaped}=1` };
        yield { method: "GET", target: `${usual}/${escaped}` };
      }
    }
  }
}

/** Ids that callers were told of, or that they chose with text that is no forgery. */
const decided = new Set<string>();

function note(text: string): void {
  const { transaction_id, transaction_ids } = JSON.parse(text);
  for (const id of transaction_ids ?? [transaction_id]) if (id) decided.add(id);
}

test("whatever is sent over HTTP", async () => {
  let answered = 0;
  const requests = [...hostileRequests()];
  const bytes = (text: string) =>
    Buffer.from(text)
      .toString("latin1")
      .replace(/[\0\r\n]/g, "?");
  const worker = async (): Promise<void> => {
    for (let next = requests.pop(); next; next = requests.pop()) {
      const text = HOSTILE_TEXTS[answered % HOSTILE_TEXTS.length] as string;
      const answer = await rawRequest(node.url, {
        ...next,
        headers: [
          ["Content-Type", "application/json"],
          ["User-Agent", bytes(text)],
          ["Authorization", `Bearer ${bytes(text)}`],
        ],
      });
      if (!answer || answer.status >= 500)
        throw new Error(`${answer?.status} to ${next.method} ${next.target} ${next.body}`);
      answered++;
      if (answer.status === 200 || answer.status === 201 || answer.status === 422) {
        if (next.method === "POST") note(answer.text);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  expect(answered).toBeGreaterThan(1_000);
});

test("whatever is sent over NATS", async () => {
  const transfer = { from_account: "alice", to_account: "bob", amount: 1, currency: "USD" };
  const fields = [...Object.keys(transfer), "transaction_id"];
  for (const text of HOSTILE_TEXTS) {
    for (const field of fields) {
      const transaction_id = newId();
      if (parseAccount(text)) decided.add(transaction_id);
      for (const spelling of spellings(text)) {
        const body = filled(JSON.stringify({ transaction_id, ...transfer, [field]: HERE }), spelling);
        connection.publish("coffer.commands.0", body);
        connection.publish("coffer.commands.0", Buffer.concat([Buffer.from("["), body, Buffer.from("]")]));
        // Of a malformed reply subject nothing is known; of a good one it is answered.
        if (spelling.length < 200)
          note((await connection.request("coffer.transfer", body, { timeout: 30_000 })).string());
      }
    }
    const named = filled(
      JSON.stringify({ transaction_id: newId(), ...transfer, [HERE]: 1 }),
      Buffer.from(JSON.stringify(text)),
    );
    connection.publish("coffer.commands.0", named);
    connection.publish(
      "coffer.positions",
      JSON.stringify({ node: text, ledger_id: text, command: text, seq: 1, crc: text }),
    );
  }
  await connection.flush();
  const opened = await node.client.open("last", 1);
  decided.add(opened.body.transaction_id);
  await eventually("a second has gone by, in which malformed messages are told once", async () => {
    connection.publish("coffer.commands.0", '{"\u2028\u202e":1}');
    await connection.flush();
    return node.process.stderr.some((line) => line.includes("\\u202e"));
  });
});

const EVENT = /^\{"seq":[0-9]+,"type":"[A-Za-z]+",("[a-z_]+":("[A-Za-z0-9._:@+-]*"|[0-9]+|true|false),?)+\}$/;

test("the log has the lines of what was decided, and no other", async () => {
  const { seq } = await node.client.ledger();
  const path = join(node.data, "events.log");
  const text = readFileSync(path, "latin1");
  const lines = text.split("\n");
  expect(lines.pop()).toBe("");
  expect(lines).toHaveLength(seq);
  expect(lines.filter((line) => !EVENT.test(line))).toEqual([]);
  expect(text).not.toContain("forged");
  const { lines: events } = replayIndependently(path);
  const perId = new Map<string, number>();
  for (const { transaction_id } of events.slice(1))
    perId.set(transaction_id, (perId.get(transaction_id) ?? 0) + 1);
  expect([...perId.keys()].filter((id) => !decided.has(id))).toEqual([]);
  expect([...perId.values()].filter((count) => count > 2)).toEqual([]);
});

test("the node's own log has its lines, each whole, and one about what stops it", async () => {
  const claim = {
    node: `"}\n{"level":60,"msg":"forged"}`,
    ledger_id: (await node.client.ledger()).ledger_id,
  };
  connection.publish(
    "coffer.positions",
    JSON.stringify({ ...claim, command: "1.0", seq: 1, crc: "00000000" }),
  );
  await connection.flush();
  expect(await node.process.exited).toBe(1);
  const events: string[] = [];
  for (const line of node.process.stderr) {
    expect(line).toMatch(/^\{"level":[0-9]+,"time":[0-9]+,[\x20-\x7e]*\}$/);
    const fields = parseJson(Buffer.from(line)) as ReadonlyMap<string, unknown>;
    events.push(fields.get("event") as string);
  }
  const others = events.filter((event) => event !== "message_malformed");
  expect(events.length - others.length).toBeGreaterThan(0);
  expect(others).toEqual(["started", "no_keys", "log_recovered", "queue_open", "node_failed"]);
  expect(await coffer(["verify", "--data", node.data])).toMatchObject({ code: 0 });
});
