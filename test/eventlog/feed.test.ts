/** Following the log: from any command on, every command once, and nothing that is not on disk. */

import { beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { DiskFolder } from "../../src/eventlog/disk.ts";
import { DurableLogFeed } from "../../src/eventlog/feed.ts";
import { readLog } from "../../src/eventlog/reader.ts";
import type { AppendFile } from "../../src/ports/append-file.ts";
import type { LogFollower, LoggedCommand } from "../../src/ports/log-feed.ts";
import { EMPTY_LOG, type LogPosition } from "../../src/ports/log-position.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import {
  collector,
  FIRST_AT,
  HandwrittenLog,
  place,
  someCommands,
  type WrittenLog,
  writeLog,
} from "../support/log-files.ts";

const draw = randomIntegers();
let log: WrittenLog;
let commands: readonly LoggedCommand[];

beforeAll(async () => {
  log = await writeLog(place(someCommands(4_000, draw)));
  const all = collector();
  await readLog(open(log.bytes), all);
  commands = all.commands;
});

function open(bytes: Uint8Array): AppendFile {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "events.log"), bytes);
  return new DiskFolder(folder, false).open("events.log", false) as AppendFile;
}

/** Of a log whose last `bytes` may not be on disk yet. */
function feedOf(end: { durable: LogPosition }, bytes: Uint8Array = log.bytes): DurableLogFeed {
  return new DurableLogFeed(open(bytes), () => end.durable);
}

function rest(follower: LogFollower): LoggedCommand[] {
  const all: LoggedCommand[] = [];
  for (;;) {
    const some = follower.next();
    if (some.length === 0) return all;
    all.push(...some);
  }
}

const last = () => log.ends.at(-1)!;

describe("from any command on", () => {
  test("every later command is given once, as a whole reading gives it", () => {
    const feed = feedOf({ durable: last() });
    expect(rest(feed.follow(EMPTY_LOG))).toEqual([...commands]);
    for (let round = 0; round < 20; round++) {
      const from = draw(log.ends.length);
      expect(rest(feed.follow(log.ends[from]!))).toEqual(commands.slice(from + 1));
    }
  });

  test("the place is found by the seq of a command's last event, and by no other", () => {
    const feed = feedOf({ durable: last() });
    const ends = new Map(log.ends.map((end) => [end.seq, end]));
    for (let seq = 1; seq <= last().seq; seq += 1 + draw(3))
      expect(feed.positionAt(seq)).toEqual(ends.get(seq));
    expect(feed.positionAt(0)).toEqual(EMPTY_LOG);
    expect(feed.positionAt(last().seq + 1)).toBeUndefined();
  });
});

test("nothing is given that is not on disk, and the rest when it is", () => {
  const end = { durable: log.ends[0]! };
  const feed = feedOf(end);
  const follower = feed.follow(EMPTY_LOG);
  const given: LoggedCommand[] = [];
  let told = 0;
  const forget = feed.onGrowth(() => told++);
  for (let at = 0; at < log.ends.length; at += 1 + draw(200)) {
    end.durable = log.ends[at]!;
    feed.grown();
    expect(feed.positionAt(end.durable.seq + 1)).toBeUndefined();
    given.push(...rest(follower));
    expect(given).toHaveLength(at + 1);
  }
  forget();
  const before = told;
  feed.grown();
  expect([before > 10, told]).toEqual([true, before]);
  end.durable = last();
  given.push(...rest(follower));
  expect(given).toEqual([...commands]);
});

test("a log that is damaged, or shorter than what is said to be on disk, is not read on", () => {
  const broken = Buffer.from(log.bytes);
  const place = log.ends[100]!.bytes + 12;
  broken[place] = broken[place] === 57 ? 56 : 57;
  const feed = feedOf({ durable: last() }, broken);
  expect(() => rest(feed.follow(EMPTY_LOG))).toThrow("damaged");
  const short = feedOf({ durable: last() }, log.bytes.subarray(0, log.ends[50]!.bytes));
  expect(() => rest(short.follow(EMPTY_LOG))).toThrow("shorter");
});

test.each(["", "al ice", "@bank", 'a\\"b', "a".repeat(65)])(
  "a transfer to %p is damage at its line, whatever its crc says",
  (name) => {
    const transaction = (number: number) => `018e4a3c-0000-7000-8000-00000000000${number}`;
    const handwritten = new HandwrittenLog().command(
      [{ type: "LedgerOpened", format: 1, ledger_id: last().ledgerId, currency: "USD", strict: false }],
      FIRST_AT,
      "1.0",
    );
    const moved = (number: number, from: string, to: string) => {
      const transaction_id = transaction(number);
      handwritten.command(
        [
          { type: "MoneyDeducted", transaction_id, account: from, amount: 5 },
          { type: "MoneyCredited", transaction_id, account: to, amount: 5 },
        ],
        FIRST_AT,
        `2.${number}`,
      );
    };
    moved(0, "@world", "alice");
    moved(1, "alice", "bob");
    const { bytes } = handwritten.end;
    moved(2, "bob", name);
    moved(3, "bob", "alice");
    // More than a transfer's lines behind it, so that nothing is left to line.ts for want of room.
    for (let number = 4; number < 9; number++) moved(number, "bob", "alice");
    const feed = feedOf({ durable: handwritten.end }, Buffer.from(handwritten.text));
    const credit = handwritten.text.indexOf("\n", bytes) + 1;
    expect(() => rest(feed.follow(EMPTY_LOG))).toThrow(`damaged at byte ${credit}`);
  },
);
