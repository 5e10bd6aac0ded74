/**
 * What recovery does with the logs that a crash leaves: nothing that was acknowledged is lost, what was cut is
 * kept, and going on from there gives the log that there would have been.
 */

import { beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DamagedLog } from "../../src/eventlog/recovery.ts";
import type { LogPosition } from "../../src/ports/log-position.ts";
import { memoryFolder } from "../../tools/harness/folders.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import {
  filesOf,
  LogOnDisk,
  markOf,
  place,
  putFiles,
  someCommands,
  type WrittenLog,
  writeLog,
} from "../support/log-files.ts";

const draw = randomIntegers();
const COMMANDS = place(someCommands(25, draw));
const folder = join(memoryFolder(), "data");
let log: WrittenLog;

beforeAll(async () => {
  log = await writeLog(COMMANDS);
});

/** The end of the command that is the `number`th from the last; 0 is the last one. */
function endBefore(number: number): LogPosition {
  return log.ends.at(-1 - number) as LogPosition;
}

/** The end of the last command that is whole in the log's first `bytes`. */
function lastEnd(bytes: number): number {
  return log.ends.findLast((end) => end.bytes <= bytes)?.bytes ?? 0;
}

/** The files in which cut bytes were kept, by name. */
function tornFiles(): [string, string][] {
  return Object.entries(filesOf(folder)).filter(([name]) => name.startsWith("events.log.torn-"));
}

/**
 * Recovers `bytes` as the log, expects that its first `whole` bytes are left, and the others kept in a file of
 * their own; then goes on, and expects the log that there would have been.
 */
async function expectRecovered(
  bytes: Uint8Array,
  mark: Uint8Array | undefined,
  whole: number,
): Promise<void> {
  putFiles(folder, { "events.log": bytes, ...(mark && { "events.mark": mark }) });
  const recovered = await LogOnDisk.open(folder);
  const { position, torn } = recovered.recovered as NonNullable<typeof recovered.recovered>;
  expect(position.bytes).toBe(whole);
  expect(readFileSync(join(folder, "events.log")).equals(log.bytes.subarray(0, whole))).toBe(true);
  const kept = Buffer.from(bytes.subarray(whole)).toString("latin1");
  expect(tornFiles().map(([, content]) => content)).toEqual(kept === "" ? [] : [kept]);
  expect(torn).toEqual(
    kept === "" ? undefined : { path: join(folder, tornFiles()[0]?.[0] as string), bytes: kept.length },
  );
  await recovered.goOn(COMMANDS);
  await recovered.close();
  expect(readFileSync(join(folder, "events.log")).equals(log.bytes)).toBe(true);
}

describe("a new ledger", () => {
  test("is made where there is no file", async () => {
    putFiles(folder, {});
    const fresh = await LogOnDisk.open(folder);
    expect(fresh.position).toMatchObject({
      seq: 0,
      bytes: 0,
      sequence: 0,
      index: -1,
      crc: 0,
      ledgerId: undefined,
    });
    expect(filesOf(folder)["events.log"]).toBe("");
    await fresh.goOn(COMMANDS);
    await fresh.close();
    expect(readFileSync(join(folder, "events.log")).equals(log.bytes)).toBe(true);
  });

  test("is made of an empty file", async () => {
    await expectRecovered(new Uint8Array(), undefined, 0);
  });

  test("is made of a first line that was never whole, wherever it was torn", async () => {
    const first = log.ends[0]?.bytes as number;
    for (let length = 1; length < first; length++)
      await expectRecovered(log.bytes.subarray(0, length), undefined, 0);
  });

  test("is made of a file that holds nothing but zeros", async () => {
    await expectRecovered(new Uint8Array(5_000), undefined, 0);
  });
});

describe("a log of which all commands are committed", () => {
  test("goes on as it is, with its mark at the end, before it, or without one", async () => {
    for (const mark of [await markOf(endBefore(0)), await markOf(endBefore(4)), undefined])
      await expectRecovered(log.bytes, mark, log.bytes.length);
  });

  test("gives its reader every event, in order", async () => {
    putFiles(folder, { "events.log": log.bytes });
    const first = await LogOnDisk.open(folder);
    await first.close();
    const again = await LogOnDisk.open(folder);
    await again.close();
    expect(again.events).toEqual(first.events);
    expect(again.events).toHaveLength(endBefore(0).seq);
  });
});

