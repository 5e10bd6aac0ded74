/** Appending: nothing counts before it is on disk, and nothing is accepted after the disk has failed. */

import { describe, expect, test } from "bun:test";
import { appendFileSync, readFileSync, renameSync, rmSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { DiskFolder } from "../../src/eventlog/disk.ts";
import { LostFile } from "../../src/eventlog/log-files.ts";
import { LogMark } from "../../src/eventlog/mark.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import { deposit, openLedger } from "../support/ledger-specs.ts";
import { LogOnDisk, type Placed, place, someCommands, writeLog } from "../support/log-files.ts";
import { quiet } from "../support/manual-clock.ts";

const LOG = "events.log";
const MARK = "events.mark";
const COMMANDS = place(someCommands(40, randomIntegers()));
const [OPENING, FIRST, SECOND, THIRD] = place([
  openLedger(),
  deposit("alice", 1),
  deposit("alice", 2),
  deposit("alice", 3),
]);

async function start() {
  const folder = temporaryFolder();
  const disk = new FaultyDisk(folder);
  const log = await LogOnDisk.open(folder, disk);
  disk.operations.length = 0;
  const decide = (...commands: readonly (typeof OPENING)[]) => {
    for (const command of commands) if (command) log.decide(command);
  };
  return {
    folder,
    disk,
    log,
    decide,
    bytes: () => readFileSync(join(folder, LOG)),
    mark: () => LogMark.read(new DiskFolder(folder)),
  };
}

/** Whether the promise has come to its end. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const done = () => {
    settled = true;
  };
  promise.then(done, done);
  await quiet();
  return settled;
}

/** A gate that a test opens. */
function gate() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { wait: () => promise, open: resolve };
}

describe("a commit", () => {
  test("is one write and one sync, however many commands it has", async () => {
    const { log, disk, decide, bytes } = await start();
    decide(...COMMANDS);
    expect(disk.operations).toEqual([]);
    await log.writer.commit();
    expect(disk.of("write", LOG)).toEqual([{ do: "write", name: LOG, at: 0, bytes: bytes().length }]);
    expect(disk.of("sync", LOG)).toHaveLength(1);
    expect(bytes().equals((await writeLog(COMMANDS)).bytes)).toBe(true);
    await log.close();
  });

  test("resolves only after the sync, and only then is the position durable", async () => {
    const { log, disk, decide } = await start();
    const sync = gate();
    disk.slow = (name) => (name === LOG ? sync.wait() : Promise.resolve());
    decide(OPENING, FIRST);
    const commit = log.writer.commit();
    expect(await isSettled(commit)).toBe(false);
    expect(log.writer.durable.seq).toBe(0);
    expect(log.writer.position.seq).toBe(3);
    sync.open();
    await commit;
    expect(log.writer.durable).toEqual(log.writer.position);
    await log.close();
  });

  test("takes nothing that is added while its sync is under way: that is of the next one", async () => {
    const { log, disk, decide, bytes } = await start();
    const sync = gate();
    disk.slow = (name) => (name === LOG ? sync.wait() : Promise.resolve());
    decide(OPENING, FIRST);
    const commit = log.writer.commit();
    decide(SECOND, THIRD);
    sync.open();
    await commit;
    expect(log.writer.durable.seq).toBe(3);
    expect(bytes().length).toBe(log.writer.durable.bytes);
    await log.writer.commit();
    expect(log.writer.durable.seq).toBe(7);
    expect(bytes().length).toBe(log.writer.durable.bytes);
    await log.close();
  });

  test("of nothing writes and syncs nothing", async () => {
    const { log, disk } = await start();
    await log.writer.commit();
    expect(disk.operations).toEqual([]);
    await log.close();
  });

  test("of nothing waits for the one that is under way", async () => {
    const { log, disk, decide } = await start();
    const sync = gate();
    disk.slow = (name) => (name === LOG ? sync.wait() : Promise.resolve());
    decide(OPENING);
    const first = log.writer.commit();
    const second = log.writer.commit();
    expect(await isSettled(second)).toBe(false);
    sync.open();
    await Promise.all([first, second]);
    expect(disk.of("sync", LOG)).toHaveLength(1);
    await log.close();
  });

  test("a second one before the first is on disk is a bug, and ends the writer", async () => {
    const { log, disk, decide } = await start();
    const sync = gate();
    disk.slow = (name) => (name === LOG ? sync.wait() : Promise.resolve());
    decide(OPENING);
    const first = log.writer.commit();
    decide(FIRST);
    await expect(log.writer.commit()).rejects.toThrow(/does not continue/);
    sync.open();
    await first.catch(() => {});
    decide(SECOND);
    await expect(log.writer.commit()).rejects.toThrow(/does not continue/);
    expect(disk.of("write", LOG)).toHaveLength(1);
  });

  test("is completed where the disk takes it in parts", async () => {
    for (const takes of [1, 7, 100]) {
      const { log, disk, decide, bytes } = await start();
      disk.takes = takes;
      decide(...COMMANDS.slice(0, 10));
      await log.writer.commit();
      decide(...COMMANDS.slice(10, 20));
      await log.writer.commit();
      disk.takes = Number.POSITIVE_INFINITY;
      expect(bytes().equals((await writeLog(COMMANDS.slice(0, 20))).bytes)).toBe(true);
      expect(disk.of("sync", LOG)).toHaveLength(2);
      await log.close();
    }
  });
});

