/** Seals from outside: a node seals by itself and serves the newest; `coffer seal` and `verify --seals`. */

import { beforeAll, describe, expect, test } from "bun:test";
import { cpSync, existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DiskFolder } from "../../src/eventlog/disk.ts";
import { LogMark } from "../../src/eventlog/mark.ts";
import { CofferNode, coffer, RUNTIME_NAMES, RUNTIMES } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { TestProcess } from "../../tools/harness/processes.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { checkSealsIndependently, commandsOf, forge } from "../support/independent-seals.ts";
import { id } from "../support/ledger-specs.ts";
import { markOf } from "../support/log-files.ts";

const FLAGS = ["--seal-commands", "5"];

const fileOf = (data: string, name: string) => readFileSync(join(data, name));
const independent = (data: string) =>
  checkSealsIndependently(fileOf(data, "events.log"), fileOf(data, "events.seals"));

async function verify(data: string, ...flags: readonly string[]) {
  return await coffer(["verify", "--data", data, ...flags]);
}

/** A transfer a number, one after the other. */
async function transfers(node: CofferNode, from: number, to: number): Promise<void> {
  for (let number = from; number <= to; number++)
    await node.client.transfer({
      transaction_id: id(number),
      from_account: "alice",
      to_account: `b${number % 7}`,
      amount: number,
    });
}

let stopped: string;

beforeAll(async () => {
  const node = await CofferNode.start(temporaryFolder(), { flags: FLAGS });
  await node.client.open("alice", 100_000);
  await transfers(node, 1, 40);
  expect(await node.stop()).toBe(0);
  stopped = node.data;
});

/** A copy of a ledger that was stopped, of 42 commands. */
function someLedger(): string {
  const data = temporaryFolder();
  cpSync(stopped, data, { recursive: true });
  return data;
}

/** The samples of /metrics that are about seals. */
async function metricsOf(node: CofferNode): Promise<readonly string[]> {
  const { text } = await node.client.get("/metrics");
  return text.split("\n").filter((line) => /^coffer_seal/.test(line));
}

describe.each(RUNTIME_NAMES)("under %s", (runtime) => {
  test("a node seals by itself, serves the newest seal, and has sealed all at its stop", async () => {
    const data = temporaryFolder();
    let node = await CofferNode.start(data, { runtime, flags: FLAGS });
    const none = await node.client.get("/v1/seal");
    expect([none.status, none.body.code]).toEqual([404, "not_found"]);
    expect(none.body.detail).toStartWith("This node has no seal");
    await node.client.open("alice", 100_000);
    await transfers(node, 1, 12);
    await eventually(
      "ten commands are sealed",
      async () => (await node.client.get("/v1/seal")).body.seal === 2,
    );
    const { body: served } = await node.client.get("/v1/seal");
    expect(served).toMatchObject({ commands: 5, ledger_id: (await node.client.ledger()).ledger_id });
    expect(await metricsOf(node)).toEqual([
      `coffer_sealed_seq ${served.seq}`,
      `coffer_seal_timestamp_seconds ${served.at / 1_000}`,
      "coffer_sealing_halted 0",
    ]);
    expect(await node.stop()).toBe(0);
    expect(independent(data)).toMatchObject({ bytes: fileOf(data, "events.log").length, commands: 14 });
    expect(independent(data).hashes[1]).toBe(served.hash);
    node = await CofferNode.start(data, { runtime, flags: FLAGS });
    await eventually("it is known again", async () => (await node.client.get("/v1/seal")).body.seal === 3);
    await transfers(node, 13, 20);
    expect(await node.stop()).toBe(0);
    expect(independent(data).commands).toBe(22);
    const kept = ["--seal", served.hash];
    const { code, stdout, stderr } = await coffer(["verify", "--data", data, "--seals", ...kept], runtime);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("ok: 22 commands, up to event 42, match their seals\n");
  });

  test("coffer seal seals the rest beside a running node, which goes on behind it", async () => {
    const node = await CofferNode.start(temporaryFolder(), { runtime, flags: ["--seal-commands", "1000"] });
    await node.client.open("alice", 100_000);
    await transfers(node, 1, 5);
    const { seq } = await node.client.ledger();
    const marked = () => LogMark.read(new DiskFolder(node.data))?.seq === seq;
    await eventually("the mark has come to the log's end", marked);
    const { code, stdout: sealed } = await coffer(["seal", "--data", node.data, "--json"], runtime);
    expect([code, JSON.parse(sealed).seq]).toEqual([0, seq]);
    await eventually("it is served", async () => (await node.client.get("/v1/seal")).text === sealed);
    await transfers(node, 6, 9);
    expect(await node.stop()).toBe(0);
    expect(independent(node.data)).toMatchObject({
      bytes: fileOf(node.data, "events.log").length,
      commands: 11,
    });
    const printed = await coffer(["seal", "--data", node.data], runtime);
    expect(printed.code).toBe(0);
    expect(printed.stdout).toEndWith(`hash     ${independent(node.data).hashes.at(-1)}`);
  });
});

