/** Snapshots from outside: a node that starts behind one is as before, and what is wrong with the log is still found. */

import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CofferNode, coffer, RUNTIME_NAMES, type RuntimeName, replay } from "../../tools/harness/coffer.ts";
import { contentsOf, temporaryFolder } from "../../tools/harness/folders.ts";
import { id } from "../support/ledger-specs.ts";

const FLAGS = ["--snapshot-commands", "20"];

/** A folder with a ledger of some transfers and snapshots of it, stopped. */
async function someLedger(runtime: RuntimeName = "the compiled executable") {
  const node = await CofferNode.start(temporaryFolder(), { runtime, flags: FLAGS });
  await node.client.open("alice", 100_000);
  for (let number = 1; number <= 50; number++)
    await node.client.transfer({
      transaction_id: id(number),
      from_account: "alice",
      to_account: `b${number % 7}`,
      amount: number,
    });
  expect(await node.stop()).toBe(0);
  return node.data;
}

const logOf = (data: string) => join(data, "events.log");
const snapshotsOf = (data: string) =>
  readdirSync(join(data, "snapshots"))
    .filter((name) => name.endsWith(".snapshot"))
    .sort();

/** What the node says that it recovered. */
function recovered(node: CofferNode): { events: number; snapshot?: number } {
  return JSON.parse(node.process.stderr.find((line) => line.includes('"log_recovered"')) ?? "{}");
}

/** Starts a node that must not come up; returns the reason that it gave. */
async function refused(data: string): Promise<string> {
  const node = CofferNode.launch(data, { flags: FLAGS });
  expect(await node.process.exited).toBe(1);
  return JSON.parse(node.process.stderr.findLast((line) => line.includes('"node_failed"'))!).error;
}

describe.each(RUNTIME_NAMES)("under %s", (runtime) => {
  test("a start behind a snapshot answers, repeats and goes on as before; so does one after a crash", async () => {
    const data = await someLedger(runtime);
    const whole = await replay(data, runtime);
    let node = await CofferNode.start(data, { runtime, flags: FLAGS });
    expect(recovered(node)).toMatchObject({ events: whole.events, snapshot: expect.any(Number) });
    const first = { transaction_id: id(1), from_account: "alice", to_account: "b1", amount: 1 };
    const repeated = await node.client.transfer(first);
    expect([repeated.status, repeated.body.seq]).toEqual([200, 4]);
    expect((await node.client.transfer({ ...first, amount: 2 })).status).toBe(409);
    expect((await node.client.open("alice", 100_000)).status).toBe(200);
    expect((await node.client.open("alice", 1)).status).toBe(409);
    for (let number = 51; number <= 95; number++)
      await node.client.transfer({ ...first, transaction_id: id(number), to_account: `new${number}` });
    await node.crash();
    node = await CofferNode.start(data, { runtime, flags: FLAGS });
    const { events, snapshot } = recovered(node);
    expect(events).toBe(whole.events + 2 * 45);
    expect(snapshot).toBeGreaterThan(whole.events);
    expect(await node.stop()).toBe(0);
    rmSync(join(data, "snapshots"), { recursive: true });
    node = await CofferNode.start(data, { runtime, flags: FLAGS });
    expect(recovered(node)).not.toHaveProperty("snapshot");
    expect((await node.client.ledger()).seq).toBe(events);
    expect(await node.stop()).toBe(0);
  });
});

test("replay ignores snapshots unless told; both print the same", async () => {
  const data = await someLedger();
  const behind = await coffer(["replay", "--from-snapshot", "--data", data, "--json"]);
  expect([behind.code, behind.stderr]).toEqual([0, ""]);
  const whole = await replay(data);
  const { events, accounts, transactions, digest } = JSON.parse(behind.stdout);
  expect({ events, accounts, transactions, digest }).toEqual({
    events: whole.events,
    accounts: whole.accounts,
    transactions: whole.transactions,
    digest: whole.digest,
  });
  const [first] = snapshotsOf(data) as [string];
  for (const name of snapshotsOf(data)) writeFileSync(join(data, "snapshots", name), "nothing");
  expect(await replay(data)).toMatchObject({ digest: whole.digest });
  const none = await coffer(["replay", "--from-snapshot", "--data", data]);
  expect([none.code, none.stdout]).toEqual([1, ""]);
  expect(none.stderr).toContain(first);
  expect(none.stderr).toContain("has no snapshot");
});

