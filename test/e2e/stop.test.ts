/** How a node ends: at a signal, under load, and when its nats-server does not cooperate. */

import { describe, expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { CofferNode, RUNTIME_NAMES, type RuntimeName } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import { NatsServer } from "../../tools/harness/nats.ts";
import { isRunning, ROOT } from "../../tools/harness/processes.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { Tellers } from "../support/tellers.ts";

const AT_ONCE = 32;

const logOf = (node: CofferNode) => join(node.data, "events.log");

/** Up to which byte and event the log is marked: the newer one of the mark's two slots. */
function markOf(node: CofferNode): { bytes: number; seq: number } {
  const slots = readFileSync(join(node.data, "events.mark"), "latin1")
    .split("\n")
    .filter((slot) => slot.trim() !== "")
    .map((slot) => JSON.parse(slot));
  return slots.sort((a, b) => b.generation - a.generation)[0];
}

describe.each(RUNTIME_NAMES)("under %s", (runtime) => {
  test.each(["SIGTERM", "SIGINT"] as const)(
    "%s under load: everything accepted is answered, the log is marked to its end, and the exit is clean",
    async (signal) => {
      const node = await CofferNode.start(temporaryFolder(), { runtime });
      const nats = await node.natsPid();
      const tellers = new Tellers(randomIntegers());
      const working = tellers.work(node.client, 100_000, AT_ONCE);
      await eventually("there is load", () => tellers.acknowledged > 200);
      node.process.kill(signal);
      expect(await node.process.exited).toBe(0);
      tellers.stop();
      await working;
      expect(tellers.problems(logOf(node))).toEqual([]);
      const { seq } = JSON.parse(readFileSync(logOf(node), "latin1").trimEnd().split("\n").at(-1)!);
      expect(markOf(node)).toMatchObject({ bytes: statSync(logOf(node)).size, seq });
      expect(isRunning(nats)).toBe(false);
      expect(node.process.stderr.at(-1)).toContain('"stopped"');
    },
  );

  test.each(["SIGTERM", "SIGINT"] as const)(
    "%s to the whole process group, as service managers and terminals send it, ends it as cleanly",
    async (signal) => {
      const node = await CofferNode.start(temporaryFolder(), { runtime });
      const nats = await node.natsPid();
      const tellers = new Tellers(randomIntegers());
      const working = tellers.work(node.client, 100_000, AT_ONCE);
      await eventually("there is load", () => tellers.acknowledged > 200);
      process.kill(nats, signal);
      node.process.kill(signal);
      expect(await node.process.exited).toBe(0);
      tellers.stop();
      await working;
      expect(tellers.problems(logOf(node))).toEqual([]);
      expect(isRunning(await node.natsPid())).toBe(false);
      expect(node.process.stderr.join("\n")).not.toMatch(/nats_server_ended|queue_away/);
    },
  );

  test("requests that were accepted before a stop are answered, and none after it", async () => {
    const node = await CofferNode.start(temporaryFolder(), { runtime });
    const nats = await node.natsPid();
    process.kill(nats, "SIGSTOP");
    const waiting = Array.from({ length: AT_ONCE }, (_, index) => node.client.deposit("alice", 1 + index));
    for (let i = 0; i < 5; i++) await node.client.ledger(); // by now the requests are there
    node.process.kill("SIGTERM");
    await node.process.line(/"stopping"/);
    const late = node.client.deposit("alice", 1).then(
      ({ status }) => status,
      () => 0,
    );
    process.kill(nats, "SIGCONT");
    const answers = await Promise.all(waiting);
    expect(answers.map(({ status }) => status)).toEqual(Array(AT_ONCE).fill(200));
    expect([0, 503]).toContain(await late);
    expect(await node.process.exited).toBe(0);
    const total = BigInt((AT_ONCE * (AT_ONCE + 1)) / 2);
    expect(replayIndependently(logOf(node)).balances.get("alice,USD")?.available).toBe(total);
  });

  test("SIGTERM while the node starts ends it as cleanly", async () => {
    const node = CofferNode.launch(temporaryFolder(), { runtime });
    await node.process.line(/"log_recovered"/);
    expect(await node.stop()).toBe(0);
  });

  test("a nats-server does not outlive a node that was killed", async () => {
    const node = await CofferNode.start(temporaryFolder(), { runtime });
    const nats = await node.natsPid();
    expect(isRunning(nats)).toBe(true);
    await node.crash();
    await eventually("the nats-server has ended", () => !isRunning(nats));
  });
});

/** The node's log line with this event. */
async function eventOf(node: CofferNode, event: string) {
  const [line] = await node.process.line(new RegExp(`.*"event":"${event}".*`));
  return JSON.parse(line);
}

test("the log says which version runs, and which signal ended it", async () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    const node = await CofferNode.start(temporaryFolder());
    const { pid } = node.process;
    const runtime = expect.stringMatching(/^bun [0-9.]+$/);
    expect(await eventOf(node, "started")).toMatchObject({ version, pid, runtime });
    node.process.kill(signal);
    expect(await node.process.exited).toBe(0);
    expect(await eventOf(node, "stopping")).toMatchObject({ signal });
    expect(node.process.stderr.join()).not.toContain('"draining"');
  }
});