/** Alters a command of a stopped ledger, and everything that would tell it: crcs, seqs, the mark, snapshots. */
async function alter(data: string, pattern: RegExp, replacement: string): Promise<void> {
  const log = fileOf(data, "events.log");
  const commands = commandsOf(log);
  const which = commands.findLastIndex((command) => pattern.test(command));
  const forged = forge(commands.with(which, (commands[which] as string).replace(pattern, replacement)));
  expect(forged.length).toBe(log.length);
  writeFileSync(join(data, "events.log"), forged);
  const mark = LogMark.read(new DiskFolder(data)) as NonNullable<ReturnType<typeof LogMark.read>>;
  const crc = Number.parseInt(forged.toString("latin1", forged.length - 11, forged.length - 3), 16);
  writeFileSync(join(data, "events.mark"), await markOf({ ...mark, crc }));
  rmSync(join(data, "snapshots"), { recursive: true });
  expect((await verify(data)).code).toBe(0);
}

test("whoever alters a command, the log's crcs, its mark and its snapshots is found by seals alone", async () => {
  const data = someLedger();
  const before = fileOf(data, "events.log").toString("latin1").split(id(17))[0] as string;
  await alter(data, /"amount":17([,}].*)"amount":17,/s, '"amount":99$1"amount":99,');
  const { code, stderr } = await verify(data, "--seals");
  expect(code).toBe(1);
  expect(stderr).toContain(
    `events.log: line ${before.split("\n").length}, byte ${before.lastIndexOf("\n") + 1}: `,
  );
  expect(stderr).toContain(`transaction ${id(17)}, command "`);
});

test("a node whose log is not as its last seal says tells it, seals no more, and goes on", async () => {
  const data = someLedger();
  await alter(data, /"account":"b3"/, '"account":"b4"');
  const seals = fileOf(data, "events.seals");
  const node = await CofferNode.start(data, { flags: ["--seal-commands", "50"] });
  await node.process.line(/"follower_halted"/);
  expect(await metricsOf(node)).toEqual(["coffer_sealing_halted 1"]);
  expect((await node.client.get("/v1/seal")).status).toBe(404);
  await transfers(node, 41, 50);
  expect(await node.stop()).toBe(0);
  const told = await coffer(["seal", "--data", data]);
  expect([told.code, told.stderr]).toEqual([1, expect.stringContaining("the log does not match seal")]);
  expect(fileOf(data, "events.seals").equals(seals)).toBe(true);
  expect((await verify(data, "--seals")).code).toBe(1);
});

