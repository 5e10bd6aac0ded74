/** The engine's view of the writer's thread, where that ends by itself: it is told, and nothing looks healthy. */

import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { readConfig } from "../../src/config.ts";
import { EMPTY_LOG } from "../../src/ports/log-position.ts";
import { POSTGRES_SETTINGS, PostgresThread } from "../../src/postgres/postgres-thread.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";

const LEADING = '{ topic: "ledger", partition: 0, is: "leading", why: undefined, lag: 7 }';

test.each([
  ["an error", 'throw new Error("a bug")', "a bug"],
  ["an exit", "process.exit(3)", "ended with 3"],
])("%s leaves every partition halted, with the lag that it had", async (_, end, why) => {
  const script = join(temporaryFolder(), "worker.ts");
  writeFileSync(
    script,
    `import { parentPort } from "node:worker_threads";
     parentPort.postMessage({ type: "progress", partitions: [${LEADING}] });
     parentPort.on("message", () => { ${end} });`,
  );
  const errors: string[] = [];
  const log = { info() {}, warn() {}, error: (_: object, message: string) => void errors.push(message) };
  const config = readConfig(POSTGRES_SETTINGS, [], {});
  const data = { name: "a node", durable: EMPTY_LOG, config };
  const thread = new PostgresThread(pathToFileURL(script), data, log);
  expect(thread.progress).toMatchObject([{ topic: "ledger", partition: 0, is: "away" }]);
  await eventually("it leads", () => thread.progress[0]?.is === "leading");
  thread.grown(EMPTY_LOG);
  await eventually("it is halted", () => thread.progress[0]?.is === "halted");
  expect(thread.progress).toEqual([
    { topic: "ledger", partition: 0, is: "halted", why: expect.stringContaining(why), lag: 7 },
  ]);
  await thread.stop();
  expect(errors).toEqual(["the PostgreSQL writer has failed"]);
  await thread.end();
});
