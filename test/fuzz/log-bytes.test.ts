/**
 * Logs of which any bytes were changed. Before the mark no change is harmless, not one: `verify` finds each, with its
 * line and byte, and a start refuses it. Behind the mark, or without one, what is read is always the beginning of
 * what was written: never another balance.
 */

import { expect, spyOn, test } from "bun:test";
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CommandFailed, type Program } from "../../src/cli/command.ts";
import { readBehindSnapshot } from "../../src/cli/read-log.ts";
import { verify } from "../../src/cli/verify.ts";
import type { Command, OpenLedger } from "../../src/domain/commands/commands.ts";
import { restore } from "../../src/engine/snapshot.ts";
import { WalletEngine } from "../../src/engine/wallet-engine.ts";
import { checkLines } from "../../src/eventlog/check-lines.ts";
import { DiskFolder } from "../../src/eventlog/disk.ts";
import { NewerFormat } from "../../src/eventlog/line.ts";
import { DamagedLog } from "../../src/eventlog/recovery.ts";
import type { AppendFile } from "../../src/ports/append-file.ts";
import { newestSnapshot } from "../../src/snapshots/snapshot-files.ts";
import { coffer } from "../../tools/harness/coffer.ts";
import { memoryFolder } from "../../tools/harness/folders.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { id } from "../support/ledger-specs.ts";
import { LogOnDisk, place, someCommands, writeLog } from "../support/log-files.ts";
import { someLedger, stateOf } from "../support/snapshots.ts";
import { FUZZ_TIMEOUT_MS, rounds } from "./budget.ts";
import { type Draw, mutated } from "./hostile-messages.ts";

const CHANGES_OF_A_LOG = 15;

/** The lines of a log, grouped by their commands. */
function commandsIn(text: string): string[] {
  return text.split(/(?<=,"crc":"[0-9a-f]{8}"\}\n)/);
}

function replaced(text: string, pattern: RegExp, change: (found: string) => string, draw: Draw): string {
  const found = [...text.matchAll(pattern)];
  const match = found[draw(found.length)];
  if (!match) return text;
  return text.slice(0, match.index) + change(match[0]) + text.slice(match.index + match[0].length);
}

/** Some of these, moved, doubled or left out. */
function rearranged(parts: readonly string[], draw: Draw): string {
  const changed = [...parts];
  const [at, to, count] = [draw(parts.length), draw(parts.length), 1 + draw(3)];
  const some = changed.slice(at, at + count);
  const kind = draw(3);
  if (kind !== 1) changed.splice(at, count);
  if (kind !== 2) changed.splice(to, 0, ...some);
  return changed.join("");
}

/** What may become of a log's text; `another` is another log. */
const CHANGES: readonly ((text: string, draw: Draw, another: string) => string)[] = [
  (text, draw) => mutated(Buffer.from(text, "latin1"), draw).toString("latin1"),
  (text, draw) => {
    const at = draw(text.length);
    return text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << draw(8))) + text.slice(at + 1);
  },
  (text, draw) => text.slice(0, draw(text.length)),
  (text, draw) => commandsIn(text).slice(0, draw(20)).join(""),
  (text, draw) => rearranged(text.split(/(?<=\n)/), draw),
  (text, draw) => rearranged(commandsIn(text), draw),
  // The rest of another log, at the same byte, line or command; and what stands elsewhere in it.
  (text, draw, another) => {
    const at = draw(text.length);
    return text.slice(0, at) + another.slice(at);
  },
  (text, draw, another) => {
    const commands = commandsIn(text);
    const at = draw(commands.length);
    return [...commands.slice(0, at), ...commandsIn(another).slice(at)].join("");
  },
  (text, draw, another) => {
    const commands = commandsIn(text);
    commands.splice(draw(commands.length), draw(2), commandsIn(another)[draw(20)] ?? "");
    return commands.join("");
  },
  (text, draw) => replaced(text, /[0-9]/g, (digit) => String((Number(digit) + 1 + draw(9)) % 10), draw),
  (text, draw) =>
    replaced(text, /[0-9]+/g, (digits) => `${draw(2) === 0 ? "0" : ""}${digits}${draw(10)}`, draw),
  (text, draw) => replaced(text, /[:,{}"\n]/g, (mark) => (draw(2) === 0 ? ` ${mark}` : `${mark} `), draw),
  (text, draw) =>
    replaced(text, /\n/g, () => ["\r\n", "\n\n", "", "\u00e2\u0080\u00a8", "\0\n"][draw(5)] as string, draw),
  (text, draw) =>
    replaced(text, /("\w+":[^,}]+),("\w+":[^,}]+)/g, (pair) => pair.split(",").reverse().join(","), draw),
  (text, draw) =>
    replaced(
      text,
      /[a-f]/g,
      (letter) => (draw(2) === 0 ? letter.toUpperCase() : `\\u00${letter.charCodeAt(0).toString(16)}`),
      draw,
    ),
  (text, draw) =>
    replaced(text, /,"crc":"[0-9a-f]{8}"/g, (crc) => (draw(2) === 0 ? "" : `${crc},"note":1`), draw),
  (text, draw) => replaced(text, /"amount":/g, (name) => `${name}1,${name}`, draw),
  (text, draw) => {
    const page = 512 << draw(4);
    const at = page * draw(Math.ceil(text.length / page));
    const zeros = "\0".repeat(Math.min(page, text.length - at));
    return text.slice(0, at) + zeros + text.slice(at + zeros.length);
  },
  (text, draw) => text + (draw(2) === 0 ? text.slice(-draw(400)) : "\0".repeat(1 + draw(5_000))),
];