test("a node whose seals are taken away or altered tells it, and makes no others", async () => {
  for (const alterSeals of [
    (path: string) => rmSync(path),
    (path: string) => truncateSync(path, 10),
    (path: string) =>
      writeFileSync(path, readFileSync(path, "latin1").replace(/.{9}"\}\n$/, '000000000"}\n')),
  ]) {
    const node = await CofferNode.start(temporaryFolder(), { flags: FLAGS });
    await node.client.open("alice", 100_000);
    await transfers(node, 1, 12);
    await eventually("it has sealed", async () => (await node.client.get("/v1/seal")).status === 200);
    alterSeals(join(node.data, "events.seals"));
    await node.process.line(/"follower_halted"/);
    expect(await metricsOf(node)).toContain("coffer_sealing_halted 1");
    expect(await node.stop()).toBe(0);
    expect((await verify(node.data, "--seals")).code).toBe(1);
  }
});

test("after each crash seals go on, and hold", async () => {
  const draw = randomIntegers();
  const data = temporaryFolder();
  let number = 0;
  for (let round = 0; round < 3; round++) {
    const node = await CofferNode.start(data, { flags: ["--seal-commands", String(1 + draw(4))] });
    await node.client.open("alice", 100_000);
    const working = Promise.all(
      Array.from({ length: 8 }, async () => {
        for (;;) await transfers(node, ++number, number);
      }),
    ).catch(() => {}); // it is cut off
    await eventually("it seals", async () => (await node.client.get("/v1/seal")).status === 200);
    await new Promise((resolve) => setTimeout(resolve, draw(1_500)));
    await node.crash();
    await working;
    const { code, stderr } = await verify(data, "--seals");
    expect([code, stderr.replace(/.*torn line.*/, "")]).toEqual([0, ""]);
    if (draw(2) === 0) expect((await coffer(["seal", "--data", data])).code).toBe(0);
  }
  const node = await CofferNode.start(data);
  expect(await node.stop()).toBe(0);
  expect(independent(data).bytes).toBe(fileOf(data, "events.log").length);
});

test("coffer seal seals what stands before the log's mark, which recovery never cuts", async () => {
  const data = someLedger();
  rmSync(join(data, "events.seals"));
  const log = fileOf(data, "events.log");
  const before = commandsOf(log).slice(0, 20).join("").length;
  const mark = LogMark.read(new DiskFolder(data)) as NonNullable<ReturnType<typeof LogMark.read>>;
  writeFileSync(join(data, "events.mark"), await markOf({ ...mark, bytes: before }));
  const sealed = await coffer(["seal", "--data", data]);
  expect([sealed.code, sealed.stdout]).toEqual([0, expect.stringContaining("left out 44 events after")]);
  expect(independent(data)).toMatchObject({ bytes: before, commands: 20 });
  // After a loss of power the mark may be older than the newest seal: the log has what it says nevertheless.
  writeFileSync(join(data, "events.mark"), await markOf({ ...mark, bytes: before / 2 }));
  expect((await coffer(["seal", "--data", data])).code).toBe(0);
  expect(independent(data).bytes).toBe(before);
});

test("coffer seal may be killed at any moment, and run twice at once", async () => {
  const draw = randomIntegers();
  const data = someLedger();
  const [opening = "", ...others] = commandsOf(fileOf(data, "events.log"));
  const log = forge([
    opening,
    ...Array.from({ length: 120_000 }, (_, at) => others[at % others.length] as string),
  ]);
  const mark = LogMark.read(new DiskFolder(data)) as NonNullable<ReturnType<typeof LogMark.read>>;
  writeFileSync(join(data, "events.log"), log);
  writeFileSync(join(data, "events.mark"), await markOf({ ...mark, bytes: log.length }));
  rmSync(join(data, "events.seals"));
  const [program] = RUNTIMES["the compiled executable"];
  for (let round = 0; round < 8; round++) {
    const sealing = new TestProcess(program, ["seal", "--data", data]);
    await eventually("it has begun", () => existsSync(join(data, "events.seals")));
    await new Promise((resolve) => setTimeout(resolve, draw(60)));
    await sealing.crash();
  }
  const both = await Promise.all([1, 2].map(() => coffer(["seal", "--data", data, "--json"])));
  expect(both.map(({ code }) => code)).toEqual([0, 0]);
  expect(both[0]?.stdout).toBe(both[1]?.stdout as string);
  expect(independent(data)).toMatchObject({ bytes: log.length, commands: 120_001 });
});

describe("verify --seals", () => {
  test("needs seals, and a seal that was kept must be among them", async () => {
    const data = someLedger();
    const { hashes } = independent(data);
    expect((await verify(data, "--seal", hashes[0] as string)).code).toBe(0);
    const unknown = await verify(data, "--seal", "0".repeat(64));
    expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringContaining("no seal has the hash 0000")]);
    expect((await verify(data, "--seal", "0")).code).toBe(2);
  });

  test("fails where there are none, tells that they may have been removed, and what to ask for", async () => {
    const data = someLedger();
    const [hash] = independent(data).hashes;
    rmSync(join(data, "events.seals"));
    const missing = await verify(data, "--seals");
    const told =
      /events\.seals does not exist: nothing was ever sealed here, or the file was removed\..*--seal HASH\)?$/;
    expect([missing.code, missing.stdout, missing.stderr]).toEqual([1, "", expect.stringMatching(told)]);
    const kept = await verify(data, "--seal", hash as string);
    expect([kept.code, kept.stdout]).toEqual([1, ""]);
    expect(kept.stderr).toContain(
      `events.seals does not exist: if the seal ${hash} was made here, the file was removed`,
    );
  });

  test("passes over a torn line, and tells what is not sealed", async () => {
    const data = someLedger();
    const { length } = fileOf(data, "events.seals");
    truncateSync(join(data, "events.seals"), length - 1);
    const { code, stdout, stderr } = await verify(data, "--seals");
    expect(code).toBe(0);
    expect(stdout).toMatch(/\n[1-9][0-9]* events after it are not sealed yet$/);
    expect(stderr).toMatch(/the last [0-9]+ bytes are a torn line/);
  });

  test("still looks at every seq, crc and total, and at snapshots", async () => {
    const data = someLedger();
    writeFileSync(join(data, "events.log"), '{"seq":1\n', { flag: "a" });
    const { code, stderr } = await verify(data, "--seals");
    expect([code, stderr]).toEqual([1, expect.stringMatching(/events\.log: line [0-9]+, byte/)]);
  });
});

