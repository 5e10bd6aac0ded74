/**
 * Why events.log is not written by `Bun.file().writer()`: docs/dependencies.md says so. If one of these fails after
 * an update of Bun, look at it again.
 */

import { expect, test } from "bun:test";
import { constants, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { TestProcess } from "../../tools/harness/processes.ts";
import { fill, SmallDisk } from "../support/small-disk.ts";

const LINE_BYTES = 3_000;

function line(number: number): string {
  return `${String(number).padEnd(LINE_BYTES - 1, ".")}\n`;
}

test("Bun.file().writer() never syncs: neither flush() nor end() does, nor is the file opened so", async () => {
  const path = join(temporaryFolder(), "file");
  const script = join(import.meta.dir, "..", "support", "unsynced-writer.ts");
  const child = new TestProcess(process.execPath, [script, path]);
  const { flags, text, sync } = JSON.parse((await child.line(/^\{.*/))[0]);
  expect(await child.exited).toBe(0);
  expect(sync).toBe("EIO"); // syncing was impossible
  expect(text).toBe("one\n"); // and nothing failed
  expect(flags & constants.O_DSYNC).toBe(0);
});

test("Bun.file().writer() loses and merges lines after a full disk, and reports them as written", async () => {
  const disk = await SmallDisk.mount("256k");
  const path = join(disk.folder, "file");
  const writer = Bun.file(path).writer();
  const failed: number[] = [];
  const write = async (number: number) => {
    try {
      writer.write(line(number));
      expect(await writer.flush()).toBe(LINE_BYTES);
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe("ENOSPC");
      failed.push(number);
    }
  };
  for (const number of [1, 2, 3, 4, 5]) await write(number);
  const giveBack = fill(disk.folder);
  for (const number of [6, 7, 8, 9]) await write(number);
  giveBack();
  for (const number of [10, 11]) await write(number);
  await writer.end();

  // What was left of a page took some of it.
  const [torn = 0] = failed;
  expect(failed).toEqual([6, 7, 8, 9].filter((number) => number >= torn));
  const whole = Array.from({ length: torn - 1 }, (_, index) => line(index + 1));
  const text = readFileSync(path, "utf8");
  expect(text.startsWith(whole.join(""))).toBe(true);
  expect(text.endsWith(`${line(10)}${line(11)}`)).toBe(true);
  const between = text.slice(torn * LINE_BYTES - LINE_BYTES, -2 * LINE_BYTES);
  expect(between.length).toBeWithin(1, LINE_BYTES); // and no end of a line: it is merged with the next one
  expect(line(torn).startsWith(between)).toBe(true);
});
