/** Finding a command's crc in the log by bisection: every command that is there, and no other. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { DiskFolder } from "../../src/eventlog/disk.ts";
import { crcAt } from "../../src/eventlog/lookup.ts";
import type { AppendFile } from "../../src/ports/append-file.ts";
import type { LogPosition } from "../../src/ports/log-position.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { place, someCommands, type WrittenLog, writeLog } from "../support/log-files.ts";

const draw = randomIntegers();
const folder = temporaryFolder();
let log: WrittenLog;
let file: AppendFile;

function openFile(bytes: Uint8Array): AppendFile {
  writeFileSync(join(folder, "events.log"), bytes);
  return new DiskFolder(folder, false).open("events.log", false) as AppendFile;
}

beforeAll(async () => {
  // Messages of many sizes, with gaps where messages or commands wrote nothing.
  let sequence = 1;
  let index = 0;
  const placed = place(someCommands(12_000, draw)).map((command) => {
    if (draw(3) === 0) {
      sequence += 1 + (draw(10) === 0 ? draw(10_000) : 0);
      index = draw(3);
    } else index += 1 + (draw(5) === 0 ? 1 : 0);
    return { ...command, sequence, index };
  });
  log = await writeLog(placed);
  file = openFile(log.bytes);
});

afterAll(() => file.close());

/** Fails where a command of the log is not found with its crc in the log's first `bytes`. */
function expectFound(commands: readonly LogPosition[], bytes: number): void {
  for (const { sequence, index, crc } of commands) {
    const found = crcAt(file, bytes, sequence, index);
    if (found !== crc)
      throw new Error(`command ${sequence}.${index} has crc ${crc}, and is found with ${found}`);
  }
}

describe("in a log of some megabytes", () => {
  test("every command is found", () => {
    expect(log.bytes.length).toBeGreaterThan(3 << 20);
    expectFound(log.ends, log.bytes.length);
  });

  test("no command is found that wrote nothing", () => {
    const there = new Set(log.ends.map(({ sequence, index }) => `${sequence}.${index}`));
    let asked = 0;
    for (const { sequence, index } of log.ends.filter((_, number) => number % 10 === 0)) {
      for (const [s, i] of [
        [sequence, index + 1],
        [sequence, index - 1],
        [sequence - 1, index],
        [sequence + 1, index],
        [sequence, index + 100_000],
      ] as const) {
        if (i < 0 || there.has(`${s}.${i}`)) continue;
        asked++;
        expect(crcAt(file, log.bytes.length, s, i)).toBeUndefined();
      }
    }
    expect(asked).toBeGreaterThan(1_000);
    for (const [s, i] of [
      [0, 0],
      [Number.MAX_SAFE_INTEGER, 0],
    ] as const)
      expect(crcAt(file, log.bytes.length, s, i)).toBeUndefined();
  });

  test("nothing is found beyond the bytes that count", () => {
    for (let round = 0; round < 50; round++) {
      const number = 1 + draw(log.ends.length - 2);
      const { bytes } = log.ends[number] as LogPosition;
      const next = log.ends[number + 1] as LogPosition;
      expectFound(log.ends.slice(number, number + 1), bytes);
      expect(crcAt(file, bytes, next.sequence, next.index)).toBeUndefined();
      // Nor half of a command.
      expect(crcAt(file, next.bytes - 1, next.sequence, next.index)).toBeUndefined();
    }
  });
});

test("in a log of a few commands, and in an empty one", () => {
  for (const count of [0, 1, 2, 5]) {
    const ends = log.ends.slice(0, count);
    const bytes = ends.at(-1)?.bytes ?? 0;
    const short = openFile(log.bytes.subarray(0, bytes));
    for (const { sequence, index, crc } of ends) expect(crcAt(short, bytes, sequence, index)).toBe(crc);
    const next = log.ends[count] as LogPosition;
    expect(crcAt(short, bytes, next.sequence, next.index)).toBeUndefined();
    short.close();
  }
});
