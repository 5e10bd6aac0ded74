/** verify --seals: whatever is altered, by whoever can make every seq, crc and total fit, its first command is named. */

import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { Replay } from "../../src/engine/replay.ts";
import { WalletEngine } from "../../src/engine/wallet-engine.ts";
import { DiskFolder } from "../../src/eventlog/disk.ts";
import { inspectLog, LOG_NAME } from "../../src/eventlog/recovery.ts";
import type { ReadableFile } from "../../src/ports/append-file.ts";
import { SEALS_NAME } from "../../src/ports/seals.ts";
import { BrokenSeals, checkSeals } from "../../src/seals/check-seals.ts";
import { Sealer } from "../../src/seals/sealer.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { checkSealsIndependently, commandsOf, forge } from "../support/independent-seals.ts";
import { place, putFiles, someCommands, writeLog } from "../support/log-files.ts";

const draw = randomIntegers();
const LOG = await writeLog(place(someCommands(60, draw)));
const COMMANDS = commandsOf(LOG.bytes);
const SEALS = await sealsOf(LOG.bytes, 7);
const WHICH = fc.nat({ max: COMMANDS.length - 1 });

async function sealsOf(log: Buffer, commands: number): Promise<Buffer> {
  const folder = temporaryFolder();
  putFiles(folder, { [LOG_NAME]: log });
  const sealer = await Sealer.open(new DiskFolder(folder), inMemory(log), commands);
  do {
    while (sealer.read(log.length));
    await sealer.seal(LOG.ends[0]?.ledgerId as string);
  } while (sealer.newest?.bytes !== log.length);
  return readFileSync(join(folder, SEALS_NAME));
}

function inMemory(bytes: Buffer): ReadableFile {
  return {
    size: () => bytes.length,
    read: (into, at) => bytes.copy(into, 0, at, at + into.length),
  };
}

/** What is wrong; undefined where nothing is. */
async function wrong(log: Buffer, seals: Buffer = SEALS, kept?: string): Promise<string | undefined> {
  try {
    await checkSeals(
      inMemory(log),
      inMemory(seals),
      (name) => name,
      kept,
      () => {},
    );
    return undefined;
  } catch (error) {
    if (error instanceof BrokenSeals) return error.message;
    throw error;
  }
}

/** The line and byte at which a command of the log begins, as they are told. */
function placeOf(command: number): string {
  const before = COMMANDS.slice(0, command).join("");
  return `${LOG_NAME}: line ${before.split("\n").length}, byte ${before.length}: expected `;
}

/** Whether seq, crc and what the commands do are as they can be: all that verify looks at without seals. */
async function seemsWhole(log: Buffer): Promise<boolean> {
  const finding = await inspectLog(inMemory(log), undefined, new Replay(new WalletEngine([1, 2])));
  return finding.state === "whole";
}

const hashes = checkSealsIndependently(LOG.bytes, SEALS).hashes;

describe("a log as it was sealed", () => {
  test("is good, with every seal that was kept", async () => {
    for (const kept of [undefined, ...hashes]) expect(await wrong(LOG.bytes, SEALS, kept)).toBeUndefined();
  });

  test("is good where it goes on behind the newest seal, or the last line is torn", async () => {
    const lastAt = SEALS.lastIndexOf("\n", SEALS.length - 2) + 1;
    for (let length = lastAt; length < SEALS.length; length++)
      expect(await wrong(LOG.bytes, SEALS.subarray(0, length))).toBeUndefined();
    const torn = Buffer.from(SEALS).fill(0, lastAt + 50, lastAt + 60);
    expect(await wrong(LOG.bytes, torn)).toBeUndefined();
  });
});

