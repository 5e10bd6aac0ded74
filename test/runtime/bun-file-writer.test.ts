/**
 * Why events.log is not written by Bun.file().writer(): what the writer does with a full disk, and what it lacks.
 * Should a later Bun do better, this test fails, and docs/dependencies.md has to be reconsidered.
 */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { SmallDisk } from "../support/small-disk.ts";

const LINE_LENGTH = 1_000;

function line(number: number): string {
  return `${String(number).padStart(6, "0")} `.padEnd(LINE_LENGTH, "x");
}

test("after a full disk, Bun's file writer merges two lines and loses those between them", async () => {
  const disk = await SmallDisk.mount("64k");
  const path = join(disk.folder, "lines");
  const writer = Bun.file(path).writer();
  /** Whether the writer reports that the line was written. */
  const append = async (number: number) => {
    try {
      writer.write(`${line(number)}\n`);
      await writer.flush();
      return true;
    } catch {
      return false;
    }
  };
  let next = 0;
  while (await append(next)) next++;
  const failed = next;
  expect(await append(failed + 1)).toBe(false);

  await disk.remount("size=1m");
  expect(await append(failed + 2)).toBe(true);
  await writer.end();
  const lines = readFileSync(path, "latin1").split("\n").slice(0, -1);
  expect(lines.slice(0, failed)).toEqual(Array.from({ length: failed }, (_, number) => line(number)));
  // The start of the line that failed, and then the one that was reported as written.
  const [merged = "", ...more] = lines.slice(failed);
  expect(more).toEqual([]);
  expect(merged.length).toBeGreaterThan(LINE_LENGTH);
  expect(merged.startsWith(line(failed).slice(0, 6))).toBe(true);
  expect(merged.endsWith(line(failed + 2))).toBe(true);
});

test("Bun's file writer has no call that syncs", async () => {
  const writer = Bun.file(join(temporaryFolder(), "lines")).writer();
  const names = new Set<string>();
  for (let of: object = writer; of !== Object.prototype; of = Object.getPrototypeOf(of))
    for (const name of Object.getOwnPropertyNames(of)) names.add(name);
  expect([...names]).toContain("flush");
  expect([...names].filter((name) => /sync/i.test(name))).toEqual([]);
  await writer.end();
});
