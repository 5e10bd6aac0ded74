/** What earlier versions decided, this one decides to the same bytes, and reads, verifies and extends. */

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { LogOnDisk, putFiles } from "../support/log-files.ts";
import { consume } from "../support/recorded-stream.ts";
import { goldenStreams } from "./golden-streams.ts";

const draw = randomIntegers();
const GOLDEN = goldenStreams();

test("there are golden streams", () => {
  expect(GOLDEN.map(({ name }) => name)).toEqual(["mixed", "moves", "plain", "repeats"]);
});

describe.each(GOLDEN.map((golden) => [golden.name, golden] as const))("%s", (_, { messages, log }) => {
  test("the messages are decided to the bytes of the log, in batches of any size", async () => {
    for (const batchBytes of [1, 500, 1 << 20]) {
      const { bytes } = await consume(temporaryFolder(), messages, () => draw(3) === 0, batchBytes);
      expect(bytes.equals(log)).toBe(true);
    }
  });

  test("the log is read to the balances that an independent reader finds", async () => {
    const folder = join(temporaryFolder(), "data");
    putFiles(folder, { "events.log": log });
    const { balances } = replayIndependently(join(folder, "events.log"));
    const opened = await LogOnDisk.open(folder);
    const read = new Map(
      [...opened.engine.ledger.balances].map(({ account, currency, available, frozen }) => [
        `${account},${currency}`,
        { available: BigInt(available), frozen: BigInt(frozen) },
      ]),
    );
    await opened.close();
    expect(read).toEqual(new Map(balances));
  });

  test("a log that ends anywhere in it is extended to the same bytes", async () => {
    const folder = join(temporaryFolder(), "data");
    for (let round = 0; round < 25; round++) {
      putFiles(folder, { "events.log": log.subarray(0, draw(log.length + 1)) });
      const { bytes } = await consume(folder, messages);
      expect(bytes.equals(log)).toBe(true);
    }
  });
});