describe("the first command is named", () => {
  test("whichever byte of it is altered, and every crc made to fit", async () => {
    await fc.assert(
      fc.asyncProperty(WHICH, fc.nat(), fc.integer({ min: 1, max: 255 }), async (which, at, flip) => {
        const command = Buffer.from(COMMANDS[which] as string, "latin1");
        const body = command.length - ',"crc":"00000000"}\n'.length;
        command[at % body] = (command[at % body] as number) ^ flip;
        const forged = forge(COMMANDS.with(which, command.toString("latin1")));
        if (forged.equals(LOG.bytes)) return; // its seq was altered, and made to fit again
        expect(await wrong(forged)).toStartWith(placeOf(which));
      }),
    );
  });

  test("whichever byte of the log is altered, without making anything fit", async () => {
    for (let round = 0; round < 500; round++) {
      const at = draw(LOG.bytes.length);
      const altered = Buffer.from(LOG.bytes);
      altered[at] = (altered[at] as number) ^ (1 + draw(255));
      const which = LOG.ends.findIndex(({ bytes }) => at < bytes);
      expect(await wrong(altered)).toStartWith(placeOf(which));
    }
  });

  test("where amounts are altered so that all that verify looks at fits", async () => {
    let altered = 0;
    for (const [which, command] of COMMANDS.entries()) {
      if (!command.includes('"account":"@world"')) continue;
      const amounts = [...command.matchAll(/"amount":([0-9]+)/g)].map(([, amount]) => amount);
      if (amounts.length !== 2) continue;
      const more = command.replaceAll(`"amount":${amounts[0]}`, `"amount":${amounts[0]}1`);
      const forged = forge(COMMANDS.with(which, more));
      if (!(await seemsWhole(forged))) continue; // there is no room for so much
      altered++;
      const [, id] = /"transaction_id":"([^"]+)"/.exec(command) as unknown as string[];
      const [, name] = /"command":"([0-9.]+)"/.exec(command) as unknown as string[];
      const said = await wrong(forged);
      expect(said).toStartWith(
        `${placeOf(which)}the command that seal ${Math.floor(which / 7) + 1} covers here`,
      );
      expect(said).toContain(`transaction ${id}, command "${name}"`);
    }
    expect(altered).toBeGreaterThan(0);
  });

  test("where commands are taken out, put in, or change places", async () => {
    await fc.assert(
      fc.asyncProperty(WHICH, fc.integer({ min: 1, max: 5 }), async (which, count) => {
        const without = COMMANDS.toSpliced(which, count);
        expect(await wrong(forge(without))).toStartWith(placeOf(which));
        const more = COMMANDS.toSpliced(which, 0, COMMANDS.at(which - 1) as string);
        expect(await wrong(forge(more))).toStartWith(placeOf(which));
        if (which === 0) return;
        const [before, after] = [COMMANDS[which - 1] as string, COMMANDS[which] as string];
        const swapped = COMMANDS.toSpliced(which - 1, 2, after, before);
        expect(await wrong(forge(swapped))).toStartWith(placeOf(which - 1));
      }),
    );
  });

  test("where the log is cut, within a command or between two", async () => {
    for (let round = 0; round < 200; round++) {
      const length = draw(LOG.bytes.length);
      const which = LOG.ends.findIndex(({ bytes }) => length < bytes);
      const said = await wrong(LOG.bytes.subarray(0, length));
      expect(said).toStartWith(placeOf(which));
      expect(said).toContain("no complete one starts here");
    }
  });

  test("by its place, where its digest was made to fit: then the SHA-256 of all bytes does not", async () => {
    // As if two commands had one digest: those of the second seal are taken from the altered log.
    const forged = forge(COMMANDS.with(9, (COMMANDS[9] as string).replace('"at":1', '"at":2')));
    const [first, second, ...others] = SEALS.toString("latin1").split("\n");
    const [, other] = (await sealsOf(forged, 7)).toString("latin1").split("\n");
    const digests = /"digests":"[^"]*"/;
    const mixed = (second as string).replace(digests, digests.exec(other as string)?.[0] as string);
    const said = await wrong(forged, rechained([first as string, mixed, ...others]));
    expect(said).toContain("although each command matches its digest");
    expect(said).toStartWith(placeOf(7));
  });
});

/** The lines with hashes that fit again, as somebody makes them who knows the format. */
function rechained(lines: readonly string[]): Buffer {
  let hash = "";
  const chained = lines
    .filter((line) => line !== "")
    .map((line) => {
      const [body = ""] = line.split(',"hash":');
      hash = createHash("sha256").update(hash).update(body).digest("hex");
      return `${body},"hash":"${hash}"}\n`;
    });
  return Buffer.from(chained.join(""), "latin1");
}

