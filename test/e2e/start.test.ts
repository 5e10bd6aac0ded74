/** When a node refuses to start: it says why, changes nothing, and leaves nothing behind. */

import { beforeAll, describe, expect, test } from "bun:test";
import { cpSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CofferNode, RUNTIME_NAMES, type RuntimeName } from "../../tools/harness/coffer.ts";
import { contentsOf, temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import { freePort } from "../../tools/harness/nats.ts";
import { WalletClient } from "../../tools/harness/wallet-client.ts";

const TRANSFERS = 20;

const logOf = (data: string) => join(data, "events.log");

let stopped: string;

beforeAll(async () => {
  const node = await CofferNode.start(temporaryFolder());
  await node.client.open("alice", 1_000);
  await node.client.open("bob");
  for (let i = 0; i < TRANSFERS; i++)
    await node.client.transfer({ from_account: "alice", to_account: "bob", amount: 1 + i });
  expect(await node.stop()).toBe(0);
  stopped = node.data;
});

/** A folder with a ledger of some transfers, cleanly stopped. */
function stoppedLedger(): string {
  const data = temporaryFolder();
  cpSync(stopped, data, { recursive: true });
  return data;
}

/** Starts a node that must not come up; returns its exit code and the reason that it gave. */
async function refused(data: string, flags: readonly string[] = [], runtime?: RuntimeName) {
  const node = CofferNode.launch(data, runtime ? { runtime, flags } : { flags });
  const code = await node.process.exited;
  const last = node.process.stderr.findLast((line) => line.includes('"node_failed"'));
  expect([code, node.process.stderr]).toEqual([1, expect.arrayContaining([last])]);
  expect(node.process.stdout).toEqual([]);
  const { error } = JSON.parse(last!) as { error: string };
  expect(error).not.toContain("    at "); // a reason, not a stack
  return error;
}

test("a data folder that is a file is named", async () => {
  const file = join(temporaryFolder(), "file");
  writeFileSync(file, "");
  expect(await refused(file)).toContain(`${file} is not a directory`);
});

describe.each(RUNTIME_NAMES)("under %s", (runtime) => {
  test("two gateway threads serve on one port; under Deno they are refused", async () => {
    const flags = ["--gateway-threads", "2"];
    if (runtime === "Deno") {
      expect(await refused(temporaryFolder(), flags, runtime)).toContain("requires Bun");
      return;
    }
    const node = await CofferNode.start(temporaryFolder(), { runtime, flags });
    expect((await node.client.deposit("alice", 1)).status).toBe(200);
    expect(await node.stop()).toBe(0);
  });

  test("a port in use is named, and nothing of the folder is touched", async () => {
    const first = await CofferNode.start(temporaryFolder(), { runtime });
    const port = new URL(first.url).port;
    const data = temporaryFolder();
    expect(await refused(data, ["--port", port], runtime)).toContain(port);
    expect(readdirSync(data).filter((name) => name.startsWith("events"))).toEqual([]);
    expect((await first.client.deposit("alice", 1)).status).toBe(200);
    expect(await first.stop()).toBe(0);
  });

  test("a log with a damaged byte before its mark is refused: file, line and byte are named", async () => {
    const data = stoppedLedger();
    const bytes = readFileSync(logOf(data));
    const line = 12;
    const offset =
      bytes
        .toString("latin1")
        .split("\n", line - 1)
        .join("\n").length + 1;
    const at = bytes.indexOf('"amount":', offset) + '"amount":'.length;
    bytes[at] = bytes[at] === 0x39 ? 0x31 : bytes[at]! + 1;
    writeFileSync(logOf(data), bytes);
    const before = contentsOf(data);
    const error = await refused(data, [], runtime);
    expect(error).toContain(logOf(data));
    const told = /line ([0-9]+), byte ([0-9]+): expected /.exec(error)!;
    // What tells is the crc, on the command's second line.
    expect([Number(told[1]), Number(told[2])]).toEqual([line + 1, bytes.indexOf("\n", offset) + 1]);
    expect(contentsOf(data)).toEqual(before);
  });
});

test("a log that is shorter than its mark is refused, and nothing is changed", async () => {
  const data = stoppedLedger();
  const size = readFileSync(logOf(data)).length;
  truncateSync(logOf(data), size - 1);
  const before = contentsOf(data);
  expect(await refused(data)).toContain(`${size} bytes`);
  expect(contentsOf(data)).toEqual(before);
});

test("a log of a newer format is refused, and nothing is changed", async () => {
  const data = stoppedLedger();
  const log = readFileSync(logOf(data), "latin1");
  writeFileSync(logOf(data), log.replace('"format":1', '"format":2'), "latin1");
  const before = contentsOf(data);
  expect(await refused(data)).toContain("format 2");
  expect(contentsOf(data)).toEqual(before);
});

test("settings of the opening cannot be changed later; the same ones again are welcome", async () => {
  const data = stoppedLedger();
  const log = readFileSync(logOf(data), "latin1");
  expect(await refused(data, ["--currency", "EUR"])).toMatch(/--currency .*EUR.*USD/);
  expect(await refused(data, ["--strict"])).toMatch(/--strict/);
  expect(readFileSync(logOf(data), "latin1")).toBe(log);
  const again = await CofferNode.start(data, { flags: ["--currency", "USD"] });
  expect(await again.stop()).toBe(0);
});

test("a strict ledger in euros stays one, whether it is said again or not", async () => {
  const data = temporaryFolder();
  const first = await CofferNode.start(data, { flags: ["--currency", "EUR", "--strict"] });
  expect((await first.client.deposit("nobody", 5)).body.code).toBe("account_not_found");
  expect((await first.client.open("alice", 5)).body.currency).toBe("EUR");
  expect(await first.stop()).toBe(0);
  expect(await refused(data, ["--currency", "USD"])).toMatch(/--currency .*USD.*EUR/);
  const second = await CofferNode.start(data);
  expect((await second.client.deposit("nobody", 5)).body.code).toBe("account_not_found");
  expect((await second.client.get("/v1/wallet/balance/alice")).body).toMatchObject({
    currency: "EUR",
    balance: 5,
  });
  expect(await second.stop()).toBe(0);
  expect(replayIndependently(logOf(data)).lines[0]).toMatchObject({ currency: "EUR", strict: true });
});

test("a second start waits for a node that is just ending", async () => {
  const first = await CofferNode.start(temporaryFolder());
  const stopping = first.stop();
  const second = await CofferNode.start(first.data);
  expect(await stopping).toBe(0);
  expect((await second.client.deposit("alice", 1)).status).toBe(200);
  expect(await second.stop()).toBe(0);
});

// At once, for the second node waits a while whether the first one is about to end.
test("a second node on one folder refuses, and the first one goes on, under every runtime", async () => {
  await Promise.all(
    RUNTIME_NAMES.map(async (runtime) => {
      const first = await CofferNode.start(temporaryFolder(), { runtime });
      expect((await first.client.deposit("alice", 5)).status).toBe(200);
      const reasons = await Promise.all(RUNTIME_NAMES.map((other) => refused(first.data, [], other)));
      for (const reason of reasons) expect(reason).toContain(`${first.data} is held by another process`);
      expect((await first.client.deposit("alice", 6)).status).toBe(200);
      expect(await first.stop()).toBe(0);
      const again = await CofferNode.start(first.data, { runtime });
      expect(await again.client.balance("alice")).toBe(11);
      expect(await again.stop()).toBe(0);
    }),
  );
});

test("until a node is ready it says so, and takes no commands", async () => {
  const port = await freePort();
  // Its nats-server cannot be reached, so it never is.
  const flags = ["--nats-url", "nats://127.0.0.1:1", "--port", String(port)];
  const node = CofferNode.launch(stoppedLedger(), { flags });
  await node.process.line(/"queue_away"/);
  const client = new WalletClient(`http://127.0.0.1:${port}`);
  expect(await client.get("/health/ready")).toMatchObject({ status: 503, body: { code: "not_ready" } });
  expect((await client.get("/health/live")).status).toBe(200);
  const refusal = await client.deposit("alice", 1);
  expect(refusal).toMatchObject({ status: 503, body: { code: "queue_unavailable" } });
  expect(refusal.headers.get("retry-after")).toBe("1");
  expect(await client.balance("bob")).toBe(210);
  expect(node.process.stdout).toEqual([]);
  expect(await node.stop()).toBe(0);
});
