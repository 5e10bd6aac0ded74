/** What a client's callers are told when the answers on the way say nothing, or refuse. */

import { afterAll, afterEach, beforeAll, expect, spyOn, test } from "bun:test";
import {
  Coffer,
  newTransactionId,
  OutcomeUnknown,
  RequestFailed,
  Unavailable,
} from "../../clients/typescript/src/index.ts";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { freePort } from "../../tools/harness/nats.ts";
import { FaultyGateway, problem } from "./faulty-gateway.ts";

let node: CofferNode;
const gateways: FaultyGateway[] = [];

beforeAll(async () => {
  node = await CofferNode.start(temporaryFolder());
  await node.client.open("ann", 3_000);
});

afterEach(async () => {
  for (const gateway of gateways.splice(0)) await gateway.stop();
});

afterAll(() => node.stop());

/** A gateway in front of the node. */
function startGateway(): FaultyGateway {
  const gateway = new FaultyGateway(node.url);
  gateways.push(gateway);
  return gateway;
}

test("a 503 is asked again when its Retry-After is over, under the same ids", async () => {
  const gateway = startGateway();
  const times: number[] = [];
  gateway.answering = (_, forward) => {
    times.push(performance.now());
    if (times.length > 1) return forward();
    return problem(503, { code: "overloaded" }, { "retry-after": "1" });
  };
  const outcome = await new Coffer(gateway.url).transfer({ from: "ann", to: "ben", amount: 1 });
  expect(outcome.status).toBe("committed");
  expect(times).toHaveLength(2);
  expect((times[1] as number) - (times[0] as number)).toBeGreaterThanOrEqual(999);
  expect(gateway.asked[1]?.body).toBe(gateway.asked[0]?.body as string);
});

const UNDECIDED: Readonly<Record<string, () => Response>> = {
  "504 of the ledger": () => problem(504, { code: "outcome_unknown" }),
  "502 of a proxy": () =>
    new Response("<html>Bad Gateway</html>", {
      status: 502,
      headers: { "retry-after": new Date().toUTCString() },
    }),
  "500": () => problem(500, { code: "internal_error" }),
  "429": () => new Response("", { status: 429, headers: { "retry-after": "0" } }),
  "200 that is no ledger's": () => new Response("<html>Sign in</html>"),
  "200 with counts that do not add up": () =>
    Response.json({ committed: 2, replayed: 0, failed: 0, failures: [], seq: 9 }),
  "200 that is cut short": () => new Response('{"committed":1,"repl'),
};

for (const [name, answer] of Object.entries(UNDECIDED)) {
  test(`a ${name} decides nothing: the call is repeated, and committed once`, async () => {
    const gateway = startGateway();
    gateway.answering = async (_, forward) => {
      const decided = await forward(); // each attempt reaches the ledger
      return gateway.asked.length < 3 ? answer() : decided;
    };
    const before = await node.client.balance("ann");
    const coffer = new Coffer(gateway.url);
    const made = await coffer.transfer({ from: "ann", to: "ben", amount: 7 });
    expect(made).toMatchObject({ status: "committed", replayed: false });
    expect(gateway.asked).toHaveLength(3);
    gateway.asked.length = 0;
    const transactionId = newTransactionId();
    const given = await coffer.transfer({ from: "ann", to: "ben", amount: 7, transactionId });
    expect(given).toMatchObject({ status: "committed", transactionId, replayed: undefined });
    expect(await node.client.balance("ann")).toBe(before - 14);
  });
}

test("without an answer until the time limit the outcome is unknown; the id tells the truth later", async () => {
  const gateway = startGateway();
  gateway.answering = async (_, forward) => {
    await forward();
    return problem(504, { code: "outcome_unknown" });
  };
  const impatient = new Coffer(gateway.url, { timeoutMs: 1_000 });
  const before = await node.client.balance("ann");
  const transfer = { from: "ann", to: "ben", amount: 3 };
  const [error, deposit]: unknown[] = await Promise.all([
    impatient.transfer(transfer).catch((reason) => reason),
    impatient.deposit({ to: "ann", amount: 3 }).catch((reason) => reason),
  ]);
  if (!(error instanceof OutcomeUnknown)) throw error;
  expect((error.cause as RequestFailed).code).toBe("outcome_unknown");
  expect(deposit).toBeInstanceOf(OutcomeUnknown);

  gateway.answering = (_, forward) => forward();
  const { transactionId } = error;
  expect(await new Coffer(gateway.url).transfer({ ...transfer, transactionId })).toMatchObject({
    status: "committed",
    transactionId,
    replayed: true,
  });
  expect(await node.client.balance("ann")).toBe(before);
});

test("a server that is not there leaves reads unavailable, and transfers unknown or unsent", async () => {
  const port = await freePort();
  const coffer = new Coffer(`http://127.0.0.1:${port}`, { timeoutMs: 200, maxInFlight: 1, maxBatch: 1 });
  const call = () => coffer.transfer({ from: "ann", to: "ben", amount: 1 }).catch((reason) => reason);
  // Both at one moment: the end of an earlier call would let a later one leave just before its own.
  const clock = spyOn(performance, "now").mockReturnValue(performance.now());
  const [first, second] = [call(), call()];
  clock.mockRestore();
  const read = coffer.balance("ann").catch((reason) => reason);
  expect(await first).toBeInstanceOf(OutcomeUnknown);
  expect(await second).toBeInstanceOf(Unavailable);
  expect(await read).toBeInstanceOf(Unavailable);
  await coffer.close();
});

test("a refusal for the token fails at once, unless an earlier attempt may have been executed", async () => {
  const gateway = startGateway();
  const coffer = new Coffer(gateway.url, { token: "wrong" });
  gateway.answering = () => problem(401, { code: "unauthorized" });
  const calls = [
    coffer.transfer({ from: "ann", to: "ben", amount: 1 }),
    coffer.deposit({ to: "ann", amount: 1 }),
    coffer.balance("ann"),
  ];
  for (const call of await Promise.allSettled(calls)) {
    const { reason } = call as PromiseRejectedResult;
    expect(reason).toBeInstanceOf(RequestFailed);
    expect(reason.status).toBe(401);
  }
  expect(gateway.asked.map(({ headers }) => headers.get("authorization"))).toEqual(
    Array(3).fill("Bearer wrong"),
  );
  for (const call of [
    () => coffer.transfer({ from: "ann", to: "ben", amount: 1 }),
    () => coffer.deposit({ to: "ann", amount: 1 }),
  ]) {
    gateway.asked.length = 0;
    gateway.answering = () =>
      gateway.asked.length === 1 ? problem(504, {}) : problem(401, { code: "unauthorized" });
    expect(await call().catch((reason: unknown) => reason)).toBeInstanceOf(OutcomeUnknown);
  }
});