describe("seals that were altered", () => {
  test("are named by their line, whichever byte it is", async () => {
    for (let round = 0; round < 500; round++) {
      const at = draw(SEALS.length - 1);
      const altered = Buffer.from(SEALS);
      altered[at] = (altered[at] as number) ^ (1 + draw(255));
      const line = SEALS.subarray(0, at).toString("latin1").split("\n").length;
      const said = await wrong(LOG.bytes, altered);
      if (said === undefined)
        expect([line, altered[at]]).toEqual([hashes.length, 0]); // as after a loss of power
      else expect(said).toStartWith(`${SEALS_NAME}: line ${line}: expected `);
    }
  });

  test("are found where lines are taken out, doubled, or change places", async () => {
    const lines = SEALS.toString("latin1").split(/(?<=\n)/);
    for (let which = 0; which < lines.length - 1; which++) {
      const named = `${SEALS_NAME}: line ${which + 1}: expected "hash":"`;
      const text = (changed: readonly string[]) => Buffer.from(changed.join(""), "latin1");
      expect(await wrong(LOG.bytes, text(lines.toSpliced(which, 1)))).toStartWith(named);
      expect(await wrong(LOG.bytes, text(lines.toSpliced(which + 1, 0, lines[which] as string)))).toStartWith(
        `${SEALS_NAME}: line ${which + 2}: expected "hash":"`,
      );
      const swapped = lines.toSpliced(which, 2, lines[which + 1] as string, lines[which] as string);
      expect(await wrong(LOG.bytes, text(swapped))).toStartWith(named);
    }
  });

  test("are found where what they say of the log does not hold, though their hashes were made to fit", async () => {
    const lines = SEALS.toString("latin1").split("\n");
    for (const [field, value, why] of [
      ["seal", "3", '"seal":2'],
      ["ledger_id", '"00000000-0000-7000-8000-000000000000"', '"ledger_id":"'],
      ["seq", "1", "a position after that of the previous seal"],
      ["bytes", "1", "a position after that of the previous seal"],
      ["commands", "6", "digests of 6 commands"],
      ["seq", "99999", "the seq, command and time of the last command that it covers"],
      ["at", "5", "the seq, command and time of the last command that it covers"],
      ["command", '"9.99"', "the seq, command and time of the last command that it covers"],
    ] as const) {
      const changed = (lines[1] as string).replace(
        new RegExp(`"${field}":("[^"]*"|[0-9]+)`),
        `"${field}":${value}`,
      );
      const said = await wrong(LOG.bytes, rechained(lines.with(1, changed)));
      expect(said).toStartWith(`${SEALS_NAME}: line 2: expected ${why}`);
      expect(said).toContain("the log matches its seals");
    }
    const sha = (lines[1] as string).replace(/"log":"../, '"log":"zz').replace("zz", "00");
    expect(await wrong(LOG.bytes, rechained(lines.with(1, sha)))).toContain(
      "although each command matches its digest",
    );
    const more = (lines[1] as string).replace(
      /"bytes":([0-9]+)/,
      (_, bytes) => `"bytes":${Number(bytes) + 1}`,
    );
    expect(await wrong(LOG.bytes, rechained(lines.with(1, more)))).toContain(
      "although each command matches its digest",
    );
  });

  test("are found where they say that they are of another ledger", async () => {
    const other = SEALS.toString("latin1").replace(
      /("ledger_id":")[^"]*/g,
      "$1018f0000-0000-7000-8000-000000000000",
    );
    expect(await wrong(LOG.bytes, rechained(other.split("\n")))).toBe(
      `${SEALS_NAME}: line 1: expected the ledger_id of the log`,
    );
  });

  test("or that are none are told", async () => {
    expect(await wrong(LOG.bytes, Buffer.alloc(0))).toBe(`${SEALS_NAME} contains no seal`);
    const long = Buffer.alloc(3 << 20, "x");
    expect(await wrong(LOG.bytes, Buffer.concat([SEALS, long]))).toContain(
      `line ${hashes.length + 1}: expected a line end`,
    );
  });
});

describe("who makes log and seals anew is found by a seal that was kept elsewhere, and by nothing else", () => {
  test.each([0, 20, COMMANDS.length - 1])("command %d", async (which) => {
    const command = (COMMANDS[which] as string).replace('"at":1', '"at":2');
    const forged = forge(COMMANDS.with(which, command));
    const seals = await sealsOf(forged, 7);
    expect(await wrong(forged, seals)).toBeUndefined();
    for (const [seal, hash] of hashes.entries()) {
      const said = await wrong(forged, seals, hash);
      if (which >= (seal + 1) * 7) expect(said).toBeUndefined();
      else expect(said).toContain(`no seal has the hash ${hash}`);
    }
  });

  test("who cuts both, too", async () => {
    const end = LOG.ends[13]?.bytes as number;
    const lines = SEALS.toString("latin1").split(/(?<=\n)/);
    const seals = Buffer.from(lines.slice(0, 2).join(""), "latin1");
    expect(await wrong(LOG.bytes.subarray(0, end), seals, hashes[1])).toBeUndefined();
    expect(await wrong(LOG.bytes.subarray(0, end), seals, hashes[2])).toContain("no seal has the hash");
  });
});

test("what was written to the folder is what is read from it", async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, LOG_NAME), LOG.bytes);
  writeFileSync(join(folder, SEALS_NAME), SEALS);
  const disk = new DiskFolder(folder, false);
  const [log, seals] = [disk.open(LOG_NAME, false), disk.open(SEALS_NAME, false)];
  if (!log || !seals) throw new Error("they are not there");
  const told: number[] = [];
  const checked = await checkSeals(
    log,
    seals,
    (name) => name,
    hashes[0],
    (bytes) => void told.push(bytes),
  );
  expect(checked).toMatchObject({ commands: COMMANDS.length, torn: 0 });
  expect(checked.newest.hash).toBe(hashes.at(-1) as string);
  expect(told.at(-1)).toBe(LOG.bytes.length);
});
