/**
 * A writer in a process of its own, which stops itself with SIGSTOP at one point of its third batch.
 *
 * argv: the database's URL, the folder of the log, the point (or `never`).
 */

import { writeSync } from "node:fs";
import process from "node:process";
import { DiskFolder } from "../../src/eventlog/disk.ts";
import { DurableLogFeed } from "../../src/eventlog/feed.ts";
import { LogMark } from "../../src/eventlog/mark.ts";
import type { AppendFile } from "../../src/ports/append-file.ts";
import { connectTo } from "../../src/runtime/bun-postgres.ts";
import { ledgerWriter } from "./ledger-in-postgres.ts";
import { disturb, type Point } from "./writing-points.ts";

const [url, folder, point] = process.argv.slice(2) as [string, string, Point];

const disk = new DiskFolder(folder, false);
const file = disk.open("events.log", false) as AppendFile;
const durable = LogMark.read(disk)!;
const { connect, writer } = disturb(connectTo(url), point, () => {
  say(`stopped ${point}`);
  process.kill(process.pid, "SIGSTOP");
});
const running = ledgerWriter(connect, new DurableLogFeed(file, () => durable), {
  name: "zombie",
  writer,
  report: say,
});
running.start();
process.on("SIGTERM", () => void running.stop().then(() => process.exit(0)));

/** At once, for the next thing may be a stop. */
function say(line: string): void {
  writeSync(1, `${line}\n`);
}