test("verify finds a snapshot that is broken, and one that is whole but comes to something else", async () => {
  const data = await someLedger();
  const other = await someLedger();
  expect((await coffer(["verify", "--data", data])).code).toBe(0);
  const [name] = snapshotsOf(data) as [string];
  const path = join(data, "snapshots", name);
  const bytes = readFileSync(path);
  bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1;
  writeFileSync(path, bytes);
  const broken = await coffer(["verify", "--data", data]);
  expect([broken.code, broken.stdout]).toEqual([1, ""]);
  expect(broken.stderr).toContain(path);
  rmSync(join(data, "snapshots"), { recursive: true });
  expect((await coffer(["verify", "--data", data])).code).toBe(0);
  // Of another ledger, with every checksum right.
  mkdirSync(join(data, "snapshots"));
  for (const file of readdirSync(join(other, "snapshots")))
    writeFileSync(join(data, "snapshots", file), readFileSync(join(other, "snapshots", file)));
  const wrong = await coffer(["verify", "--data", data]);
  expect([wrong.code, wrong.stdout]).toEqual([1, ""]);
  expect(wrong.stderr).toContain("as recorded in a snapshot");
  expect(await refused(data)).toContain("belongs to another ledger than the log");
});

test("a log that lost its end behind a snapshot is refused, also where its mark is gone", async () => {
  const data = await someLedger();
  truncateSync(logOf(data), Math.floor(readFileSync(logOf(data)).length / 2));
  rmSync(join(data, "events.mark"));
  const log = readFileSync(logOf(data));
  expect(await refused(data)).toContain("acknowledged commands are missing");
  expect(readFileSync(logOf(data)).equals(log)).toBe(true);
});

test("damage before the snapshot stops the node soon after its start, and names the place", async () => {
  const data = await someLedger();
  const log = readFileSync(logOf(data));
  const at = log.indexOf('"amount":7}') + '"amount":'.length;
  log[at] = 0x38;
  writeFileSync(logOf(data), log);
  const reason = await refused(data);
  expect(reason).toContain(`${logOf(data)}: line `);
  // Now the log is read as a whole: nothing is acknowledged on it any more, and nothing of it is changed.
  const before = contentsOf(data);
  expect(await refused(data)).toContain("the log is damaged; nothing was changed");
  expect(contentsOf(data)).toEqual(before);
  log[at] = 0x37;
  writeFileSync(logOf(data), log);
  let node = await CofferNode.start(data, { flags: FLAGS });
  expect(recovered(node)).not.toHaveProperty("snapshot");
  expect(await node.stop()).toBe(0);
  node = await CofferNode.start(data, { flags: FLAGS });
  expect(await node.stop()).toBe(0);
});

test("whatever lies in the folder, or cannot be read there, costs a warning and no more", async () => {
  const data = await someLedger();
  const folder = join(data, "snapshots");
  writeFileSync(join(folder, "before-upgrade.snapshot"), readFileSync(join(folder, snapshotsOf(data)[0]!)));
  mkdirSync(join(folder, "9999999999999999.snapshot"));
  let node = await CofferNode.start(data, { flags: FLAGS });
  expect(node.process.stderr.join()).toContain("snapshot_skipped");
  expect(recovered(node)).toHaveProperty("snapshot");
  expect(await node.stop()).toBe(0);
  rmSync(folder, { recursive: true });
  writeFileSync(folder, "a file");
  node = await CofferNode.start(data, { flags: FLAGS });
  expect((await node.client.deposit("alice", 1)).status).toBe(200);
  expect(await node.stop()).toBe(0);
});

test("verify may run beside a node at work", async () => {
  const node = await CofferNode.start(temporaryFolder(), { flags: FLAGS });
  let working = true;
  const work = (async () => {
    while (working) await node.client.deposit("alice", 1);
  })();
  await node.client.deposit("bob", 1);
  for (let round = 0; round < 5; round++)
    expect(await coffer(["verify", "--data", node.data])).toMatchObject({ code: 0, stderr: "" });
  working = false;
  await work;
  expect(await node.stop()).toBe(0);
});

test("none are taken where 0 is said", async () => {
  const node = await CofferNode.start(temporaryFolder(), { flags: ["--snapshot-commands", "0"] });
  for (let number = 0; number < 30; number++) await node.client.deposit("alice", 1);
  expect(await node.stop()).toBe(0);
  expect(readdirSync(join(node.data, "snapshots"))).toEqual([]);
});
