/** Copying a log: what is on disk when, and what a copy is when something fails in it. */

import { expect, test } from "bun:test";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { backUp } from "../../src/eventlog/backup.ts";
import { DiskFolder } from "../../src/eventlog/disk.ts";
import { LogMark } from "../../src/eventlog/mark.ts";
import { inspectLog, LOG_NAME } from "../../src/eventlog/recovery.ts";
import type { AppendFile, DataFolder } from "../../src/ports/append-file.ts";
import { SEALS_NAME } from "../../src/ports/seals.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { randomIntegers, SEED } from "../../tools/harness/seed.ts";
import { FaultyDisk, type Operation } from "../support/faulty-disk.ts";
import { LogOnDisk, place, someCommands } from "../support/log-files.ts";

/** So that there are writes to fail between. */
const PART_BYTES = 1_500;
const quietly = { begins: () => {}, at: () => {} };

/** Folders with a log, and with more of the same log. */
async function growingLedger(): Promise<{ before: string; after: string }> {
  const placed = place(someCommands(200, randomIntegers(SEED)));
  const folders: string[] = [];
  for (const count of [80, 200]) {
    const folder = temporaryFolder();
    const log = await LogOnDisk.open(folder);
    await log.goOn(placed.slice(0, count));
    await log.close();
    writeFileSync(join(folder, SEALS_NAME), `seal\n`.repeat(count));
    folders.push(folder);
  }
  return { before: folders[0] as string, after: folders[1] as string };
}

function openLog(folder: DataFolder): AppendFile {
  const log = folder.open(LOG_NAME, false);
  if (!log) throw new Error("there is no log");
  return log;
}

async function copy(from: string, target: DataFolder) {
  const source = new DiskFolder(from, false);
  const log = openLog(source);
  try {
    return await backUp(source, log, target, quietly);
  } finally {
    log.close();
  }
}

/** How many events the folder's mark counts, which its log must have, whole; and how many seals there are. */
async function marked(folder: string): Promise<{ events: number; seals: number; size: number }> {
  const disk = new DiskFolder(folder, false);
  const mark = LogMark.read(disk);
  const log = disk.open(LOG_NAME, false);
  const finding = await inspectLog(log, mark, { command: () => {} });
  log?.close();
  expect(finding.state).not.toBe("damaged");
  const seals = readFileSync(join(folder, SEALS_NAME), "latin1").split("\n").length - 1;
  return { events: mark?.seq ?? 0, seals, size: finding.size };
}

test("the log is synced before it is copied; the copy, before its mark; seals come last", async () => {
  const { after } = await growingLedger();
  const disk = new FaultyDisk(after);
  const target = new FaultyDisk(temporaryFolder());
  const log = openLog(disk);
  disk.before = ({ do: what }) => {
    if (what === "sync") expect(target.operations).toEqual([]);
  };
  await backUp(disk, log, target, quietly);
  log.close();
  expect(disk.of("sync", LOG_NAME)).toHaveLength(1);
  expect(disk.of("sync", SEALS_NAME)).toHaveLength(1);
  expect(disk.of("write", LOG_NAME)).toEqual([]);
  const order = target.operations.filter((operation) => operation.do === "write" || operation.do === "sync");
  const steps = order.map((operation) => `${operation.do} ${operation.name}`);
  expect(steps.filter((step, at) => step !== steps[at - 1])).toEqual([
    ...["write events.log", "sync events.log", "sync "],
    ...["write events.mark", "sync events.mark", "sync "],
    ...["write events.seals", "sync events.seals", "sync "],
  ]);
});

test("a log that cannot be synced is not copied", async () => {
  const { after } = await growingLedger();
  const disk = new FaultyDisk(after);
  disk.before = ({ do: what }) => {
    if (what === "sync") throw new Error("EIO");
  };
  const target = new FaultyDisk(temporaryFolder());
  const log = openLog(disk);
  await expect(backUp(disk, log, target, quietly)).rejects.toThrow("EIO");
  log.close();
  expect(target.operations).toEqual([]);
});

test("whatever fails while a backup is extended, it is the earlier one or the new one, with no seals beyond it", async () => {
  const { before, after } = await growingLedger();
  const earlier = temporaryFolder();
  await copy(before, new DiskFolder(earlier));
  const was = await marked(earlier);
  const whole = temporaryFolder();
  cpSync(earlier, whole, { recursive: true });
  const counting = new FaultyDisk(whole);
  counting.takes = PART_BYTES;
  await copy(after, counting);
  const is = await marked(whole);
  expect([was.seals, is.seals, is.events > was.events]).toEqual([80, 200, true]);
  const changes = counting.operations.filter((operation) => operation.do !== "close").length;
  expect(changes).toBeGreaterThan(8);
  for (let failing = 0; failing < changes; failing++) {
    const folder = temporaryFolder();
    cpSync(earlier, folder, { recursive: true });
    const disk = new FaultyDisk(folder);
    disk.takes = PART_BYTES;
    let done = 0;
    disk.before = (operation: Operation) => {
      if (operation.do !== "close" && done++ === failing) throw new Error("EIO");
    };
    await expect(copy(after, disk)).rejects.toThrow("EIO");
    const now = await marked(folder);
    expect(now.events).toBeOneOf([was.events, is.events]);
    if (now.size !== was.size) expect(now.size).toBe(is.size);
    if (now.events === was.events) expect(now.seals).toBe(was.seals);
    await copy(after, new DiskFolder(folder));
    expect(await marked(folder)).toEqual(is);
  }
});