test("a node that is told to seal nothing does not, and knows none", async () => {
  const node = await CofferNode.start(temporaryFolder(), { flags: ["--seal-commands", "0"] });
  await node.client.open("alice", 100_000);
  expect((await node.client.get("/v1/seal")).status).toBe(404);
  expect(await metricsOf(node)).toEqual([]);
  expect(await node.stop()).toBe(0);
  expect(existsSync(join(node.data, "events.seals"))).toBe(false);
});

test("a log that was never sealed is sealed from its first line, and that is told", async () => {
  const data = someLedger();
  rmSync(join(data, "events.seals"));
  const node = await CofferNode.start(data, { flags: FLAGS });
  await node.process.line(/"seals_begun_late"/);
  expect(await node.stop()).toBe(0);
  expect(independent(data).commands).toBe(42);
});

test("coffer seal tells where there is nothing to seal", async () => {
  const empty = temporaryFolder();
  const { code, stderr } = await coffer(["seal", "--data", empty]);
  expect([code, stderr]).toEqual([1, expect.stringContaining("events.log does not exist")]);
  const data = someLedger();
  rmSync(join(data, "events.mark"));
  const unmarked = await coffer(["seal", "--data", data]);
  expect([unmarked.code, unmarked.stderr]).toEqual([
    1,
    expect.stringContaining("events.mark has no position"),
  ]);
});