describe("the disk fails", () => {
  const full = Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });

  test.each(["write", "sync"] as const)(
    "at a %s: that commit and all after it are refused, and nothing is tried again",
    async (failing) => {
      const { log, disk, decide } = await start();
      decide(OPENING);
      await log.writer.commit();
      await log.clock.advance(10);
      const marks = disk.of("write", MARK).length;
      let failures = 0;
      disk.before = (operation) => {
        if (operation.do === failing && operation.name === LOG && failures++ === 0) throw full;
      };
      decide(FIRST);
      await expect(log.writer.commit()).rejects.toBe(full);
      expect(log.writer.durable.seq).toBe(1);
      const done = disk.operations.length;
      for (let round = 0; round < 3; round++) {
        await log.clock.advance(10_000);
        await expect(log.writer.commit()).rejects.toBe(full);
        decide(SECOND, THIRD);
        await expect(log.writer.commit()).rejects.toBe(full);
      }
      expect(disk.operations).toHaveLength(done);
      // Nor does the mark move: it would say of bytes that nobody knows of that they are on disk.
      await log.close();
      expect(disk.of("write", MARK)).toHaveLength(marks);
      expect(disk.of("sync", LOG)).toHaveLength(failing === "sync" ? 2 : 1);
    },
  );

  test("in the middle of a batch: what was written of it is a torn end", async () => {
    const { log, disk, decide, folder } = await start();
    decide(OPENING, FIRST);
    await log.writer.commit();
    const { durable } = log.writer;
    disk.takes = 50;
    disk.before = (operation) => {
      if (operation.do === "write" && operation.name === LOG && operation.at > durable.bytes + 60) throw full;
    };
    decide(SECOND);
    await expect(log.writer.commit()).rejects.toBe(full);
    await log.close();
    const again = await LogOnDisk.open(folder);
    expect(again.recovered).toMatchObject({ position: durable, torn: { bytes: 100 } });
    await again.close();
  });

  test("by taking no bytes at all: that is a failure, not a wait without end", async () => {
    const { log, disk, decide } = await start();
    disk.takes = 0;
    decide(OPENING);
    await expect(log.writer.commit()).rejects.toThrow(/no more bytes/);
    await expect(log.writer.commit()).rejects.toThrow(/no more bytes/);
  });

  test("at the mark: the node is told, and nothing more is accepted", async () => {
    const { log, disk, decide } = await start();
    disk.before = ({ do: what, name }) => {
      if (what === "sync" && name === MARK) throw full;
    };
    decide(OPENING);
    await log.writer.commit();
    await log.clock.advance(0);
    expect(log.failures).toEqual([full]);
    expect(log.marked).toEqual([]);
    decide(FIRST);
    await expect(log.writer.commit()).rejects.toBe(full);
  });
});

describe("a file is lost", () => {
  test("by a cut: the next commit is refused, though its write makes the log as long as before", async () => {
    for (const left of [0, 1, 200]) {
      const { log, decide, folder } = await start();
      decide(OPENING, FIRST);
      await log.writer.commit();
      const { bytes } = log.writer.durable;
      expect(bytes).toBeGreaterThan(left);
      truncateSync(join(folder, LOG), left);
      decide(SECOND);
      await expect(log.writer.commit()).rejects.toBeInstanceOf(LostFile);
      expect(log.writer.durable.bytes).toBe(bytes);
      await expect(log.close()).rejects.toThrow(/was truncated/);
    }
  });

  test("by a cut, and nothing is written after it: it is seen at rest and at the stop", async () => {
    for (const rests of [true, false]) {
      const { log, decide, folder } = await start();
      decide(OPENING, FIRST);
      await log.writer.commit();
      truncateSync(join(folder, LOG), log.writer.durable.bytes - 1);
      if (rests) log.writer.rest();
      expect(log.failures).toHaveLength(rests ? 1 : 0);
      await expect(log.close()).rejects.toThrow(/was truncated/);
    }
  });

  test.each([
    ["the log", LOG, (path: string) => rmSync(path)],
    ["the log", LOG, (path: string) => renameSync(path, `${path}.old`)],
    ["the log", LOG, (path: string) => appendFileSync(path, "x".repeat(5_000))],
    ["the mark", MARK, (path: string) => rmSync(path)],
  ] as const)(
    "%s: no mark is written and nothing more is accepted, under load and at rest",
    async (_, name, lose) => {
      for (const rests of [true, false]) {
        const { log, disk, decide, folder } = await start();
        decide(OPENING);
        await log.writer.commit();
        await log.clock.advance(0);
        lose(join(folder, name));
        await log.clock.advance(2_000);
        const marks = disk.of("write", MARK).length;
        if (rests) log.writer.rest();
        decide(FIRST);
        await expect(log.writer.commit()).rejects.toBeInstanceOf(LostFile);
        expect(log.failures).toHaveLength(rests ? 1 : 0);
        expect(() => log.writer.look()).toThrow(LostFile);
        await expect(log.close()).rejects.toBeInstanceOf(LostFile);
        expect(disk.of("write", MARK)).toHaveLength(marks);
        expect(disk.of("close", LOG)).toEqual([]);
      }
    },
  );

  test("between two looks: what is acknowledged meanwhile is in the copy", async () => {
    const { log, decide, folder } = await start();
    decide(OPENING);
    await log.writer.commit();
    rmSync(join(folder, LOG));
    decide(FIRST);
    await log.writer.commit();
    const { durable, files } = log.writer;
    expect(durable.seq).toBe(3);
    log.writer.rest();
    expect(log.failures).toHaveLength(1);
    const copy = await files.rescue(durable);
    expect(copy).toBe(join(folder, "events.log.rescued-3"));
    expect(readFileSync(copy).equals((await writeLog([OPENING, FIRST] as Placed[])).bytes)).toBe(true);
    expect(await files.rescue(durable)).toBe(`${copy}-1`);
  });
});

