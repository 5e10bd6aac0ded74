/** The link between a gateway and the engine: whose outcomes it takes, what travels, and requests that fail. */

import { expect, test } from "bun:test";
import type { AccountId, TransactionId } from "../../src/domain/names.ts";
import { MAX_UNTAKEN_BYTES } from "../../src/link/backlog.ts";
import { GatewayLink } from "../../src/link/gateway-link.ts";
import { LinkedQueue } from "../../src/link/linked-queue.ts";
import { GatewayNode } from "../../src/node/gateway-node.ts";
import type { Answer } from "../../src/ports/answer.ts";
import type { CommittedBatch, Transfers } from "../../src/ports/changes.ts";
import type { CommandQueue, FrameName, OutgoingFrame, QueueState } from "../../src/ports/command-queue.ts";
import type { Port, ToEngine, ToGateway } from "../../src/ports/link.ts";
import { EMPTY_LOG } from "../../src/ports/log-position.ts";
import { buildFrame, CommandWriter } from "../../src/wire/frame.ts";
import { currency, deposit } from "../support/ledger-specs.ts";
import { ManualClock } from "../support/manual-clock.ts";

const ORIGIN = new Uint8Array(16).fill(7);
const ORIGIN_TEXT = "07".repeat(16);
const GATEWAY = 3;
/** More messages of a megabyte than are ever told to who takes nothing. */
const MANY = 200;

class OneEnd<Out, In> implements Port<Out, In> {
  readonly posted: Out[] = [];
  receive: (message: In) => void = () => {};

  post(message: Out, handedOver: ArrayBuffer[] = []): void {
    this.posted.push(structuredClone(message, { transfer: handedOver }));
  }

  onMessage(receive: (message: In) => void): void {
    this.receive = receive;
  }
}

class SomeQueue implements CommandQueue {
  readonly state = { open: true } as const;
  readonly maxFrameBytes = 1 << 20;
  readonly published: OutgoingFrame[] = [];
  readonly abandoned: FrameName[] = [];

  publish(frame: OutgoingFrame): void {
    this.published.push(frame);
  }

  settle({ gateway, number }: FrameName, count: number): boolean {
    const place = this.published.findIndex(
      (frame) => frame.gateway === gateway && frame.number === number && frame.count === count,
    );
    return place >= 0 && this.published.splice(place, 1).length > 0;
  }

  abandon(frame: FrameName): void {
    this.abandoned.push(frame);
  }
}

const LISTENER = {
  recovered: () => {},
  changed: () => {},
  facts: () => {},
  metrics: () => {},
  ask: () => {},
  call: () => {},
};

/** About 1 MB of them. */
function manyTransfers(): Transfers {
  const [payers, receivers, amounts] = [
    new Int32Array(65_536),
    new Int32Array(65_536),
    new Float64Array(65_536),
  ];
  const balanceOf = () => ({ account: "alice" as AccountId, currency: currency("USD") });
  return { balanceOf, payers, receivers, amounts };
}

function engineEnd() {
  const port = new OneEnd<ToGateway, ToEngine>();
  const queue = new SomeQueue();
  const node = { failedRequest: () => {}, metrics: async () => "some 1" };
  const link = new GatewayLink({ gateway: GATEWAY, origin: ORIGIN_TEXT, port, commands: queue, node });
  return { port, queue, link };
}

test("an outcome is a frame's only with its number and its count", () => {
  const { port, queue, link } = engineEnd();
  const writer = new CommandWriter();
  writer.add(deposit("alice", 1));
  writer.add(deposit("alice", 2));
  port.receive({ type: "publish", number: 5, bytes: buildFrame(ORIGIN, 5, [writer.take()]) as never });
  expect(queue.published).toMatchObject([{ gateway: GATEWAY, origin: ORIGIN_TEXT, number: 5, count: 2 }]);
  const tell = (number: number, count: number, gateway = GATEWAY) =>
    link.committed({
      position: EMPTY_LOG,
      changes: [],
      outcomes: [
        {
          gateway,
          number,
          outcomes: Array.from({ length: count }, () => ({ status: "conflict" })) as never,
        },
      ],
    });
  tell(5, 1);
  tell(6, 2);
  tell(5, 2, GATEWAY + 1);
  expect([queue.published.length, port.posted]).toEqual([1, []]);
  tell(5, 2);
  expect(queue.published).toEqual([]);
  expect(port.posted).toHaveLength(1);
  tell(5, 2);
  expect(port.posted).toHaveLength(1);
});

test("what the queue refuses, and what its caller gave up, goes over the link by its number", () => {
  const { port, queue } = engineEnd();
  const gateway = new OneEnd<ToEngine, ToGateway>();
  const linked = new LinkedQueue(gateway, LISTENER);
  const heard: unknown[] = [];
  linked.subscribe({
    decided: ({ number }) => heard.push(["decided", number]),
    refused: (number, why) => heard.push(["refused", number, why]),
  });
  for (const number of [5, 6]) linked.publish(number, buildFrame(ORIGIN, number, []));
  linked.abandon(6);
  for (const message of gateway.posted) port.receive(message);
  expect(queue.abandoned).toEqual([{ gateway: GATEWAY, number: 6 }]);
  queue.published[0]?.refused("it is full");
  for (const message of port.posted) gateway.receive(message);
  expect(heard).toEqual([["refused", 5, "it is full"]]);
});

