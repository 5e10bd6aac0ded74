/** The mark: two slots, of which one is whole whatever happens to the other. */

import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DiskFolder } from "../../src/eventlog/disk.ts";
import { LogMark } from "../../src/eventlog/mark.ts";
import { EMPTY_LOG, type LogPosition } from "../../src/ports/log-position.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import { ledgerOpened } from "../support/ledger-specs.ts";

const SLOT = 512;

/** A position that differs in every field from those of other numbers. */
function position(number: number): LogPosition {
  return {
    seq: number,
    bytes: number * 251,
    sequence: number * 3,
    index: number % 7,
    crc: Math.imul(number, 0x9e3779b1) >>> 0,
    at: 1_795_243_425_000 + number,
    ledgerId: ledgerOpened().ledger_id,
  };
}

const LARGEST: LogPosition = {
  seq: Number.MAX_SAFE_INTEGER,
  bytes: Number.MAX_SAFE_INTEGER,
  sequence: Number.MAX_SAFE_INTEGER,
  index: 8_191,
  crc: 0xffff_ffff,
  at: Number.MAX_SAFE_INTEGER,
  ledgerId: ledgerOpened().ledger_id,
};

function place() {
  const folder = temporaryFolder();
  const path = join(folder, "events.mark");
  const disk = new DiskFolder(folder);
  return {
    path,
    disk,
    open: () => LogMark.open(disk),
    read: () => LogMark.read(disk),
    bytes: () => readFileSync(path),
    put: (bytes: Uint8Array) => writeFileSync(path, bytes),
  };
}

describe("the mark", () => {
  test("is not there at first, and reading it makes no file", () => {
    const { path, read } = place();
    expect(read()).toBeUndefined();
    expect(existsSync(path)).toBe(false);
  });

  test("says what was written to it last, every field of it", async () => {
    const { open, read } = place();
    const mark = open();
    expect(mark.found).toBeUndefined();
    for (const written of [EMPTY_LOG, position(1), position(2), LARGEST, position(3)]) {
      await mark.write(written);
      expect(read()).toEqual(written);
      const again = open();
      expect(again.found).toEqual(written);
      again.close();
    }
    mark.close();
  });

  test("alternates between its slots, and goes on so after it was opened again", async () => {
    const { open, bytes } = place();
    let before = Buffer.alloc(2 * SLOT);
    const written: number[] = [];
    for (let number = 1; number <= 6; number++) {
      const mark = open();
      await mark.write(position(number));
      mark.close();
      const now = Buffer.concat([bytes(), Buffer.alloc(2 * SLOT)]).subarray(0, 2 * SLOT);
      const changed = [0, 1].filter(
        (slot) =>
          !now
            .subarray(slot * SLOT, (slot + 1) * SLOT)
            .equals(before.subarray(slot * SLOT, (slot + 1) * SLOT)),
      );
      expect(changed).toHaveLength(1);
      written.push(changed[0] as number);
      before = Buffer.from(now);
    }
    expect(written).toEqual([1, 0, 1, 0, 1, 0]);
    expect(bytes()).toHaveLength(2 * SLOT);
  });

  test("is on disk when writing it is done, also where the disk takes it in parts", async () => {
    const disk = new FaultyDisk(temporaryFolder());
    disk.takes = 100;
    const mark = LogMark.open(disk);
    await mark.write(position(1));
    expect(disk.operations.at(-1)).toEqual({ do: "sync", name: "events.mark" });
    expect(LogMark.read(disk)).toEqual(position(1));
    mark.close();
  });

  test("fails where the disk takes nothing of it", async () => {
    const disk = new FaultyDisk(temporaryFolder());
    const mark = LogMark.open(disk);
    disk.takes = 0;
    await expect(mark.write(position(1))).rejects.toThrow(/no more bytes/);
    mark.close();
  });
});

describe("a mark whose writing was torn", () => {
  /** The mark's bytes before and after the writing of position 3, and the slot that it went to. */
  async function torn() {
    const { open, bytes, put, read } = place();
    const mark = open();
    await mark.write(position(1));
    await mark.write(position(2));
    const before = Buffer.from(bytes());
    await mark.write(position(3));
    const after = Buffer.from(bytes());
    mark.close();
    const slot = before.subarray(0, SLOT).equals(after.subarray(0, SLOT)) ? 1 : 0;
    return { before, after, slot, put, read, open };
  }

  test("at any byte says what it said before, or what was being written", async () => {
    const { before, after, slot, put, read } = await torn();
    for (let length = 0; length <= SLOT; length++) {
      const bytes = Buffer.from(before);
      after.copy(bytes, slot * SLOT, slot * SLOT, slot * SLOT + length);
      put(bytes);
      expect(read()).toEqual(bytes.equals(after) ? position(3) : position(2));
    }
  });

  test("into zeros or garbage says what it said before, and is written to again", async () => {
    const draw = randomIntegers();
    const { after, slot, put, read, open } = await torn();
    for (const damage of [() => 0, () => draw(256), () => 32, () => 10]) {
      const bytes = Buffer.from(after);
      for (let at = slot * SLOT; at < (slot + 1) * SLOT; at++) bytes[at] = damage();
      put(bytes);
      expect(read()).toEqual(position(2));
      const mark = open();
      await mark.write(position(4));
      mark.close();
      expect(read()).toEqual(position(4));
    }
  });

  test("a bit in any byte that says something makes its slot broken", async () => {
    const { after, slot, put, read } = await torn();
    const text = after.subarray(slot * SLOT, (slot + 1) * SLOT).toString("latin1");
    for (let at = 0; at < text.trimEnd().length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const bytes = Buffer.from(after);
        bytes[slot * SLOT + at] = (bytes[slot * SLOT + at] as number) ^ (1 << bit);
        put(bytes);
        expect(read()).toEqual(position(2));
      }
    }
  });

  test("shorter than its slots counts as far as one of them is whole", async () => {
    const { after, slot, put, read } = await torn();
    for (const length of [0, 1, SLOT - 1, SLOT, SLOT + 1, 2 * SLOT - 1, 2 * SLOT]) {
      put(after.subarray(0, length));
      const whole = [0, 1].filter((number) => length >= (number + 1) * SLOT);
      const expected = whole.includes(slot) ? position(3) : whole.length > 0 ? position(2) : undefined;
      expect(read()).toEqual(expected);
    }
  });

  test("in both slots says nothing", async () => {
    const { after, put, read, open } = await torn();
    const bytes = Buffer.from(after);
    bytes[5] = 0;
    bytes[SLOT + 5] = 0;
    put(bytes);
    expect(read()).toBeUndefined();
    const mark = open();
    expect(mark.found).toBeUndefined();
    await mark.write(position(9));
    mark.close();
    expect(read()).toEqual(position(9));
  });
});
