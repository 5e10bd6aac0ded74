/** What bounds a client: how many calls wait, how large a batch is, when a caller has enough. */

import { afterEach, expect, test } from "bun:test";
import {
  ClientClosed,
  Coffer,
  type CofferOptions,
  InvalidRequest,
  OutcomeUnknown,
  Overloaded,
  RequestFailed,
  type TransferOutcome,
} from "../../clients/typescript/src/index.ts";
import { FaultyGateway, problem } from "./faulty-gateway.ts";

const MAX_BODY_BYTES = 4 * 2 ** 20;
const TRANSFER = { from: "alice", to: "bob", amount: 1 };

const gateways: FaultyGateway[] = [];

afterEach(async () => {
  for (const gateway of gateways.splice(0)) await gateway.stop();
});

/** A gateway without a node behind it. */
function startGateway(answering: FaultyGateway["answering"]): FaultyGateway {
  const gateway = new FaultyGateway("", answering);
  gateways.push(gateway);
  return gateway;
}

function allCommitted({ transfers }: { readonly transfers: number }): Response {
  return Response.json({ committed: transfers, replayed: 0, failed: 0, failures: [], seq: 9 });
}

/** Answers when it is told to. */
function heldGateway() {
  const held = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  const gateway = startGateway(async (asked) => {
    arrived.resolve();
    await held.promise;
    return allCommitted(asked);
  });
  return { gateway, release: held.resolve, arrived: arrived.promise };
}

function statuses(outcomes: readonly TransferOutcome[]): Set<string> {
  return new Set(outcomes.map(({ status }) => status));
}

/** `count` concurrent transfers. */
function many(coffer: Coffer, count: number): Promise<TransferOutcome>[] {
  return Array.from({ length: count }, () => coffer.transfer(TRANSFER));
}

test("beyond maxWaiting a call is refused at once, and taken again when there is room", async () => {
  const { gateway, release } = heldGateway();
  const coffer = new Coffer(gateway.url, { maxWaiting: 50 });
  const calls = many(coffer, 50);
  expect(await coffer.transfer(TRANSFER).catch((error) => error)).toBeInstanceOf(Overloaded);
  expect(await coffer.balance("alice").catch((error) => error)).toBeInstanceOf(Overloaded);
  release();
  expect(statuses(await Promise.all(calls))).toEqual(new Set(["committed"]));
  expect((await coffer.transfer(TRANSFER)).status).toBe("committed");
});

test("while maxInFlight batches are under way, calls gather, and leave together", async () => {
  const { gateway, release, arrived } = heldGateway();
  const coffer = new Coffer(gateway.url, { maxInFlight: 1 });
  const first = many(coffer, 1);
  await arrived;
  const rest = many(coffer, 500);
  release();
  await Promise.all([...first, ...rest]);
  expect(gateway.asked.map(({ transfers }) => transfers)).toEqual([1, 500]);
});

test("the largest batch of the longest transfers is a body that a server takes", async () => {
  const gateway = startGateway(allCommitted);
  const coffer = new Coffer(gateway.url, { maxInFlight: 1 });
  const longest = {
    ...{ from: "a".repeat(64), to: "b".repeat(64), amount: 2n ** 63n - 1n, currency: "ABCDEFGHIJKL" },
  };
  await Promise.all(Array.from({ length: 10_000 }, () => coffer.transfer(longest)));
  expect(gateway.asked.map(({ transfers }) => transfers)).toEqual([8_192, 1_808]);
  expect(gateway.asked[0]?.body.length).toBeLessThan(MAX_BODY_BYTES);
});

test("a server that takes less in a batch is sent less", async () => {
  const gateway = startGateway((asked) =>
    asked.transfers > 300 ? problem(413, { code: "batch_too_large" }) : allCommitted(asked),
  );
  const coffer = new Coffer(gateway.url, { maxInFlight: 1 });
  expect(statuses(await Promise.all(many(coffer, 1_000)))).toEqual(new Set(["committed"]));
  gateway.asked.length = 0;
  await Promise.all(many(coffer, 1_000));
  expect(gateway.asked.map(({ transfers }) => transfers)).toEqual([250, 250, 250, 250]);
});

test("a batch of one that is too large fails", async () => {
  const gateway = startGateway(() => problem(413, { code: "body_too_large" }));
  const error = await new Coffer(gateway.url).transfer(TRANSFER).catch((reason) => reason);
  expect(error).toBeInstanceOf(RequestFailed);
  expect(error.status).toBe(413);
});

test("a transfer that the server refuses fails alone; the others are sent again", async () => {
  const gateway = startGateway((asked) => {
    const bodies: { to_account: string }[] = JSON.parse(asked.body).transfers;
    const wrong = bodies.findIndex(({ to_account }) => to_account.startsWith("closed"));
    if (wrong < 0) return allCommitted(asked);
    return problem(400, { code: "invalid_request", path: `/transfers/${wrong}/to_account`, detail: "no" });
  });
  const coffer = new Coffer(gateway.url);
  const receivers = Array.from({ length: 40 }, (_, index) => (index % 15 === 7 ? "closed" : "open") + index);
  const settled = await Promise.allSettled(receivers.map((to) => coffer.transfer({ ...TRANSFER, to })));
  for (const [index, result] of settled.entries()) {
    if (result.status === "fulfilled") expect(receivers[index]).toStartWith("open");
    else {
      expect(receivers[index]).toStartWith("closed");
      expect(result.reason).toBeInstanceOf(InvalidRequest);
      expect(result.reason).toMatchObject({ path: "/to_account", message: "no" });
    }
  }
  expect(settled.filter(({ status }) => status === "rejected")).toHaveLength(3);
});

