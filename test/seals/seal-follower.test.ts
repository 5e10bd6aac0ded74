/** What the sealer's thread tells of another process that holds its file comes to the node's log. */

import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MARK_NAME } from "../../src/eventlog/mark.ts";
import { LOG_NAME } from "../../src/eventlog/recovery.ts";
import { FollowerThread } from "../../src/followers/follower-thread.ts";
import type { LogFacts } from "../../src/ports/node-log.ts";
import { SEALS_NAME, type Seal } from "../../src/ports/seals.ts";
import { SEALS } from "../../src/seals/seal-follower.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { TestProcess } from "../../tools/harness/processes.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { checkSealsIndependently } from "../support/independent-seals.ts";
import { markOf, place, someCommands, writeLog } from "../support/log-files.ts";

test("who holds events.seals for a minute is told of, and sealing goes on afterwards", async () => {
  const log = await writeLog(place(someCommands(20, randomIntegers())));
  const data = temporaryFolder();
  writeFileSync(join(data, LOG_NAME), log.bytes);
  writeFileSync(join(data, MARK_NAME), await markOf(log.ends.at(-1)!));
  const path = join(data, SEALS_NAME);
  const holder = new TestProcess("flock", ["--no-fork", path, "sh", "-c", "echo held; exec sleep infinity"]);
  await holder.line(/^held$/);

  const told: [level: string, event: string][] = [];
  const tell =
    (level: string) =>
    ({ event }: LogFacts) =>
      void told.push([level, event]);
  const lines = { debug: tell("debug"), info: tell("info"), warn: tell("warn"), error: tell("error") };
  const sealed: Seal[] = [];
  const hasty = new URL("./hasty-sealer.ts", import.meta.url);
  const start = { data, position: log.ends.at(-1)!, settings: { sealCommands: 100, isNew: true } };
  const seals = new FollowerThread(SEALS, hasty, start, lines, ({ newest }) => {
    if (newest) sealed.push(newest);
  });
  await eventually("it is told", () => told.length > 0);
  expect(told[0]).toEqual(["error", "seals_held"]);
  expect(sealed).toEqual([]);
  await holder.crash();
  await eventually("all is sealed", () => sealed.at(-1)?.bytes === log.bytes.length);
  await seals.stop();
  await seals.end();
  expect(seals.halted).toBeUndefined();
  expect(seals.progress.halted).toBe(false);
  expect(checkSealsIndependently(readFileSync(join(data, LOG_NAME)), readFileSync(path)).commands).toBe(
    log.ends.length,
  );
});