describe("the mark", () => {
  test("is set after the first commit, and then at most once a second, each time to what is on disk", async () => {
    const { log, decide, mark } = await start();
    expect(mark()).toBeUndefined();
    const marked: number[] = [];
    for (const [number, command] of [OPENING, FIRST, SECOND, THIRD].entries()) {
      await log.clock.advance(number === 0 ? 5_000 : 500);
      if (command) decide(command);
      await log.writer.commit();
      await quiet();
      await log.clock.advance(0);
      marked.push(mark()?.seq ?? 0);
    }
    expect(marked).toEqual([1, 1, 5, 5]);
    await eventually("the last one is told", () => log.marked.length > 1); // written is not yet synced
    expect(log.marked.map(({ seq }) => seq)).toEqual([1, 5]);
    await log.close();
  });

  test("comes up to the log's end at rest, once, and not ahead of the disk", async () => {
    const { log, disk, decide, mark } = await start();
    decide(OPENING);
    await log.writer.commit();
    decide(FIRST);
    await log.writer.commit();
    await log.clock.advance(0);
    expect(mark()?.seq).toBe(1);
    decide(SECOND); // not on disk
    log.writer.rest();
    await eventually("the mark is there", () => mark()?.seq === 3);
    const marks = disk.of("write", MARK).length;
    log.writer.rest();
    await quiet();
    expect(disk.of("write", MARK)).toHaveLength(marks);
    expect(log.marked.map(({ seq }) => seq)).toEqual([1]);
    await log.clock.advance(1_000);
    log.writer.rest();
    await log.writer.commit();
    await log.close();
    expect(log.marked.map(({ seq }) => seq)).toEqual([1, 5, 5]);
  });

  test("is never ahead of the disk: while a sync is under way it stays where it was", async () => {
    const { log, disk, decide, mark } = await start();
    decide(OPENING);
    await log.writer.commit();
    await log.clock.advance(2_000);
    const sync = gate();
    disk.slow = (name) => (name === LOG ? sync.wait() : Promise.resolve());
    decide(FIRST);
    const commit = log.writer.commit();
    decide(SECOND);
    await log.clock.advance(2_000);
    expect(mark()?.seq).toBe(1);
    sync.open();
    await commit;
    await log.close();
    expect(mark()?.seq).toBe(3);
    expect(log.marked.map(({ seq }) => seq)).toEqual([1, 3, 3]);
  });

  test("is told of only when it is on disk itself", async () => {
    const { log, disk, decide } = await start();
    const sync = gate();
    disk.slow = (name) => (name === MARK ? sync.wait() : Promise.resolve());
    decide(OPENING);
    await log.writer.commit();
    await log.clock.advance(0);
    expect(log.marked).toEqual([]);
    sync.open();
    await log.close();
    expect(log.marked.map(({ seq }) => seq)).toEqual([1, 1]);
  });

  test("does not hold up commits while it is being written", async () => {
    const { log, disk, decide, mark } = await start();
    const sync = gate();
    disk.slow = (name) => (name === MARK ? sync.wait() : Promise.resolve());
    decide(OPENING);
    await log.writer.commit();
    await log.clock.advance(3_000);
    decide(FIRST);
    await log.writer.commit();
    expect(log.writer.durable.seq).toBe(3);
    sync.open();
    await log.close();
    expect(mark()).toEqual(log.writer.durable);
  });

  test("is at the log's end after a stop, and the writer takes nothing more", async () => {
    const { log, decide, mark, disk } = await start();
    decide(OPENING, FIRST);
    await log.writer.commit();
    decide(SECOND);
    await log.writer.commit();
    await log.close();
    expect(mark()).toEqual(log.writer.durable);
    expect(disk.of("close", LOG)).toHaveLength(1);
    expect(disk.of("close", MARK)).toHaveLength(1);
    decide(THIRD);
    await expect(log.writer.commit()).rejects.toThrow(/closed/);
  });
});
