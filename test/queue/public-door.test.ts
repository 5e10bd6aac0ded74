/**
 * What NATS clients that are no gateways may do: transfers by request and reply on `coffer.transfer`, and
 * transfers as JSON straight on the stream. Everything else that they put there changes nothing.
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { buildFrame, CommandWriter } from "../../src/wire/frame.ts";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import { NatsServer } from "../../tools/harness/nats.ts";
import { deposit, transfer } from "../support/ledger-specs.ts";

const STREAM = "COFFER_COMMANDS";
const SUBJECT = "coffer.commands.0";
const DOOR = "coffer.transfer";

let server: NatsServer;
let node: CofferNode;
let client: NatsConnection;

/** A node on a server of its own that carries messages of 64 KiB; alice has 1,000. */
beforeAll(async () => {
  server = await NatsServer.start(temporaryFolder(), undefined, { maxPayload: 64 << 10 });
  node = await CofferNode.start(temporaryFolder(), { flags: ["--nats-url", server.url] });
  client = await server.connect();
  expect((await node.client.open("alice", 1_000)).status).toBe(201);
});
afterAll(async () => {
  await client.close();
  await node.crash();
  await server.crash();
});

const pay = (more: object = {}) => ({
  transaction_id: randomUUID(),
  from_account: "alice",
  to_account: "bob",
  amount: 1,
  ...more,
});

async function lastSequence(): Promise<number> {
  return (await (await jetstreamManager(client)).streams.info(STREAM)).state.last_seq;
}

const seqOf = async (): Promise<number> => (await node.client.ledger()).seq;

async function request(body: unknown) {
  const payload = typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
  const message = await client.request(DOOR, payload, { timeout: 30_000 });
  return {
    status: Number(message.headers?.get("Coffer-Status")),
    type: message.headers?.get("Content-Type"),
    replayed: message.headers?.get("Idempotent-Replayed"),
    body: message.json<Record<string, unknown>>(),
  };
}