test("where a refusal does not say which transfer is wrong, it is found", async () => {
  const gateway = startGateway((asked) =>
    asked.body.includes('"wrong"') ? problem(400, { code: "invalid_request" }) : allCommitted(asked),
  );
  const coffer = new Coffer(gateway.url);
  const calls = [...many(coffer, 30), coffer.transfer({ ...TRANSFER, to: "wrong" }), ...many(coffer, 30)];
  const settled = await Promise.allSettled(calls);
  expect(settled.filter(({ status }) => status === "fulfilled")).toHaveLength(60);
  expect((settled[30] as PromiseRejectedResult).reason).toBeInstanceOf(InvalidRequest);
});

test("a signal that comes before a transfer is sent takes it back; later its outcome is unknown", async () => {
  const { gateway, release, arrived } = heldGateway();
  const coffer = new Coffer(gateway.url, { maxInFlight: 1 });
  const [leaving, gathering] = [new AbortController(), new AbortController()];
  const sent = coffer.transfer(TRANSFER, { signal: leaving.signal }).catch((error) => error);
  await arrived;
  const waiting = coffer.transfer({ ...TRANSFER, to: "nobody" }, { signal: gathering.signal });
  const stays = coffer.transfer({ ...TRANSFER, to: "carol" });
  gathering.abort(new Error("changed my mind"));
  expect(await waiting.catch((error) => error)).toBe(gathering.signal.reason);
  leaving.abort();
  const unknown = await sent;
  expect(unknown).toBeInstanceOf(OutcomeUnknown);
  expect(unknown.cause).toBe(leaving.signal.reason);
  expect(unknown.transactionId).toHaveLength(36);
  release();
  expect((await stays).status).toBe("committed");
  expect(gateway.asked.some(({ body }) => body.includes("nobody"))).toBe(false);
  const late = coffer.transfer(TRANSFER, { signal: leaving.signal });
  expect(await late.catch((error) => error)).toBe(leaving.signal.reason);
});

test("a batch that nobody waits for any more makes room for the next", async () => {
  const { gateway, release, arrived } = heldGateway();
  const coffer = new Coffer(gateway.url, { maxInFlight: 1 });
  const ending = new AbortController();
  const { signal } = ending;
  const given = Array.from({ length: 3 }, () =>
    coffer.transfer(TRANSFER, { signal }).catch(() => "given up"),
  );
  await arrived;
  gateway.answering = allCommitted;
  ending.abort();
  expect(await Promise.all(given)).toEqual(["given up", "given up", "given up"]);
  expect((await coffer.transfer(TRANSFER)).status).toBe("committed");
  release();
});

test("a call that was given up is left out when its batch is sent again", async () => {
  const ending = new AbortController();
  const { signal } = ending;
  const gateway = startGateway((asked) => {
    if (gateway.asked.length > 1) return allCommitted(asked);
    ending.abort();
    return problem(503, { code: "overloaded" }, { "retry-after": "0" });
  });
  const coffer = new Coffer(gateway.url);
  const given = coffer.transfer({ ...TRANSFER, to: "nobody" }, { signal }).catch((error) => error);
  expect(statuses(await Promise.all(many(coffer, 5)))).toEqual(new Set(["committed"]));
  expect(await given).toBeInstanceOf(OutcomeUnknown);
  expect(gateway.asked.map(({ transfers }) => transfers)).toEqual([6, 5]);
  expect(gateway.asked[1]?.body).not.toContain("nobody");
});

test("a signal ends a read and a deposit", async () => {
  const { gateway, release } = heldGateway();
  const coffer = new Coffer(gateway.url);
  const ending = new AbortController();
  const { signal } = ending;
  const read = coffer.balance("alice", { signal }).catch((error) => error);
  const deposit = coffer.deposit({ to: "alice", amount: 1 }, { signal }).catch((error) => error);
  ending.abort();
  expect(await read).toBe(signal.reason);
  expect(await deposit).toBeInstanceOf(OutcomeUnknown);
  release();
  await coffer.close();
});

test("close() waits for what is under way, and lets nothing in", async () => {
  const { gateway, release } = heldGateway();
  const coffer = new Coffer(gateway.url);
  let settled = 0;
  for (const call of many(coffer, 100)) void call.then(() => settled++);
  const closed = coffer.close().then(() => settled);
  expect(await coffer.transfer(TRANSFER).catch((error) => error)).toBeInstanceOf(ClientClosed);
  expect(await coffer.ledger().catch((error) => error)).toBeInstanceOf(ClientClosed);
  release();
  expect(await closed).toBe(100);
  await coffer.close();
});

test("options and URLs that make no sense are refused at the start", () => {
  const wrong: CofferOptions[] = [
    { timeoutMs: 0 },
    { timeoutMs: 2 ** 31 },
    { maxInFlight: 0 },
    { maxBatch: 8_193 },
    { maxBatch: 1.5 },
    { maxWaiting: Number.NaN },
  ];
  for (const options of wrong) expect(() => new Coffer("http://localhost", options)).toThrow(RangeError);
  for (const url of [
    "",
    "localhost:8080",
    "ftp://localhost",
    "http://localhost?a=1",
    "http://me:secret@localhost",
  ])
    expect(() => new Coffer(url)).toThrow(TypeError);
  expect(() => new Coffer("http://localhost", { token: "a\nb" })).toThrow(TypeError);
});
