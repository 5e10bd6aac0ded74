/** What is seen of a log without changing it: nothing that was damaged passes for whole. */

import { expect, test } from "bun:test";
import { NewerFormat } from "../../src/eventlog/line.ts";
import { inspectLog, type LogFinding, recoverLog } from "../../src/eventlog/recovery.ts";
import type { ReadableFile } from "../../src/ports/append-file.ts";
import { memoryFolder } from "../../tools/harness/folders.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import {
  collector,
  filesOf,
  LogOnDisk,
  markOf,
  place,
  putFiles,
  someCommands,
  writeLog,
} from "../support/log-files.ts";

/** A file in memory, to be read. */
function fileOf(bytes: Uint8Array): ReadableFile {
  return {
    size: () => bytes.length,
    read(into, at) {
      const part = bytes.subarray(at, at + into.length);
      into.set(part);
      return part.length;
    },
  };
}

async function inspect(
  bytes: Uint8Array,
): Promise<{ state: LogFinding["state"] | "newer"; read: unknown[] }> {
  const read = collector();
  try {
    const { state } = await inspectLog(fileOf(bytes), undefined, read);
    return { state, read: read.events };
  } catch (error) {
    if (!(error instanceof NewerFormat)) throw error;
    return { state: "newer", read: read.events };
  }
}

test("any single bit that flips in a log is found, and nothing false is read before it", async () => {
  const { bytes, ends } = await writeLog(place(someCommands(9, randomIntegers())));
  const whole = await inspect(bytes);
  expect(whole.state).toBe("whole");
  const lastButOne = ends.at(-3)?.bytes as number;
  for (let at = 0; at < bytes.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] as number) ^ (1 << bit);
      const { state, read } = await inspect(flipped);
      if (state === "whole") throw new Error(`bit ${bit} of byte ${at} flipped, and nobody saw it`);
      // With two whole commands behind it, it is no torn end: nothing may be cut.
      if (at < lastButOne && state !== "damaged" && state !== "newer")
        throw new Error(`bit ${bit} of byte ${at} flipped, and the log is ${state}`);
      expect(read).toEqual(whole.read.slice(0, read.length));
    }
  }
});

test("recovery has all of the log on disk before it is done, and what it cuts before it cuts it", async () => {
  const { bytes, ends } = await writeLog(place(someCommands(25, randomIntegers())));
  const [marked, last] = [ends.at(-5), ends.at(-2)];
  if (!marked || !last) throw new Error("the log is too short");
  const folder = memoryFolder();
  putFiles(folder, {
    "events.log": bytes.subarray(0, bytes.length - 1),
    "events.mark": await markOf(marked),
  });
  const disk = new FaultyDisk(folder);
  const { file } = await recoverLog(disk, marked, { command: () => {} });
  file.close();
  const torn = `events.log.torn-${last.seq + 1}-1.part`;
  const tornBytes = bytes.length - 1 - last.bytes;
  expect(disk.operations).toEqual([
    { do: "truncate", name: torn, bytes: 0 },
    { do: "write", name: torn, at: 0, bytes: tornBytes },
    { do: "sync", name: torn },
    { do: "close", name: torn },
    { do: "sync", name: "" },
    { do: "truncate", name: "events.log", bytes: last.bytes },
    { do: "write", name: "events.log", at: marked.bytes, bytes: last.bytes - marked.bytes },
    { do: "sync", name: "events.log" },
    { do: "sync", name: "" },
    { do: "close", name: "events.log" },
  ]);
});

test("recovery without a mark writes all of the log once more", async () => {
  const { bytes } = await writeLog(place(someCommands(9_000, randomIntegers()), 500));
  const folder = memoryFolder();
  putFiles(folder, { "events.log": bytes });
  const disk = new FaultyDisk(folder);
  disk.takes = 100_000;
  const { file } = await recoverLog(disk, undefined, { command: () => {} });
  file.close();
  let next = 0;
  for (const write of disk.of("write", "events.log")) {
    if (write.do !== "write") continue;
    expect(write.at).toBe(next);
    next += write.bytes;
  }
  expect(next).toBe(bytes.length);
  expect(filesOf(folder)["events.log"] === bytes.toString("latin1")).toBe(true);
});

test.each(["write", "sync", "truncate"] as const)(
  "a disk that fails at a %s during recovery stops it, and the next one recovers all",
  async (what) => {
    const commands = place(someCommands(25, randomIntegers()));
    const { bytes, ends } = await writeLog(commands);
    const whole = ends.at(-2)?.bytes as number;
    const folder = memoryFolder();
    // Fails at each of the operations of this kind in turn.
    for (let failing = 1; ; failing++) {
      putFiles(folder, { "events.log": bytes.subarray(0, bytes.length - 1) });
      const disk = new FaultyDisk(folder);
      let done = 0;
      disk.before = (operation) => {
        if (operation.do === what && ++done === failing) throw new Error("EIO: i/o error");
      };
      const failed = await recoverLog(disk, undefined, { command: () => {} }).then(
        ({ file }) => file.close(),
        (error: Error) => error.message,
      );
      if (failed === undefined) break;
      expect(failed).toContain("EIO");
      const torn = bytes.subarray(whole, bytes.length - 1).toString("latin1");
      const kept = Object.entries(filesOf(folder)).some(
        ([name, content]) => name.startsWith("events.log.torn-") && content === torn,
      );
      expect(kept || filesOf(folder)["events.log"]?.endsWith(torn)).toBe(true);
      const again = await LogOnDisk.open(folder);
      expect(again.position.bytes).toBe(whole);
      await again.goOn(commands);
      await again.close();
      expect(filesOf(folder)["events.log"]).toBe(bytes.toString("latin1"));
    }
  },
);