describe("a request on coffer.transfer", () => {
  test("moves money, and is answered as over HTTP", async () => {
    const payment = pay({ amount: 30 });
    const first = await request(payment);
    expect(first).toMatchObject({ status: 200, type: "application/json", replayed: "" });
    expect(first.body).toMatchObject({ transaction_id: payment.transaction_id, status: "committed" });
    const again = await request(payment);
    expect(again).toMatchObject({ status: 200, replayed: "true", body: first.body });
    expect((await node.client.transfer(payment)).body).toEqual(first.body);
  });

  test("needs no id: one is made", async () => {
    const { status, body } = await request(pay({ transaction_id: undefined }));
    expect([status, body.status]).toEqual([200, "committed"]);
    expect(body.transaction_id).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("may be an array, which is a batch", async () => {
    const [known, poor] = [pay(), pay({ from_account: "poor" })];
    await request(known);
    const { status, body } = await request([pay(), known, poor, pay({ transaction_id: undefined })]);
    expect([status, body]).toMatchObject([
      200,
      {
        committed: 2,
        replayed: 1,
        failed: 1,
        failures: [{ index: 2, transaction_id: poor.transaction_id, code: "insufficient_funds" }],
      },
    ]);
    expect(body.transaction_ids).toHaveLength(4);
  });

  test("that the ledger rejects or refuses is a problem", async () => {
    const poor = pay({ from_account: "poor" });
    expect(await request(poor)).toMatchObject({
      status: 422,
      type: "application/problem+json",
      body: { code: "insufficient_funds", transaction_id: poor.transaction_id },
    });
    expect(await request({ ...poor, amount: 2 })).toMatchObject({
      status: 409,
      body: { code: "transaction_id_conflict" },
    });
  });

  const malformed: [string, unknown, string | undefined][] = [
    ["nothing", "", undefined],
    ["no JSON", "{", undefined],
    ["no object", '"transfer"', ""],
    ["bytes that are no text", new Uint8Array([0xff, 0xfe, 0x00]), undefined],
    ["a fraction", pay({ amount: 1.5 }), "/amount"],
    ["nothing of it", pay({ amount: 0 }), "/amount"],
    ["an account of the ledger's own", pay({ from_account: "@world" }), "/from_account"],
    ["a payment to oneself", pay({ to_account: "alice" }), "/to_account"],
    ["an id that is none", pay({ transaction_id: "1" }), "/transaction_id"],
    ["a field that is none", pay({ memo: "rent" }), "/memo"],
    ["a deposit", { account_id: "alice", amount: 1 }, undefined],
    ["an opening", { account_id: "alice", initial_balance: 1 }, undefined],
    ["an empty array", [], ""],
    ["one malformed element among others", [pay(), pay({ amount: -1 }), pay()], "/1/amount"],
    ["the batch of HTTP", { transfers: [pay()] }, "/transfers"],
  ];
  test.each(malformed)(
    "that holds %s is refused, and nothing of it enters the queue",
    async (_, body, path) => {
      const before = [await lastSequence(), await seqOf()];
      const answer = await request(body);
      expect(answer).toMatchObject({ status: 400, body: { code: "invalid_request" } });
      if (path !== undefined) expect(answer.body.path).toBe(path);
      expect([await lastSequence(), await seqOf()]).toEqual(before);
    },
  );

  test("without a reply subject is served all the same", async () => {
    const bob = await node.client.balance("bob");
    client.publish(DOOR, JSON.stringify(pay({ amount: 3 })));
    await eventually("bob has it", async () => (await node.client.balance("bob")) === bob + 3);
  });

  test("whose answer would hide the ids that are made for it is refused", async () => {
    const before = await seqOf();
    const without = Array.from({ length: 1_000 }, () => ({ from_account: "x", to_account: "y", amount: 1 }));
    const { status, body } = await request(without);
    expect([status, body.code]).toEqual([413, "batch_too_large"]);
    expect(await seqOf()).toBe(before);
  });
});

/** A frame of version 1, and what can be made of it. */
function frame(): Uint8Array {
  const writer = new CommandWriter();
  writer.add(deposit("thief", 1_000_000));
  writer.add(transfer("alice", "thief", 1));
  return buildFrame(new Uint8Array(16).fill(7), 1, [writer.take()]);
}

function changed(change: (bytes: Uint8Array, view: DataView) => void, seal: boolean): Uint8Array {
  const bytes = frame();
  const view = new DataView(bytes.buffer);
  change(bytes, view);
  if (seal) view.setUint32(32, crc32(bytes.subarray(36), crc32(bytes.subarray(0, 32))), true);
  return bytes;
}

describe("a message straight on the stream", () => {
  const publish = async (body: unknown): Promise<number> => {
    const payload = typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
    return (await jetstream(client).publish(SUBJECT, payload)).seq;
  };
  /** Resolves when everything on the stream is decided. */
  const settled = async () => expect((await request(pay())).status).toBe(200);

  test("may be a transfer with its id, or an array of them", async () => {
    const bob = await node.client.balance("bob");
    const [one, two, three] = [pay({ amount: "10" }), pay({ amount: 20 }), pay({ amount: 30 })];
    await publish(one);
    await publish([two, three, { ...three, transaction_id: three.transaction_id.toUpperCase() }]);
    await settled();
    expect(await node.client.balance("bob")).toBe(bob + 61);
    for (const payment of [one, two, three]) expect((await request(payment)).replayed).toBe("true");
  });

  test("that repeats an id moves nothing again, whatever else it says", async () => {
    const payment = pay();
    await publish(payment);
    await settled();
    const before = await seqOf();
    await publish(payment);
    await publish({ ...payment, amount: 500 });
    await publish([payment, payment]);
    await settled();
    expect(await seqOf()).toBe(before + 2);
  });

  const refused: [string, unknown][] = [
    ["a transfer without an id", pay({ transaction_id: undefined })],
    ["an array of which one has no id", [pay(), pay({ transaction_id: undefined }), pay()]],
    ["an array of which one is malformed", [pay(), pay({ amount: "1.0" })]],
    ["an array of which one takes from @world", [pay(), pay({ from_account: "@world" })]],
    ["a transfer from @world", pay({ from_account: "@world" })],
    ["a transfer to @world", pay({ to_account: "@world" })],
    ["a deposit", { transaction_id: randomUUID(), account_id: "thief", amount: 1_000 }],
    ["a transfer of another kind", pay({ kind: "deposit" })],
    ["an opening", { transaction_id: randomUUID(), account_id: "thief", initial_balance: 1_000 }],
    ["a transfer to oneself", pay({ to_account: "alice" })],
    ["more than there can be", pay({ amount: "9223372036854775808" })],
    [
      "the same key twice",
      '{"transaction_id":"00000000-0000-4000-8000-000000000000","from_account":"alice","to_account":"bob","amount":1,"amount":2}',
    ],
    ["an empty array", []],
    ["nothing", ""],
    ["a text", "hello"],
    ["null", "null"],
    ["bytes that are no text", new Uint8Array([0xff, 0x00, 0xfe])],
    ["the first byte of a frame", frame().subarray(0, 1)],
    ["the beginning of a frame", frame().subarray(0, 40)],
    ["a frame that was cut", frame().subarray(0, frame().length - 1)],
    [
      "a frame with one bit changed",
      changed((bytes) => {
        bytes[60]! ^= 1;
      }, false),
    ],
    [
      "a frame of another version with a wrong checksum",
      changed((bytes) => {
        bytes[2] = 3;
      }, false),
    ],
    [
      "a frame that counts more commands than it has",
      changed((_, view) => view.setUint32(28, 3, true), true),
    ],
    [
      "a frame that counts fewer commands than it has",
      changed((_, view) => view.setUint32(28, 1, true), true),
    ],
    ["a frame of no commands", changed((_, view) => view.setUint32(28, 0, true), true)],
    ["a frame of too many commands", changed((_, view) => view.setUint32(28, 8_193, true), true)],
    [
      "a frame whose names are none",
      changed((bytes) => {
        bytes[bytes.length - 3] = 0x20;
      }, true),
    ],
    [
      "a frame whose amount is negative",
      changed((bytes) => {
        bytes[36 + 31] = 0x80;
      }, true),
    ],
  ];
  test("that is no transfer changes nothing and is passed over", async () => {
    await settled();
    const before = await seqOf();
    for (const [, body] of refused) await publish(body);
    await settled();
    expect(await seqOf()).toBe(before + 2);
    expect((await node.client.get("/v1/wallet/balance/thief")).status).toBe(404);
    expect((await node.client.get("/health/ready")).status).toBe(200);
  });

  test("of another partition is a command like all others", async () => {
    const payment = pay();
    await jetstream(client).publish("coffer.commands.7", JSON.stringify(payment));
    await settled();
    expect((await request(payment)).replayed).toBe("true");
  });
});

const UNKNOWN: [string, Uint8Array, RegExp][] = [
  [
    "version",
    changed((bytes) => {
      bytes[2] = 3;
    }, true),
    /version 3/,
  ],
  [
    "kind",
    changed((bytes) => {
      bytes[40] = 99;
    }, true),
    /unknown kinds \(99\)/,
  ],
];

test.concurrent.each(UNKNOWN)(
  "a whole frame of an unknown %s stops the node, which does not start again: others may decide it",
  async (_, bytes, why) => {
    const other = await NatsServer.start(temporaryFolder());
    const flags = ["--nats-url", other.url];
    const first = await CofferNode.start(temporaryFolder(), { flags });
    expect((await first.client.open("alice", 10)).status).toBe(201);
    const connection = await other.connect();
    await jetstream(connection).publish(SUBJECT, bytes);
    expect(await first.process.exited).toBe(1);
    expect(first.process.stderr.at(-1)).toMatch(why);
    const again = CofferNode.launch(first.data, { flags });
    expect(await again.process.exited).toBe(1);
    expect(again.process.stderr.at(-1)).toMatch(why);
    expect(replayIndependently(join(first.data, "events.log")).events).toBe(2);
    await connection.close();
    await other.crash();
  },
);