describe("a log that was torn", () => {
  test("at any byte of its last three commands, with its mark before them", async () => {
    const mark = await markOf(endBefore(3));
    for (let length = endBefore(3).bytes; length < log.bytes.length; length++)
      await expectRecovered(log.bytes.subarray(0, length), mark, lastEnd(length));
  });

  test("at any byte of its last two commands, without a mark", async () => {
    for (let length = endBefore(2).bytes; length < log.bytes.length; length++)
      await expectRecovered(log.bytes.subarray(0, length), undefined, lastEnd(length));
  });

  test("with one slot of its mark broken, or both", async () => {
    const mark = await markOf(endBefore(3));
    const [none, first] = [mark.subarray(0, 512), mark.subarray(512, 1_024)];
    const broken = Buffer.from(first).fill(0, 10, 20);
    for (const slots of [
      [none, first],
      [first, none],
      [broken, first],
      [first, broken],
      [broken, broken],
      [broken, none],
    ]) {
      for (const length of [log.bytes.length, log.bytes.length - 1, endBefore(1).bytes + 20])
        await expectRecovered(log.bytes.subarray(0, length), Buffer.concat(slots), lastEnd(length));
    }
  });

  test("with its mark exactly at the break", async () => {
    await expectRecovered(
      log.bytes.subarray(0, endBefore(1).bytes + 10),
      await markOf(endBefore(1)),
      endBefore(1).bytes,
    );
  });

  test("twice at the same place: neither of the cut ends is lost", async () => {
    putFiles(folder, { "events.log": log.bytes.subarray(0, log.bytes.length - 1) });
    await (await LogOnDisk.open(folder)).close();
    writeFileSync(join(folder, "events.log"), log.bytes.subarray(0, log.bytes.length - 2));
    await (await LogOnDisk.open(folder)).close();
    const tail = log.bytes.subarray(endBefore(1).bytes).toString("latin1");
    expect(tornFiles().map(([, content]) => content)).toEqual([tail.slice(0, -1), tail.slice(0, -2)]);
  });

  test("does not care for old torn files, whatever they are named", async () => {
    const torn = log.bytes.subarray(0, log.bytes.length - 1);
    putFiles(folder, { "events.log": torn });
    await (await LogOnDisk.open(folder)).close();
    const [[name]] = tornFiles() as [[string, string]];
    putFiles(folder, { "events.log": torn, [name]: "of last year" });
    await (await LogOnDisk.open(folder)).close();
    expect(Object.fromEntries(tornFiles())[name]).toBe("of last year");
    expect(tornFiles()).toHaveLength(2);
  });
});

describe("after the mark", () => {
  const MARKED = 6;
  let mark: Buffer;

  beforeAll(async () => {
    mark = await markOf(endBefore(MARKED));
  });

  /** Damages the log from `from` up to `to` by what `damage` makes of each byte. */
  async function expectCut(from: number, to: number, damage: (byte: number) => number): Promise<void> {
    const bytes = Buffer.from(log.bytes);
    for (let at = from; at < to; at++) bytes[at] = damage(bytes[at] as number);
    const changed = bytes.findIndex((byte, at) => byte !== log.bytes[at]);
    await expectRecovered(bytes, mark, changed < 0 ? log.bytes.length : lastEnd(changed));
  }

  test("zeros, wherever they begin and end", async () => {
    const { bytes: start } = endBefore(MARKED);
    for (let round = 0; round < 60; round++) {
      const from = start + draw(log.bytes.length - start);
      await expectCut(from, from + 1 + draw(log.bytes.length - from), () => 0);
    }
  });

  test("zeros up to the end of the file, and beyond what was ever written", async () => {
    const { bytes: start } = endBefore(MARKED);
    await expectCut(start, log.bytes.length, () => 0);
    await expectRecovered(
      Buffer.concat([log.bytes, Buffer.alloc(10_000)]),
      await markOf(endBefore(2)),
      log.bytes.length,
    );
    await expectRecovered(
      Buffer.concat([log.bytes, Buffer.alloc(1)]),
      await markOf(endBefore(0)),
      log.bytes.length,
    );
  });

  test("garbage, wherever it begins and ends", async () => {
    const { bytes: start } = endBefore(MARKED);
    for (let round = 0; round < 60; round++) {
      const from = start + draw(log.bytes.length - start);
      await expectCut(from, from + 1 + draw(200), () => draw(256));
    }
  });

  test("a single bit in any byte", async () => {
    const { bytes: start } = endBefore(MARKED);
    for (let at = start; at < log.bytes.length; at += 1 + draw(12))
      await expectCut(at, at + 1, (byte) => byte ^ (1 << draw(8)));
  });

  test.each<[string, () => string | Uint8Array]>([
    ["empty lines", () => "\n\n\n"],
    ["a line that is no object", () => "[]\n"],
    ["a line of another program", () => '{"level":30,"msg":"hello"}\n'],
    ["half of a character", () => new Uint8Array([0xe2, 0x82])],
    ["the log's own first command", () => log.bytes.subarray(0, log.ends[0]?.bytes)],
    ["its last command once more", () => log.bytes.subarray(endBefore(1).bytes)],
    ["its last two commands once more", () => log.bytes.subarray(endBefore(2).bytes)],
    ["the whole log once more", () => log.bytes],
    [
      "a line with a right seq and a wrong crc",
      () => {
        const { seq } = endBefore(0);
        return `{"seq":${seq + 1},"type":"MoneyCredited","transaction_id":"0190b5c0-0000-7000-8000-0000000000ff","account":"thief","amount":1000000,"at":1895243425000,"command":"999.0","crc":"00000000"}\n`;
      },
    ],
  ])("%s", async (_, garbage) => {
    for (const marked of [0, 1, MARKED])
      await expectRecovered(
        Buffer.concat([log.bytes, Buffer.from(garbage())]),
        await markOf(endBefore(marked)),
        log.bytes.length,
      );
  });

  test("a hole in one command, with whole ones behind it", async () => {
    // The pages of one write reach the disk in any order.
    const { bytes: from } = endBefore(4);
    const { bytes: to } = endBefore(3);
    await expectCut(from, to, () => 0);
    await expectCut(from, from + 1, () => 10);
  });
});