test("during its drain delay a node is not ready and serves everything; a second signal ends the delay", async () => {
  const node = await CofferNode.start(temporaryFolder(), {
    flags: ["--drain-delay-ms", "3600000", "--gateway-threads", "2"],
  });
  node.process.kill("SIGTERM");
  expect(await eventOf(node, "draining")).toMatchObject({ signal: "SIGTERM", drainDelayMs: 3_600_000 });
  const ready = async () => await node.client.get("/health/ready");
  await eventually("no thread is ready", async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, ready));
    return answers.every(({ status }) => status === 503);
  });
  expect((await ready()).body).toMatchObject({ code: "not_ready", detail: "the node is shutting down" });
  expect((await node.client.deposit("alice", 7)).status).toBe(200);
  expect(await node.client.balance("alice")).toBe(7);
  expect((await node.client.get("/health/live")).status).toBe(200);
  expect(node.process.stderr.join()).not.toContain('"stopping"');
  node.process.kill("SIGTERM");
  expect(await node.process.exited).toBe(0);
  expect(await eventOf(node, "stopping")).toMatchObject({ signal: "SIGTERM" });
});

test("a drain delay ends by itself", async () => {
  const node = await CofferNode.start(temporaryFolder(), { flags: ["--drain-delay-ms", "200"] });
  expect(await node.stop()).toBe(0);
  await eventOf(node, "draining");
});

/** At once, for they wait most of the time. */
const underEach = (run: (runtime: RuntimeName) => Promise<void>) => Promise.all(RUNTIME_NAMES.map(run));

test("a nats-server that hangs does not keep a node from stopping, and is not left behind", async () => {
  await underEach(async (runtime) => {
    const flags = ["--outcome-timeout-ms", "500"];
    const node = await CofferNode.start(temporaryFolder(), { runtime, flags });
    const tellers = new Tellers(randomIntegers());
    await tellers.work(node.client, 50, 8);
    const nats = await node.natsPid();
    process.kill(nats, "SIGSTOP");
    const working = tellers.work(node.client, 8, 8);
    expect(await node.stop()).toBe(0);
    await working;
    expect(isRunning(nats)).toBe(false);
    expect(tellers.problems(logOf(node))).toEqual([]);

    const again = await CofferNode.start(node.data, { runtime });
    await tellers.settle(again.client);
    expect(tellers.unsettled).toBe(0);
    expect(await again.stop()).toBe(0);
    expect(tellers.problems(logOf(again))).toEqual([]);
  });
});

test("a stop that would take too long is forced, and the exit code says so", async () => {
  const server = await NatsServer.start(temporaryFolder());
  process.kill(server.process.pid, "SIGSTOP");
  await underEach(async (runtime) => {
    const flags = ["--shutdown-timeout-ms", "100", "--nats-url", server.url];
    const node = CofferNode.launch(temporaryFolder(), { runtime, flags });
    // It is connecting now, to a server that does not answer.
    await node.process.line(/"log_recovered"/);
    expect(await node.stop()).toBe(1);
    expect(node.process.stderr.at(-1)).toContain("stop_forced");
  });
  await server.crash();
});
