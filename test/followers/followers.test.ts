/** The contract of followers, on both sides, shown with one that counts events. */

import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FollowerKind } from "../../src/followers/follower.ts";
import { FollowerThread } from "../../src/followers/follower-thread.ts";
import { EMPTY_LOG, type LogPosition } from "../../src/ports/log-position.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { place, someCommands, writeLog } from "../support/log-files.ts";
import { COUNTING, type Counted, type CountingSettings } from "./counting.ts";

const SCRIPT = new URL("./counting-worker.ts", import.meta.url);
const log = await writeLog(place(someCommands(300, randomIntegers())));
const [first, middle, last] = [0, 100, log.ends.length - 1].map((at) => log.ends[at] as LogPosition) as [
  LogPosition,
  LogPosition,
  LogPosition,
];

interface Line {
  readonly level: string;
  readonly facts: object;
  readonly message: string;
}

function counting(
  settings: Partial<CountingSettings>,
  { position = EMPTY_LOG, kind = {}, hasLog = true }: Options = {},
) {
  const data = temporaryFolder();
  if (hasLog) writeFileSync(join(data, "events.log"), log.bytes);
  const lines: Line[] = [];
  const writes = (level: string) => (facts: object, message: string) =>
    void lines.push({ level, facts, message });
  const progresses: Counted[] = [];
  const thread = new FollowerThread<CountingSettings, Counted>(
    { ...COUNTING, ...kind },
    SCRIPT,
    { data, position, settings: { at: Number.POSITIVE_INFINITY, does: "goes on", ...settings } },
    { info: writes("info"), warn: writes("warn"), error: writes("error") },
    (progress) => progresses.push(progress),
  );
  return { thread, lines, progresses, data };
}

interface Options {
  readonly position?: LogPosition;
  readonly kind?: Partial<FollowerKind<CountingSettings, Counted>>;
  readonly hasLog?: boolean;
}

const haltedLines = (lines: readonly Line[]) => lines.filter(({ level }) => level === "error");

test("it reads from where it was started up to what is on disk, and no further; then it stops", async () => {
  const { thread, lines, progresses } = counting({ at: 7 }, { position: first });
  expect(thread.progress).toEqual({ events: -7, taking: true });
  await eventually("it has begun", () => thread.progress.events === 0);
  thread.grown(middle);
  await eventually("it has read more", () => thread.progress.events === middle.seq - first.seq);
  thread.taking(false);
  await eventually("that is reported", () => !thread.progress.taking);
  thread.grown(last);
  await thread.stop();
  expect(thread.progress).toEqual({ events: last.seq - first.seq, taking: false });
  expect(progresses.at(-1)).toEqual(thread.progress);
  expect(lines).toEqual([
    { level: "info", facts: { event: "stopped", events: last.seq - first.seq }, message: "counted" },
  ]);
  expect(thread.halted).toBeUndefined();
  await thread.finished;
  await thread.end();
});

test.each([
  ["halts", "so many are too many"],
  ["throws", "a bug"],
  ["throws later", "a bug"],
  ["exits", "the thread counting exited with 3"],
  ["finishes", "it finished while the node was running"],
] as const)("one that %s is reported once, with why, and is not waited for", async (does, why) => {
  const { thread, lines } = counting({ at: middle.seq, does }, { position: EMPTY_LOG });
  await eventually("it has begun", () => thread.progress.events === 0);
  thread.grown(middle);
  await thread.finished;
  expect(thread.halted).toContain(why);
  expect(thread.progress).toEqual({ events: middle.seq, taking: true, why: expect.stringContaining(why) });
  expect(lines).toEqual([
    {
      level: "error",
      facts: { event: "follower_halted", follower: "counting", error: expect.stringContaining(why) },
      message: "nothing is counted any more",
    },
  ]);
  thread.grown(last);
  thread.taking(false);
  await thread.stop();
  await thread.end();
  expect(haltedLines(lines)).toHaveLength(1);
});

test.each([
  ["cannot begin", { begin: "throws" }, {}, "it cannot begin"],
  ["finds no log", {}, { hasLog: false }, "events.log does not exist"],
] as const)("one that %s is reported", async (_, settings, options, why) => {
  const { thread, lines } = counting(settings, options);
  await thread.finished;
  expect(thread.halted).toContain(why);
  expect(haltedLines(lines)).toHaveLength(1);
  await thread.end();
});

test("one whose program is not there is reported", async () => {
  const data = temporaryFolder();
  const errors: object[] = [];
  const thread = new FollowerThread<CountingSettings, Counted>(
    COUNTING,
    new URL("./no-worker.ts", import.meta.url),
    { data, position: EMPTY_LOG, settings: { at: 0, does: "goes on" } },
    { info() {}, warn() {}, error: (facts) => void errors.push(facts) },
  );
  await thread.finished;
  expect(thread.halted).toBeDefined();
  expect(errors).toHaveLength(1);
  await thread.end();
});

test("a stop that comes before it has begun is kept", async () => {
  const { thread, lines } = counting({});
  thread.grown(last);
  await thread.stop();
  expect(thread.progress.events).toBe(last.seq);
  expect(haltedLines(lines)).toEqual([]);
  await thread.end();
});

test("one that ends by itself has finished, and one that is ended is not reported", async () => {
  const done = counting({ at: 0, does: "finishes" }, { position: last, kind: { upTo: "start" } });
  await done.thread.finished;
  const busy = counting({}, { position: first });
  await eventually("it has begun", () => busy.thread.progress.events === 0);
  await busy.thread.end();
  await Promise.resolve();
  expect([done.thread.halted, done.lines, busy.thread.halted, busy.lines]).toEqual([
    undefined,
    [],
    undefined,
    [],
  ]);
});
