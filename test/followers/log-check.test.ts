/** The check of the log's older lines, as a node waits for it. */

import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { readConfig } from "../../src/cli/read-config.ts";
import { Followers } from "../../src/node/followers.ts";
import { SERVE_SETTINGS } from "../../src/node/host.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { place, someCommands, type WrittenLog, writeLog } from "../support/log-files.ts";

const draw = randomIntegers();

async function checked(log: WrittenLog, bytes: Buffer, script?: string) {
  const data = temporaryFolder();
  writeFileSync(join(data, "events.log"), bytes);
  const errors: object[] = [];
  const followers = new Followers(readConfig(SERVE_SETTINGS, ["--data", data], {}), {
    name: "a node",
    log: { info() {}, warn() {}, error: (facts, message) => void errors.push({ ...facts, message }) },
    script: (path) => {
      if (script === undefined) return new URL(`../../src/${path}`, import.meta.url);
      const file = join(temporaryFolder(), "worker.ts");
      writeFileSync(file, script);
      return pathToFileURL(file);
    },
    sealed: () => {},
  });
  const end = log.ends[Math.floor(log.ends.length / 2)];
  if (!end) throw new TypeError("the log is empty");
  const damage = followers.checkLines(end);
  return { damage, errors, followers, end };
}

test("lines that are as they were written pass, and damage is reported with its place", async () => {
  const log = await writeLog(place(someCommands(300, draw)));
  const good = await checked(log, log.bytes);
  expect(await good.damage).toBeUndefined();
  const altered = Buffer.from(log.bytes);
  const at = draw(good.end.bytes);
  altered[at] = (altered[at] as number) ^ 1;
  const bad = await checked(log, altered);
  expect(await bad.damage).toMatch(/events\.log: line \d+, byte \d+: expected /);
  expect([good.errors, bad.errors]).toEqual([[], []]);
});

test.each([
  ["throws", 'throw new Error("a bug")', "a bug"],
  ["exits", "process.exit(0)", "exited with 0"],
])(
  "one that %s does not pass as a good check: it is reported, and the node stops",
  async (_, script, why) => {
    const log = await writeLog(place(someCommands(20, draw)));
    const { damage, errors, followers } = await checked(log, log.bytes, script);
    await expect(damage).rejects.toThrow(why);
    expect(errors).toEqual([
      {
        event: "follower_halted",
        follower: "log check",
        error: expect.stringContaining(why),
        message: "the older lines of the log cannot be checked",
      },
    ]);
    await followers.closed(Promise.resolve());
  },
);
