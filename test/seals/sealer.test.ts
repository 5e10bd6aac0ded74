/** Sealing: the format, what may be sealed, what a crash leaves of it, and what it is that does not fit. */

import { describe, expect, test } from "bun:test";
import { readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DiskFolder } from "../../src/eventlog/disk.ts";
import { LOG_NAME } from "../../src/eventlog/recovery.ts";
import type { DataFolder } from "../../src/ports/append-file.ts";
import { SEALS_NAME } from "../../src/ports/seals.ts";
import { Sealer, SealsDoNotFit } from "../../src/seals/sealer.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import { checkSealsIndependently, commandsOf, forge } from "../support/independent-seals.ts";
import { place, putFiles, someCommands, writeLog } from "../support/log-files.ts";

const draw = randomIntegers();
const LOG = await writeLog(place(someCommands(60, draw)));
const ENDS = LOG.ends.map(({ bytes }) => bytes);
const END = LOG.bytes.length;
const LEDGER = LOG.ends[0]?.ledgerId as string;

function folderWith(log: Uint8Array = LOG.bytes): string {
  const folder = temporaryFolder();
  putFiles(folder, { [LOG_NAME]: log });
  return folder;
}

const bytesOf = (folder: string, name = SEALS_NAME) => readFileSync(join(folder, name));
const check = (folder: string) => checkSealsIndependently(bytesOf(folder, LOG_NAME), bytesOf(folder));

async function open(folder: string, commands: number, disk: DataFolder = new DiskFolder(folder)) {
  const log = new DiskFolder(folder, false).open(LOG_NAME, false);
  if (!log) throw new Error("there is no log");
  return await Sealer.open(disk, log, commands);
}

/** Seals all up to `end`, every `commands` commands and at the end. */
async function sealUpTo(sealer: Sealer, end: number): Promise<void> {
  do {
    while (sealer.read(end));
    if (sealer.unsealed > 0) expect(await sealer.seal(LEDGER)).toBe(true);
  } while ((sealer.newest?.bytes ?? 0) < end);
}

async function sealed(commands: number, end = END): Promise<string> {
  const folder = folderWith();
  await sealUpTo(await open(folder, commands), end);
  return folder;
}

describe("seals", () => {
  test.each([1, 2, 7, 1_000])("of every %d commands are as the documentation says", async (commands) => {
    const folder = await sealed(commands);
    const { hashes, ...rest } = check(folder);
    expect(rest).toEqual({ bytes: END, commands: ENDS.length });
    expect(hashes.length).toBe(Math.ceil(ENDS.length / commands));
    expect((await open(folder, commands)).newest?.hash).toBe(hashes.at(-1));
  });

  test("go on where they ended, whatever the number of commands was before", async () => {
    const folder = folderWith();
    const places = [0, 1, 2, 5, 20, 33, ENDS.length - 1].map((at) => ENDS[at] as number);
    for (const end of places) await sealUpTo(await open(folder, 1 + draw(9)), end);
    expect(check(folder)).toMatchObject({ bytes: END, commands: ENDS.length });
  });

  test("cover nothing behind the place that they may come to", async () => {
    const folder = folderWith();
    const sealer = await open(folder, 1_000);
    const end = ENDS[10] as number;
    while (sealer.read(end));
    expect(sealer.unsealed).toBe(11);
    expect(await sealer.seal(LEDGER)).toBe(true);
    expect(sealer.newest).toMatchObject({ bytes: end, commands: 11 });
  });

  test("of commands that are larger than what is read at a time", async () => {
    const [first = "", ...others] = commandsOf(LOG.bytes);
    const long = forge([first, ...others.map((each, at) => (at === 3 ? padded(each, 600_000) : each))]);
    const folder = folderWith(long);
    await sealUpTo(await open(folder, 10), long.length);
    expect(check(folder)).toMatchObject({ bytes: long.length, commands: ENDS.length });
  });

  test("of 100,000 commands fit one line", async () => {
    const [first = ""] = commandsOf(LOG.bytes);
    const log = forge(Array.from({ length: 150_000 }, () => first));
    const folder = folderWith(log);
    await sealUpTo(await open(folder, 100_000), log.length);
    expect(check(folder).hashes.length).toBe(2);
    expect((await open(folder, 10)).newest).toMatchObject({ seal: 2, commands: 50_000 });
  });

  test("are each on disk before the next is written, and the file's name with the first", async () => {
    const folder = folderWith();
    const disk = new FaultyDisk(folder);
    await sealUpTo(await open(folder, 10, disk), END);
    const done = disk.operations.filter((operation) => operation.do !== "close");
    const round = ["write", "sync"] as const;
    const all = Array.from({ length: Math.ceil(ENDS.length / 10) - 1 }, () => round).flat();
    expect(done.map((operation) => operation.do)).toEqual([...round, "sync", ...all]);
    expect(done[2]).toMatchObject({ name: "" });
  });

  test("are not made where the disk fails", async () => {
    const folder = folderWith();
    const disk = new FaultyDisk(folder);
    const sealer = await open(folder, 10, disk);
    while (sealer.read(END));
    disk.before = (operation) => {
      if (operation.do === "sync") throw new Error("EIO");
    };
    await expect(sealer.seal(LEDGER)).rejects.toThrow("EIO");
    expect(sealer.newest).toBeUndefined();
  });
});

function padded(command: string, bytes: number): string {
  return command.replace('","', `","padding":"${"x".repeat(bytes)}","`);
}