/** The far end has taken everything that was posted to it from `from` on; what it says about that. */
function takenBy<Message extends { readonly type: string }>(posted: readonly Message[], from: number) {
  return posted.slice(from).filter(({ type }) => type === "taken");
}

test("a gateway that takes nothing is full at a bound, and empty again when it has taken it", () => {
  const { port, link } = engineEnd();
  const batch: CommittedBatch = { position: EMPTY_LOG, changes: [manyTransfers()], outcomes: [] };
  let told = 0;
  for (; !link.full && told < MANY; told++) link.committed(batch);
  const weights = port.posted.map((message) => (message.type === "committed" ? message.weight : 0));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  expect(sum).toBeGreaterThan(MAX_UNTAKEN_BYTES);
  expect(sum - (weights.at(-1) as number)).toBeLessThanOrEqual(MAX_UNTAKEN_BYTES);

  const gateway = new OneEnd<ToEngine, ToGateway>();
  new LinkedQueue(gateway, LISTENER);
  for (const message of port.posted) gateway.receive(message);
  for (const message of takenBy(gateway.posted, 0)) port.receive(message);
  expect([link.full, told > 1]).toEqual([false, true]);
  // What is not said yet is far from filling it again.
  expect(sum - link.taken).toBeLessThan(MAX_UNTAKEN_BYTES / 8);
});

test("an engine that takes nothing is sent no more than a bound, and again when it has taken it", () => {
  const gateway = new OneEnd<ToEngine, ToGateway>();
  const linked = new LinkedQueue(gateway, LISTENER);
  gateway.receive({ type: "facts", facts: { queue: { state: { open: true }, maxFrameBytes: 1 << 20 } } });
  let sent = 0;
  for (; linked.state.open && sent < MANY; sent++) {
    linked.publish(sent, new Uint8Array(1 << 20));
    linked.abandon(sent); // its caller has waited long enough
  }
  expect(sent).toBe(MAX_UNTAKEN_BYTES / (1 << 20) + 1);
  const { port } = engineEnd();
  for (const message of gateway.posted) port.receive(message);
  for (const message of takenBy(port.posted, 0)) gateway.receive(message);
  expect<QueueState>(linked.state).toEqual({ open: true });
});

test("a request that is a part of a large buffer travels without the rest, which stays whole", () => {
  const { port, link } = engineEnd();
  const chunk = Buffer.alloc(1 << 16, "x");
  void link.ask(chunk.subarray(10, 15), 1_000);
  const [asked] = port.posted;
  if (asked?.type !== "ask") throw new Error("nothing was asked");
  expect([asked.body.length, asked.body.buffer.byteLength]).toEqual([5, 5]);
  expect(chunk.toString("latin1", 10, 15)).toBe("xxxxx");
});

test("a request that fails by a bug is reported, and answered", async () => {
  const port = new OneEnd<ToEngine, ToGateway>();
  new GatewayNode(
    {
      port,
      clock: new ManualClock(),
      origin: ORIGIN,
      newTransactionId: (): TransactionId => {
        throw new Error("a bug");
      },
      answeredSeq: () => 0,
      keysChanged: () => {},
      stopAccepting: async () => {},
      cut: async () => {},
    },
    { outcomeTimeoutMs: 1_000, mostWaiting: 100 },
  );
  port.receive({ type: "facts", facts: { queue: { state: { open: true }, maxFrameBytes: 1 << 20 } } });
  const ledger = {
    opened: {
      type: "LedgerOpened",
      seq: 1,
      format: 1,
      ledger_id: "",
      currency: "USD",
      strict: false,
    } as never,
    seq: 1,
    transactions: 0,
    balances: [],
  };
  port.receive({ type: "recovered", ledger });
  const body = new TextEncoder().encode('{"from_account":"a","to_account":"b","amount":1}');
  port.receive({ type: "ask", ask: 9, body, maxAnswerBytes: 1_000 });
  await Promise.resolve();
  expect(port.posted.map(({ type }) => type)).toEqual(["failed_request", "answer"]);
  const { ask, answer } = port.posted[1] as { ask: number; answer: Answer };
  expect([ask, answer.status, JSON.parse(answer.body).code]).toEqual([9, 500, "internal_error"]);
});

test("metrics that cannot be had are told so, and fail the request", async () => {
  const port = new OneEnd<ToGateway, ToEngine>();
  const failed: string[] = [];
  const node = {
    failedRequest: (error: string) => void failed.push(error),
    metrics: () => Promise.reject(new Error("a bug")),
  };
  new GatewayLink({ gateway: GATEWAY, origin: ORIGIN_TEXT, port, commands: new SomeQueue(), node });
  port.receive({ type: "metrics" });
  await Promise.resolve();
  expect(failed).toEqual(["Error: a bug"]);
  expect(port.posted).toEqual([{ type: "metrics", text: undefined }]);
});
