/** The probes: /health/ready says why it is not, /health/live answers meanwhile. */

import { expect, test } from "bun:test";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { freePort, NatsServer } from "../../tools/harness/nats.ts";
import { WalletClient } from "../../tools/harness/wallet-client.ts";

/** Why a node that lives is not ready; undefined where it is. Does not return before there is an answer. */
async function unready(client: WalletClient): Promise<string | undefined> {
  for (;;) {
    const answer = await client.get("/health/ready").catch(() => undefined);
    if (!answer) continue; // it does not listen yet
    const { status, body, headers } = answer;
    expect((await client.get("/health/live")).status).toBe(200);
    if (status === 200) return undefined;
    expect([status, body.code, headers.get("retry-after")]).toEqual([503, "not_ready", "1"]);
    return body.detail;
  }
}

test("while the log is read the node is recovering", async () => {
  const node = await CofferNode.start(temporaryFolder());
  await node.client.deposit("alice", 1_000_000_000);
  const batch = Array.from({ length: 8_192 }, () => ({
    from_account: "alice",
    to_account: "bob",
    amount: 1,
  }));
  for (let number = 0; number < 30; number++) expect((await node.client.transfers(batch)).status).toBe(200);
  await node.crash();
  const port = await freePort();
  const again = CofferNode.launch(node.data, { flags: ["--port", String(port), "--snapshot-commands", "0"] });
  const client = new WalletClient(`http://127.0.0.1:${port}`);
  const reasons = new Set<string>();
  const refusals = new Set<string>();
  for (let why = await unready(client); why !== undefined; why = await unready(client)) {
    reasons.add(why);
    for (const [what, answer] of await callsOf(client))
      if (answer.status === 503) refusals.add(`${what}: ${answer.body.code}, ${answer.body.detail}`);
  }
  expect(reasons).toContain("the node is recovering");
  for (const reason of reasons)
    expect(reason).toBeOneOf([
      "the node is recovering",
      "connecting to the queue",
      "the queue is unavailable",
    ]);
  for (const what of ["ledger", "balance", "seal"]) expect(refusals).toContain(`${what}: ${RECOVERING}`);
  for (const what of ["plain transfer", "parsed transfer"])
    expect(refusals).toContain(`${what}: queue_unavailable, the node is recovering`);
  for (const refusal of refusals)
    if (/^(ledger|balance|seal):/.test(refusal)) expect(refusal).toEndWith(RECOVERING);
  await again.crash();
});

/** What reads answer until the log is recovered: the code and the reason of /health/ready. */
const RECOVERING = "not_ready, the node is recovering";

/** A read of each kind, and a command on each way. */
async function callsOf(client: WalletClient) {
  const transfer = { from_account: "nobody", to_account: "bob", amount: 1 };
  return [
    ["ledger", await client.get("/v1/ledger")],
    ["balance", await client.get("/v1/wallet/balance/alice")],
    ["seal", await client.get("/v1/seal")],
    ["plain transfer", await client.transfer(transfer)],
    ["parsed transfer", await client.transfer({ ...transfer, amount: "1" })],
  ] as const;
}

test("while the queue is away", async () => {
  const server = await NatsServer.start(temporaryFolder());
  const node = await CofferNode.start(temporaryFolder(), { flags: ["--nats-url", server.url] });
  expect(await unready(node.client)).toBeUndefined();
  await server.crash();
  await eventually("it notices", async () => (await unready(node.client)) !== undefined);
  expect(await unready(node.client)).toBe("the queue is unavailable");
  const back = await server.restart();
  await eventually("it is ready", async () => (await unready(node.client)) === undefined);
  expect(await node.stop()).toBe(0);
  await back.stop();
});

test("while less is free on the disk than should be", async () => {
  const port = await freePort();
  const least = 2 ** 53 - 1;
  const flags = ["--min-free-bytes", String(least), "--port", String(port)];
  const node = CofferNode.launch(temporaryFolder(), { flags });
  const client = new WalletClient(`http://127.0.0.1:${port}`);
  await node.process.line(/"disk_full"/);
  const reason = new RegExp(`^the disk has only [0-9]+ bytes free, below the minimum of ${least}$`);
  await eventually("it says so", async () => reason.test((await unready(client)) ?? ""));
  const { text } = await client.get("/metrics");
  expect(text).toContain(`coffer_disk_min_free_bytes ${least}\n`);
  expect(Number(/^coffer_disk_free_bytes (\S+)$/m.exec(text)?.[1])).toBeLessThan(least);
  expect(await node.stop()).toBe(0);
});