describe("a torn line", () => {
  test("is cut wherever it was torn, and sealed again", async () => {
    const whole = bytesOf(await sealed(20));
    const lastAt = whole.lastIndexOf("\n", -2) + 1;
    const folder = folderWith();
    for (let length = lastAt; length < whole.length; length += 1 + draw(9)) {
      writeFileSync(join(folder, SEALS_NAME), whole.subarray(0, length));
      const sealer = await open(folder, 20);
      expect(sealer.cut).toBe(length - lastAt);
      expect(bytesOf(folder).equals(whole.subarray(0, lastAt))).toBe(true);
      await sealUpTo(sealer, END);
      expect(bytesOf(folder).equals(whole)).toBe(true);
    }
  });

  test("may have lost any of its pages with the machine's power", async () => {
    const whole = bytesOf(await sealed(20));
    const lastAt = whole.lastIndexOf("\n", -2) + 1;
    const folder = folderWith();
    for (let round = 0; round < 50; round++) {
      const torn = Buffer.from(whole);
      const from = lastAt + draw(whole.length - lastAt);
      torn.fill(0, from, from + 1 + draw(whole.length - from));
      writeFileSync(join(folder, SEALS_NAME), torn);
      const sealer = await open(folder, 20);
      expect(sealer.cut).toBe(whole.length - lastAt);
      await sealUpTo(sealer, END);
      expect(bytesOf(folder).equals(whole)).toBe(true);
    }
  });

  test("is cut on disk before another is written", async () => {
    const folder = await sealed(20);
    truncateSync(join(folder, SEALS_NAME), bytesOf(folder).length - 1);
    const disk = new FaultyDisk(folder);
    await open(folder, 20, disk);
    expect(disk.operations.map((operation) => operation.do)).toEqual(["truncate", "sync", "close"]);
  });

  test("may be the only one", async () => {
    const folder = folderWith();
    writeFileSync(join(folder, SEALS_NAME), '{"seal":1,"ledg');
    const sealer = await open(folder, 20);
    expect([sealer.cut, sealer.newest]).toEqual([15, undefined]);
    await sealUpTo(sealer, END);
    check(folder);
  });
});

describe("it is told, and nothing is changed, where", () => {
  const refused = async (folder: string, why: RegExp) => {
    const before = bytesOf(folder);
    const opening = open(folder, 20);
    await expect(opening).rejects.toBeInstanceOf(SealsDoNotFit);
    await expect(opening).rejects.toThrow(why);
    expect(bytesOf(folder).equals(before)).toBe(true);
  };

  test("the log is shorter than what is sealed", async () => {
    const folder = await sealed(20);
    truncateSync(join(folder, LOG_NAME), END - 1);
    await refused(folder, /sealed commands are missing/);
  });

  test("the log is another one", async () => {
    const folder = await sealed(20);
    const other = await writeLog(place(someCommands(80, randomIntegers(draw(1_000)))));
    writeFileSync(join(folder, LOG_NAME), other.bytes);
    await refused(folder, /does not match seal [0-9]+|missing/);
  });

  test("a command under the last seal was altered, and all crcs made to fit", async () => {
    const folder = await sealed(20);
    const commands = commandsOf(LOG.bytes);
    const last = commands.pop() as string;
    const forged = forge([...commands, last.replace('"at":1', '"at":2')]);
    expect(forged.length).toBe(END);
    writeFileSync(join(folder, LOG_NAME), forged);
    await refused(folder, /coffer verify --seals reports the first altered command/);
  });

  test("the last seal was altered, or does not follow the one before", async () => {
    const folder = await sealed(20);
    const whole = bytesOf(folder).toString("latin1");
    for (const altered of [
      whole.replace(/"commands":[0-9]+(?!.*\n.)/, '"commands":1'),
      whole.replace(/"log":"../g, '"log":"00'),
      `${whole}x\n`,
      whole.replace(/\n[^\n]+\n([^\n]+\n)$/, "\n$1"),
    ]) {
      expect(altered).not.toBe(whole);
      writeFileSync(join(folder, SEALS_NAME), altered);
      await refused(folder, /its end is damaged: expected/);
    }
  });

  test("the only seal was altered", async () => {
    const folder = folderWith();
    await sealUpTo(await open(folder, 1_000), END);
    const altered = bytesOf(folder).toString("latin1").replace('"at":1', '"at":2');
    writeFileSync(join(folder, SEALS_NAME), altered);
    await refused(folder, /its end is damaged: expected/);
  });

  test("the seals are gone, shorter, or others, while a node runs", async () => {
    const [first, second] = [ENDS[20] as number, ENDS[40] as number];
    for (const hide of [
      (path: string) => rmSync(path),
      (path: string) => truncateSync(path, 100),
      (path: string) =>
        writeFileSync(path, readFileSync(path, "latin1").replace(/.{9}"\}\n$/, '000000000"}\n')),
    ]) {
      const folder = folderWith();
      const sealer = await open(folder, 10);
      await sealUpTo(sealer, first);
      while (sealer.read(second));
      hide(join(folder, SEALS_NAME));
      await expect(sealer.seal(LEDGER)).rejects.toBeInstanceOf(SealsDoNotFit);
    }
  });
});

test("where another process has sealed meanwhile nothing is written: the file has to be opened again", async () => {
  const folder = folderWith();
  const sealer = await open(folder, 10);
  await sealUpTo(sealer, ENDS[5] as number);
  while (sealer.read(ENDS[8] as number));
  await sealUpTo(await open(folder, 10), ENDS[7] as number);
  const before = bytesOf(folder);
  expect(await sealer.seal(LEDGER)).toBe(false);
  expect(bytesOf(folder).equals(before)).toBe(true);
  await sealUpTo(await open(folder, 10), END);
  check(folder);
});

test("a log that has no command where one is said to end is not sealed", async () => {
  const folder = folderWith();
  const sealer = await open(folder, 1_000);
  const read = () => {
    while (sealer.read(END - 1));
  };
  expect(read).toThrow("the log has no complete command at byte");
});
