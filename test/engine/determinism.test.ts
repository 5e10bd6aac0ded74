/** The log is a function of the stream: however it is cut into batches, and wherever an engine was stopped. */

import { beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DiskFolder } from "../../src/eventlog/disk.ts";
import { readLog } from "../../src/eventlog/reader.ts";
import type { AppendFile } from "../../src/ports/append-file.ts";
import type { LogPosition } from "../../src/ports/log-position.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { recordStream } from "../support/command-streams.ts";
import { collector, putFiles } from "../support/log-files.ts";
import { consume } from "../support/recorded-stream.ts";

const draw = randomIntegers();
const STREAM = recordStream(120, draw);
const LAST = STREAM.length;

let whole: Awaited<ReturnType<typeof consume>>;
let ends: readonly LogPosition[];

beforeAll(async () => {
  const folder = temporaryFolder();
  whole = await consume(folder, STREAM);
  const read = collector();
  const file = new DiskFolder(folder, false).open("events.log", false) as AppendFile;
  await readLog(file, read);
  file.close();
  ends = read.commands.map(({ end }) => end);
  // What the tests are about is in the stream: commands in the middle of messages, rejections, malformed messages.
  const { lines } = replayIndependently(join(folder, "events.log"));
  expect(lines.some(({ type }) => type === "TransactionFailed")).toBe(true);
  expect(ends.some(({ index }) => index > 0)).toBe(true);
  expect(whole.malformed.length).toBeGreaterThan(3);
  expect(ends[0]?.sequence).toBeGreaterThan(1);
});

describe("one recorded stream gives one log, to the byte", () => {
  test("consumed message by message, all at once, and in batches of any size", async () => {
    const pauses = [() => true, () => draw(2) === 0, () => draw(10) === 0];
    for (const pause of pauses) {
      for (const batchBytes of [1, 300, 1 << 20]) {
        const again = await consume(temporaryFolder(), STREAM, pause, batchBytes);
        expect(again.bytes.equals(whole.bytes)).toBe(true);
        expect(again.malformed).toEqual(whole.malformed);
      }
    }
  });

  test("whenever the engine was stopped and started on the way", async () => {
    for (let round = 0; round < 10; round++) {
      const folder = temporaryFolder();
      const stops = new Set(Array.from({ length: 1 + draw(5) }, () => 1 + draw(LAST - 1)));
      for (const until of [...stops].sort((a, b) => a - b))
        await consume(folder, STREAM.slice(0, until), () => draw(3) === 0);
      const { bytes } = await consume(folder, STREAM, () => draw(3) === 0);
      expect(bytes.equals(whole.bytes)).toBe(true);
    }
  });

  test("after which command ever the log ended when the engine had crashed, also inside a message", async () => {
    const folder = join(temporaryFolder(), "data");
    for (const { bytes: length } of [{ bytes: 0 }, ...ends]) {
      putFiles(folder, { "events.log": whole.bytes.subarray(0, length) });
      const { bytes } = await consume(folder, STREAM);
      if (!bytes.equals(whole.bytes)) throw new Error(`stopped at byte ${length}, it wrote another log`);
    }
  });

  test("when a crash tore the log's last command, and again when it tore the one that was decided then", async () => {
    const folder = join(temporaryFolder(), "data");
    for (let round = 0; round < 40; round++) {
      putFiles(folder, { "events.log": whole.bytes.subarray(0, draw(whole.bytes.length)) });
      await consume(folder, STREAM.slice(0, draw(LAST + 1)));
      const before = readFileSync(join(folder, "events.log"));
      // As after the loss of power: the mark did not reach the disk either.
      putFiles(folder, { "events.log": before.subarray(0, Math.max(0, before.length - draw(300))) });
      const { bytes } = await consume(folder, STREAM, () => draw(2) === 0);
      expect(bytes.equals(whole.bytes)).toBe(true);
    }
  });
});

test("every malformed message is told of, in its place, and changes nothing", async () => {
  const without = STREAM.map((message) =>
    whole.malformed.includes(message.sequence) ? { ...message, data: new Uint8Array([0]) } : message,
  );
  const { malformed, bytes } = await consume(temporaryFolder(), without);
  expect(malformed).toEqual(whole.malformed);
  expect(bytes.equals(whole.bytes)).toBe(true);
});