function changed(text: string, draw: Draw, another: string): string {
  for (;;) {
    const change = CHANGES[draw(CHANGES.length)] as (typeof CHANGES)[number];
    const now = change(text, draw, another);
    if (now !== text) return now;
  }
}

/** The first byte in which they differ. */
function firstChange(text: string, now: string): number {
  let at = 0;
  while (at < text.length && text[at] === now[at]) at++;
  return at;
}

/** The text around the first byte in which it differs from the other one. */
function aroundChange(text: string, from: string): string {
  const at = firstChange(text, from);
  return JSON.stringify(text.slice(Math.max(at - 40, 0), at + 40));
}

/** What `coffer verify` says, without a process. */
async function verified(data: string): Promise<{ code: number; said: string }> {
  const said: string[] = [];
  const spies = (["error", "log"] as const).map((name) =>
    spyOn(console, name).mockImplementation((text: unknown) => void said.push(String(text))),
  );
  try {
    return { code: await verify.run(["--data", data], {}, {} as Program), said: said.join("\n") };
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    return { code: 1, said: error.message };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

/** Expects that what is said names the command in which the first changed byte stands. */
function expectPlace(said: string, path: string, text: string, now: string, forked: boolean): void {
  if (said.includes("events.log has format ")) return; // not judged
  const place = /: line ([0-9]+), byte ([0-9]+): expected \S/.exec(said);
  expect(said.startsWith(path)).toBe(true);
  const at = firstChange(text, now);
  let [begin, end, lines] = [0, 0, 0];
  for (const command of commandsIn(text)) {
    if (end > at) break;
    begin = end;
    end += command.length;
    if (end <= at) lines += command.split("\n").length - 1;
  }
  // The change may have joined its command with those behind it.
  let endNow = 0;
  for (const command of commandsIn(now)) if (endNow <= at) endNow += command.length;
  const byte = Number(place?.[2]);
  expect([said, byte >= begin || byte >= at]).toEqual([said, true]);
  // What only the mark tells from the log that was written is told where the log ends, or at the mark.
  const mayBeBehind = forked || said.endsWith("as recorded in the mark") || byte === now.length;
  expect([said, byte <= Math.max(end, endNow, at) || mayBeBehind]).toEqual([said, true]);
  expect(Number(place?.[1])).toBeGreaterThan(at >= text.length ? 0 : lines);
}

const draw = randomIntegers();
/** Another ledger's log: a command of it fits nowhere in one of these. */
const [opening, ...more] = someCommands(60, draw) as [OpenLedger, ...Command[]];
const otherOpening = { ...opening, ledger_id: id(0) };
const other = (await writeLog(place([otherOpening, ...more]))).bytes.toString("latin1");

test(
  "before its mark: verify finds every change and says where; a start refuses; a snapshot hides none",
  async () => {
    for (const _ of rounds(10)) {
      const { data, log } = await someLedger(draw, 40 + draw(100), 20);
      const state = stateOf(log.engine);
      const path = join(data, "events.log");
      const text = readFileSync(path, "latin1");
      expect(await verified(data)).toMatchObject({ code: 0 });
      const fork = await forkOf(text);
      for (let change = 0; change < CHANGES_OF_A_LOG; change++) {
        const forked = draw(2) === 0;
        const now = changed(text, draw, forked ? fork : other);
        writeFileSync(path, now, "latin1");
        const { code, said } = await verified(data);
        if (code === 0)
          throw new Error(`nobody saw ${aroundChange(now, text)} in place of ${aroundChange(text, now)}`);
        // A command of a log that began alike follows, as far as can be told without the mark.
        expectPlace(said, path, text, now, forked);
        await expectRefusedOrCut(data, text, now);
        await expectSeenBehindSnapshot(data, state);
      }
      rmSync(data, { recursive: true });
    }
  },
  FUZZ_TIMEOUT_MS,
);

/** A log with the same first commands, and others behind them. */
async function forkOf(text: string): Promise<string> {
  const data = memoryFolder();
  const commands = commandsIn(text);
  writeFileSync(
    join(data, "events.log"),
    commands.slice(0, 1 + draw(commands.length - 1)).join(""),
    "latin1",
  );
  const log = await LogOnDisk.open(data);
  const { sequence } = log.position;
  const more = place(someCommands(40, draw)).map((placed) => ({
    ...placed,
    sequence: sequence + placed.sequence,
    at: placed.at + 10_000,
  }));
  await log.goOn(more);
  await log.close();
  const fork = readFileSync(join(data, "events.log"), "latin1");
  rmSync(data, { recursive: true });
  return fork;
}

/** A start: it refuses and changes nothing, or what it cuts was never known to be on disk. */
async function expectRefusedOrCut(data: string, text: string, now: string): Promise<void> {
  const copy = memoryFolder();
  for (const name of ["events.log", "events.mark"]) copyFileSync(join(data, name), join(copy, name));
  const path = join(copy, "events.log");
  const opened = await LogOnDisk.open(copy).catch((error: unknown) => error);
  if (opened instanceof LogOnDisk) {
    expect(now.startsWith(text)).toBe(true);
    await opened.close();
    expect(readFileSync(path, "latin1")).toBe(text);
  } else {
    expect(opened instanceof DamagedLog || opened instanceof NewerFormat ? "refused" : opened).toBe(
      "refused",
    );
    expect(readFileSync(path, "latin1")).toBe(now);
  }
  rmSync(copy, { recursive: true });
}

/** A start behind the newest snapshot reads what is behind it, and has the rest checked: one of both sees it. */
async function expectSeenBehindSnapshot(data: string, state: ReturnType<typeof stateOf>): Promise<void> {
  const snapshot = newestSnapshot(new DiskFolder(join(data, "snapshots"), false), () => {});
  if (!snapshot) throw new Error("there is no snapshot");
  const file = new DiskFolder(data, false).open("events.log", false) as AppendFile;
  const before = await checkLines(file, "events.log", snapshot.state.position).catch((error: unknown) => {
    if (error instanceof NewerFormat) return error.message;
    throw error;
  });
  file.close();
  const behind = await readBehindSnapshot(data, snapshot);
  expect(before !== undefined || "break" in behind.finding).toBe(true);
  if (behind.finding.state === "whole") expect(stateOf(behind.engine)).toEqual(state);
  const engine = new WalletEngine();
  restore(engine, snapshot);
  expect(behind.engine.ledger.seq).toBeGreaterThanOrEqual(engine.ledger.seq);
}

test(
  "without a mark: refused, or what is left is the beginning of what was written",
  async () => {
    const came = { refused: 0, cut: 0 };
    for (const _ of rounds(20)) {
      const log = await writeLog(place(someCommands(20 + draw(60), draw)));
      const text = log.bytes.toString("latin1");
      for (let change = 0; change < CHANGES_OF_A_LOG; change++) {
        const now = changed(text, draw, other);
        const data = memoryFolder();
        const path = join(data, "events.log");
        writeFileSync(path, now, "latin1");
        const opened = await LogOnDisk.open(data).catch((error: unknown) => error);
        if (opened instanceof LogOnDisk) {
          came.cut++;
          await opened.close();
          const left = readFileSync(path, "latin1");
          // A crc is no signature: another whole log in its place is one.
          expect([now, text.startsWith(left) || other.startsWith(left)]).toEqual([now, true]);
        } else {
          came.refused++;
          expect(opened instanceof DamagedLog || opened instanceof NewerFormat ? "refused" : opened).toBe(
            "refused",
          );
          expect(readFileSync(path, "latin1")).toBe(now);
        }
        rmSync(data, { recursive: true });
      }
    }
    for (const count of Object.values(came)) expect(count).toBeGreaterThan(30);
  },
  FUZZ_TIMEOUT_MS,
);

test("the executable says the same, and replay never tells of other balances", async () => {
  const { data } = await someLedger(draw, 80, 20);
  const path = join(data, "events.log");
  const text = readFileSync(path, "latin1");
  for (let round = 0; round < 6; round++) {
    const now = changed(text, draw, other);
    writeFileSync(path, now, "latin1");
    const [verifying, replaying, behind] = await Promise.all([
      coffer(["verify", "--data", data]),
      coffer(["replay", "--data", data, "--json"]),
      coffer(["replay", "--data", data, "--json", "--from-snapshot"]),
    ]);
    expect(verifying.code).toBe(1);
    expect(verifying.stdout).toBe("");
    // Behind the mark is a torn tail to replay, which it passes over.
    const torn = now.startsWith(text);
    expect(replaying.code).toBe(torn ? 0 : 1);
    expect(behind.code === 0 || behind.code === 1).toBe(true);
    for (const { stderr } of [verifying, replaying, behind]) expect(stderr).not.toContain("    at ");
  }
});
