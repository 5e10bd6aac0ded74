/** When a node seals: by count, by time, at a stop; and who else seals. */

import { expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DiskFolder } from "../../src/eventlog/disk.ts";
import { MARK_NAME } from "../../src/eventlog/mark.ts";
import { LOG_NAME } from "../../src/eventlog/recovery.ts";
import type { DataFolder } from "../../src/ports/append-file.ts";
import { SEALS_NAME, type Seal } from "../../src/ports/seals.ts";
import { Sealer } from "../../src/seals/sealer.ts";
import { Sealing } from "../../src/seals/sealing.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { checkSealsIndependently } from "../support/independent-seals.ts";
import { markOf, place, someCommands, writeLog } from "../support/log-files.ts";
import { ManualClock } from "../support/manual-clock.ts";

const LOG = await writeLog(place(someCommands(60, randomIntegers())));
const MARKS = await Promise.all(LOG.ends.map(markOf));

/** A disk whose syncs take no time: else a manual clock would not know when they are done. */
function atOnce(disk: DataFolder): DataFolder {
  const sync = async () => {};
  return {
    open(name, create) {
      const file = disk.open(name, create);
      return file && Object.assign(Object.create(file), { sync });
    },
    sync,
    path: (name) => disk.path(name),
    names: () => disk.names(),
    remove: (name) => disk.remove(name),
    rename: (from, to) => disk.rename(from, to),
    make: () => disk.make(),
  };
}

async function start(sealCommands: number) {
  const folder = temporaryFolder();
  const clock = new ManualClock();
  const sealed: Seal[] = [];
  const parts = { isLocked: false, opened: 0, held: 0, tookMs: 0, takesMs: 0 };
  /** As a node does that has so many commands on disk, and knows it. */
  const marked = (commands: number) =>
    writeFileSync(join(folder, MARK_NAME), MARKS[commands - 1] as Uint8Array);
  writeFileSync(join(folder, LOG_NAME), LOG.bytes);
  const file = new DiskFolder(folder, false).open(LOG_NAME, false);
  if (!file) throw new Error("there is no log");
  const sealing = new Sealing(
    {
      folder: atOnce(new DiskFolder(folder)),
      log: file,
      clock: {
        nowMs: () => clock.nowMs() + parts.tookMs,
        after: (delayMs, run) => clock.after(delayMs, run),
        soon: (run) => clock.soon(run),
      },
      lock: () => {
        parts.tookMs += parts.takesMs;
        return parts.isLocked ? undefined : { release: () => {} };
      },
      opened: () => void parts.opened++,
      sealed: (newest) => void sealed.push(newest),
      held: () => void parts.held++,
    },
    sealCommands,
  );
  const commands = () => sealed.map((seal) => seal.commands);
  return { folder, clock, sealing, parts, marked, commands, sealed };
}

/** Lets so much time pass that the mark was looked at, and what it says was done. */
async function looks(clock: ManualClock): Promise<void> {
  for (let step = 0; step < 30; step++) await clock.advance(100);
}

test("whole counts at once, the rest after a minute, or at a stop", async () => {
  const { clock, sealing, marked, commands, folder } = await start(10);
  marked(25);
  const running = sealing.run();
  await looks(clock);
  expect(commands()).toEqual([10, 10]);
  await clock.advance(55_000);
  expect(commands()).toEqual([10, 10]);
  await clock.advance(5_000);
  expect(commands()).toEqual([10, 10, 5]);
  marked(28);
  await looks(clock);
  marked(34);
  await looks(clock);
  expect(commands()).toEqual([10, 10, 5]);
  marked(36);
  sealing.stop();
  await clock.advance(0);
  await running;
  expect(commands()).toEqual([10, 10, 5, 10, 1]);
  expect(checkSealsIndependently(LOG.bytes, readFileSync(join(folder, SEALS_NAME))).commands).toBe(36);
});

test("a minute counts from the oldest command that is not sealed", async () => {
  const { clock, sealing, marked, commands } = await start(10);
  marked(10);
  void sealing.run();
  await looks(clock);
  await clock.advance(300_000);
  marked(11);
  await looks(clock);
  expect(commands()).toEqual([10]);
  await clock.advance(30_000);
  marked(12);
  await clock.advance(30_000);
  expect(commands()).toEqual([10, 2]);
});

test("nothing is sealed before there is a mark, or while another process seals", async () => {
  const { clock, sealing, marked, commands, parts, folder } = await start(10);
  const running = sealing.run();
  await looks(clock);
  expect(parts.opened).toBe(0);
  parts.isLocked = true;
  marked(20);
  await looks(clock);
  expect(parts.opened).toBe(0);
  parts.isLocked = false;
  await looks(clock);
  expect(commands()).toEqual([10, 10]);
  const file = new DiskFolder(folder, false).open(LOG_NAME, false);
  const other = await Sealer.open(new DiskFolder(folder), file as NonNullable<typeof file>, 10);
  while (other.read(LOG.ends[22]?.bytes as number));
  await other.seal(LOG.ends[0]?.ledgerId as string);
  await looks(clock);
  expect(parts.opened).toBe(2);
  marked(33);
  await looks(clock);
  expect(commands()).toEqual([10, 10, 10]);
  sealing.stop();
  await running;
});

test("who holds the seals for a minute is told of, each minute, and then sealing goes on", async () => {
  const { clock, sealing, marked, commands, parts } = await start(10);
  marked(20);
  const running = sealing.run();
  await looks(clock);
  expect(commands()).toEqual([10, 10]);
  marked(30);
  parts.isLocked = true;
  const seconds = async (count: number) => {
    for (let second = 0; second < count; second++) await clock.advance(1_000);
  };
  await seconds(55);
  expect(parts.held).toBe(0);
  await seconds(10);
  expect(parts.held).toBe(1);
  await seconds(60);
  expect([parts.held, commands()]).toEqual([2, [10, 10]]);
  parts.isLocked = false;
  await looks(clock);
  expect(commands()).toEqual([10, 10, 10]);
  marked(40);
  parts.isLocked = true;
  await seconds(50);
  expect(parts.held).toBe(2); // the minute begins anew
  parts.isLocked = false;
  sealing.stop();
  await clock.advance(0);
  await running;
});

test("it rests for some seconds at most, however slow the disk was", async () => {
  const { clock, sealing, marked, commands, parts } = await start(10);
  marked(10);
  parts.takesMs = 60_000;
  const running = sealing.run();
  await looks(clock);
  parts.takesMs = 0;
  expect(commands()).toEqual([]);
  await clock.advance(3_000);
  expect(commands()).toEqual([10]);
  sealing.stop();
  await clock.advance(0);
  await running;
});

test("it ends where the seals are gone", async () => {
  const { clock, sealing, marked, folder } = await start(10);
  marked(20);
  const running = sealing.run();
  running.catch(() => {}); // looked at below
  await looks(clock);
  rmSync(join(folder, SEALS_NAME));
  await looks(clock);
  await expect(running).rejects.toThrow("events.seals was deleted");
});
