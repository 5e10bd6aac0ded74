/** The log is a function of the stream: however it is cut into batches, and wherever an engine was stopped. */

import { beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { EngineLoop } from "../../src/engine/engine-loop.ts";
import { DiskFolder } from "../../src/eventlog/disk.ts";
import { readLog } from "../../src/eventlog/reader.ts";
import type { AppendFile } from "../../src/ports/append-file.ts";
import type { CommandMessages, QueueMessage } from "../../src/ports/command-queue.ts";
import type { LogPosition } from "../../src/ports/log-position.ts";
import { recordStream } from "../support/command-streams.ts";
import { temporaryFolder } from "../support/folders.ts";
import { replayIndependently } from "../support/independent-replay.ts";
import { collector, LogOnDisk, putFiles } from "../support/log-files.ts";
import { quiet } from "../support/manual-clock.ts";
import { randomIntegers } from "../support/seed.ts";

const draw = randomIntegers();
const STREAM = recordStream(120, draw);
const LAST = STREAM.length;

/** The messages of a recorded stream; `pause` tells, of each, whether nothing is there for a moment before it. */
class RecordedMessages implements CommandMessages {
  #next = 0;
  #paused = false;

  constructor(
    private readonly messages: readonly QueueMessage[],
    private readonly pause: () => boolean,
  ) {}

  take(): QueueMessage | undefined {
    if (!this.#paused && this.pause()) {
      this.#paused = true;
      return undefined;
    }
    this.#paused = false;
    return this.messages[this.#next++];
  }

  async wait(): Promise<boolean> {
    await quiet();
    return this.#next < this.messages.length;
  }
}

/** Recovers the folder, and consumes these messages from where its log ends; returns the log and what was malformed. */
async function consume(
  folder: string,
  stream: readonly QueueMessage[],
  pause: () => boolean = () => false,
  batchBytes = 1 << 20,
) {
  const log = await LogOnDisk.open(folder);
  // The message that was logged last is read again: it may hold more commands.
  const from = Math.max(log.position.sequence, 1);
  const messages = new RecordedMessages(stream.slice(from - 1), pause);
  const malformed: number[] = [];
  const loop = new EngineLoop(
    log.engine,
    messages,
    log.writer,
    () => {},
    ({ sequence }) => malformed.push(sequence),
    log.clock,
    { batchBytes, maxReadTimeoutMs: 1_000 },
  );
  const running = loop.run();
  if (from <= stream.length) await Promise.race([loop.settled(stream.length), running]);
  loop.stop();
  await running;
  await log.close();
  return { malformed, bytes: readFileSync(join(folder, "events.log")) };
}

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