test("recovery stops, cuts nothing and leaves no piece of a copy if there is no room for the torn bytes", async () => {
  const bytes = log.bytes.subarray(0, log.bytes.length - 1);
  putFiles(folder, { "events.log": bytes, "events.mark": await markOf(endBefore(1)) });
  const before = filesOf(folder);
  const torn = `events.log.torn-${endBefore(1).seq + 1}-1`;
  const full = Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
  for (const takes of [0, 10]) {
    const disk = new FaultyDisk(folder);
    disk.takes = 10;
    disk.before = (operation) => {
      if (operation.do === "write" && operation.name === `${torn}.part` && operation.at >= takes) throw full;
    };
    await expect(LogOnDisk.open(folder, disk)).rejects.toBe(full);
    expect(disk.of("write", `${torn}.part`).length).toBeGreaterThan(0);
    expect(filesOf(folder)).toEqual(before);
  }
});

describe("a folder with what a node kept of a log that was taken away", () => {
  const nameOf = ({ seq }: LogPosition) => `events.log.rescued-${seq}`;

  test("is refused if the copy was interrupted, and the part is not recommended", async () => {
    putFiles(folder, { [`${nameOf(endBefore(1))}.part`]: log.bytes.subarray(0, 100) });
    await expect(LogOnDisk.open(folder)).rejects.toThrow("is a part of a copy");
    expect(Object.keys(filesOf(folder))).not.toContain("events.log");
  });

  test("is refused while the log does not have all of it, and nothing is changed", async () => {
    const shorter = log.bytes.subarray(0, endBefore(1).bytes);
    const cases: Record<string, Uint8Array>[] = [
      {},
      { "events.log": Buffer.alloc(0) },
      { "events.log": shorter, "events.mark": await markOf(endBefore(1)) },
      { "events.log": shorter, "events.mark": await markOf(endBefore(0)) },
      { "events.log": shorter.subarray(0, -1) },
    ];
    for (const files of cases) {
      putFiles(folder, { "events.mark": "", ...files, [nameOf(endBefore(0))]: log.bytes });
      const before = filesOf(folder);
      const reason = await LogOnDisk.open(folder).catch((error) => error);
      expect(reason).toBeInstanceOf(DamagedLog);
      expect(reason.message).toContain(join(folder, nameOf(endBefore(0))));
      expect(filesOf(folder)).toEqual(before);
    }
  });

  test("is recovered when the copy is in the log's place, or the log is no shorter", async () => {
    const mark = await markOf(endBefore(3));
    for (const older of [endBefore(2), endBefore(0)]) {
      const kept = log.bytes.subarray(0, older.bytes);
      putFiles(folder, { "events.log": log.bytes, "events.mark": mark, [nameOf(older)]: kept });
      const recovered = await LogOnDisk.open(folder);
      expect(recovered.position).toEqual(endBefore(0));
      await recovered.close();
    }
  });
});
