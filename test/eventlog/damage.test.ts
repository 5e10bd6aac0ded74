/** Logs that must not be touched: refused at the start, with file, line, byte and what was expected there. */

import { beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, readdirSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { NewerFormat } from "../../src/eventlog/line.ts";
import { DamagedLog } from "../../src/eventlog/recovery.ts";
import { EMPTY_LOG, type LogPosition } from "../../src/ports/log-position.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { id } from "../support/ledger-specs.ts";
import {
  FIRST_AT,
  HandwrittenLog,
  LogOnDisk,
  markOf,
  place,
  putFiles,
  someCommands,
  type WrittenLog,
  writeLog,
} from "../support/log-files.ts";
import { credited, deducted, expectRefused, folder, OPENED, path, type Refusal } from "./refusals.ts";

const draw = randomIntegers();
const COMMANDS = place(someCommands(25, draw));
let log: WrittenLog;

beforeAll(async () => {
  log = await writeLog(COMMANDS);
});

function end(number: number): LogPosition {
  return log.ends.at(number) as LogPosition;
}

/** Expects that the place is the beginning of a line of the command that has the byte `changed`. */
function expectPlace({ line, byte }: Refusal, text: string, changed: number): void {
  const command = log.ends.find(({ bytes }) => bytes > changed) as LogPosition;
  const before = log.ends.findLast(({ bytes }) => bytes <= changed) ?? EMPTY_LOG;
  expect(line).toBeGreaterThan(before.seq);
  expect(line).toBeLessThanOrEqual(command.seq);
  expect(byte).toBe(
    text
      .split("\n")
      .slice(0, line - 1)
      .join("\n").length + (line > 1 ? 1 : 0),
  );
}

describe("a break before the mark", () => {
  test("a bit in any byte is refused, and its command's line is named", async () => {
    const mark = await markOf(end(-1));
    for (let at = 0; at < log.bytes.length; at += 1 + draw(40)) {
      const bytes = Buffer.from(log.bytes);
      let bit = 1 << draw(8);
      // A damaged line end moves the lines after it, and another format's digit is for a newer version.
      if (bytes[at] === 10 || ((bytes[at] as number) ^ bit) === 10) continue;
      if (log.bytes.subarray(0, at).toString("latin1").endsWith('"format":')) bit = 1;
      bytes[at] = (bytes[at] as number) ^ bit;
      expectPlace(
        await expectRefused({ "events.log": bytes, "events.mark": mark }),
        log.bytes.toString("latin1"),
        at,
      );
    }
  });

  test.each(["before its last line", "just before the mark", "far before the mark"])(
    "zeros %s",
    async (where) => {
      const at =
        where === "far before the mark"
          ? end(4).bytes + 3
          : end(-2).bytes - (where === "just before the mark" ? 1 : 90);
      const bytes = Buffer.from(log.bytes);
      bytes.fill(0, at, at + 1);
      await expectRefused({ "events.log": bytes, "events.mark": await markOf(end(-2)) });
    },
  );

  test("a line that was taken out", async () => {
    const bytes = Buffer.concat([log.bytes.subarray(0, end(3).bytes), log.bytes.subarray(end(4).bytes)]);
    const { line, byte, expected } = await expectRefused({
      "events.log": Buffer.concat([bytes, Buffer.alloc(1_000)]),
      "events.mark": await markOf(end(-1)),
    });
    expect({ line, byte, expected }).toEqual({
      line: end(3).seq + 1,
      byte: end(3).bytes,
      expected: `"seq":${end(3).seq + 1}`,
    });
  });

  test("an amount that was changed by hand", async () => {
    const text = log.bytes.toString("latin1");
    const at = text.indexOf('"amount":') + 9;
    const changed = `${text.slice(0, at)}${text[at] === "9" ? "8" : "9"}${text.slice(at + 1)}`;
    const refusal = await expectRefused({ "events.log": changed, "events.mark": await markOf(end(-1)) });
    expectPlace(refusal, text, at);
    expect(refusal.expected).toMatch(/^"crc":"[0-9a-f]{8}"/);
  });

  test("an amount and its crc, changed by hand: the next command does not continue it", async () => {
    const first = new HandwrittenLog().command([OPENED], FIRST_AT, "1.0");
    const rest = (amount: number) => [deducted("@world", 1, amount), credited("alice", 1, amount)];
    first.command(rest(5), FIRST_AT, "2.0").command(
      rest(5).map((fields) => ({ ...fields, transaction_id: id(2) })),
      FIRST_AT,
      "3.0",
    );
    const forged = new HandwrittenLog().command([OPENED], FIRST_AT, "1.0").command(rest(6), FIRST_AT, "2.0");
    const text = forged.text + first.text.slice(forged.text.length);
    const { line, byte, expected } = await expectRefused({
      "events.log": text,
      "events.mark": await markOf(first.end),
    });
    const lines = text.split("\n");
    expect({ line, byte }).toEqual({ line: 5, byte: lines.slice(0, 4).join("\n").length + 1 });
    expect(expected).toMatch(/^"crc":"[0-9a-f]{8}"/);
  });
});

describe("a log that is not the one of its mark", () => {
  test("shorter, by one byte or by everything", async () => {
    const mark = await markOf(end(-1));
    for (const length of [log.bytes.length - 1, end(-2).bytes, end(0).bytes, 1, 0]) {
      const { byte, expected } = await expectRefused({
        "events.log": log.bytes.subarray(0, length),
        "events.mark": mark,
      });
      expect(byte).toBe(length);
      expect(expected).toContain(`${log.bytes.length} bytes`);
    }
  });

  test("shorter, and damaged before its end: the damage is named, which comes first", async () => {
    const bytes = Buffer.from(log.bytes.subarray(0, end(-2).bytes));
    bytes[end(3).bytes + 9] = 0;
    const refusal = await expectRefused({ "events.log": bytes, "events.mark": await markOf(end(-1)) });
    expectPlace(refusal, log.bytes.toString("latin1"), end(3).bytes + 9);
  });

  test("gone", async () => {
    const refusal = await expectRefused({ "events.mark": await markOf(end(0)) });
    expect(refusal).toMatchObject({ line: 1, byte: 0 });
  });

  test("longer, and of another ledger", async () => {
    const other = await writeLog(place(someCommands(60, randomIntegers(4711))));
    const { byte } = await expectRefused({ "events.log": other.bytes, "events.mark": await markOf(end(-3)) });
    expect(byte).toBe(end(-3).bytes);
  });

  test("of the same bytes, but another crc or seq at the mark", async () => {
    for (const mark of [
      { ...end(-2), crc: end(-2).crc ^ 1 },
      { ...end(-2), seq: end(-2).seq + 1 },
      { ...end(-2), bytes: end(-2).bytes - 1 },
    ])
      await expectRefused({ "events.log": log.bytes, "events.mark": await markOf(mark) });
  });
});

describe("without a whole mark", () => {
  /** A mark of two slots, of which `broken` ones are not whole. */
  async function brokenMark(broken: readonly (0 | 1)[]): Promise<Buffer> {
    const slots = await markOf(end(3));
    const second = await markOf(end(3));
    second.copy(slots, 0, 512, 1_024);
    for (const slot of broken) slots[slot * 512 + 20] = 0;
    return slots;
  }

  test("damage in the middle is refused: whole commands behind it say that it is no torn end", async () => {
    for (const mark of ["", Buffer.alloc(1_024), "x".repeat(1_024), await brokenMark([0, 1])]) {
      for (const at of [5, end(1).bytes + 30, end(10).bytes, end(-4).bytes + 40]) {
        const bytes = Buffer.from(log.bytes);
        bytes[at] = 0;
        expectPlace(
          await expectRefused({ "events.log": bytes, "events.mark": mark }),
          log.bytes.toString("latin1"),
          at,
        );
      }
    }
  });

  test("a hole of several commands in the middle is refused", async () => {
    const bytes = Buffer.from(log.bytes).fill(0, end(5).bytes - 20, end(9).bytes + 20);
    await expectRefused({ "events.log": bytes });
  });

  test.each([
    ["in the middle of a command", 10],
    ["after a damaged command", 0],
  ])("a hole that is larger than any command is refused: %s", async (_, into) => {
    const bytes = Buffer.from(log.bytes.subarray(0, end(into === 0 ? 5 : 4).bytes + into));
    bytes[end(4).bytes + 1] = 0;
    putFiles(folder, { "events.log": bytes });
    // Sparse: it takes no room on the disk.
    truncateSync(path, 70 << 20);
    appendFileSync(path, log.bytes.subarray(end(7).bytes - 10));
    const size = statSync(path).size;
    const open = LogOnDisk.open(folder);
    await expect(open).rejects.toThrow(`line ${end(4).seq + 1}, byte ${end(4).bytes}: `);
    await expect(open).rejects.toThrow(DamagedLog);
    expect(statSync(path).size).toBe(size);
    expect(readdirSync(folder).sort()).toEqual(["events.log", "events.mark"]);
  });

  test("a log that lost its beginning is refused", async () => {
    await expectRefused({ "events.log": log.bytes.subarray(end(2).bytes) });
  });

  test("with one whole slot the mark counts", async () => {
    const bytes = Buffer.from(log.bytes);
    bytes[end(3).bytes - 2] = 0;
    for (const broken of [[0], [1]] as const)
      await expectRefused({ "events.log": bytes, "events.mark": await brokenMark(broken) });
  });
});

describe("a newer format", () => {
  const newer = new HandwrittenLog().command([{ ...OPENED, format: 2 }], FIRST_AT, "1.0");

  test("is refused and not judged, whole or torn, with and without a mark", async () => {
    for (const tail of ["", "{", `${newer.text}\u0000`]) {
      for (const mark of ["", await markOf(EMPTY_LOG), await markOf(newer.end)]) {
        const { expected } = await expectRefused(
          { "events.log": newer.text + tail, "events.mark": mark },
          NewerFormat,
        );
        expect(expected).toContain("format 2");
      }
    }
  });
});

test("a refused log is refused again, until someone has repaired it", async () => {
  const bytes = Buffer.from(log.bytes);
  bytes[end(2).bytes] = 0;
  const mark = await markOf(end(-1));
  await expectRefused({ "events.log": bytes, "events.mark": mark });
  await expect(LogOnDisk.open(folder)).rejects.toThrow(DamagedLog);
  writeFileSync(path, log.bytes);
  const repaired = await LogOnDisk.open(folder);
  expect(repaired.position).toEqual(end(-1));
  await repaired.close();
});
