/** The engine's view of the PostgreSQL writer when its thread ends by itself: nothing of it looks healthy. */

import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { readConfig } from "../../src/cli/read-config.ts";
import { FollowerThread } from "../../src/followers/follower-thread.ts";
import { EMPTY_LOG } from "../../src/ports/log-position.ts";
import { POSTGRES, POSTGRES_SETTINGS } from "../../src/postgres/postgres-follower.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";

const LEADING = '{ topic: "ledger", partition: 0, is: "leading", why: undefined, lag: 7 }';

test("every partition is halted, with the lag that it had", async () => {
  const script = join(temporaryFolder(), "worker.ts");
  writeFileSync(
    script,
    `import { parentPort } from "node:worker_threads";
     parentPort.postMessage({ type: "progress", progress: [${LEADING}] });
     parentPort.on("message", () => { throw new Error("a bug"); });`,
  );
  const errors: string[] = [];
  const log = { info() {}, warn() {}, error: (_: object, message: string) => void errors.push(message) };
  const config = readConfig(POSTGRES_SETTINGS, [], {});
  const start = { data: temporaryFolder(), position: EMPTY_LOG, settings: { name: "a node", config } };
  const thread = new FollowerThread(POSTGRES, pathToFileURL(script), start, log);
  expect(thread.progress).toMatchObject([{ topic: "ledger", partition: 0, is: "away" }]);
  await eventually("it leads", () => thread.progress[0]?.is === "leading");
  thread.grown(EMPTY_LOG);
  await eventually("it is halted", () => thread.progress[0]?.is === "halted");
  expect(thread.progress).toEqual([
    { topic: "ledger", partition: 0, is: "halted", why: expect.stringContaining("a bug"), lag: 7 },
  ]);
  await thread.stop();
  expect(errors).toEqual(["the PostgreSQL writer has failed"]);
  await thread.end();
});
