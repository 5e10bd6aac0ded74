/** Writes, flushes and ends a file by `Bun.file().writer()` while syncing is impossible; prints what happened. */

import { fdatasyncSync, openSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import process from "node:process";
import { refuseSyncs } from "./refused-syncs.ts";

const [path = ""] = process.argv.slice(2);
refuseSyncs();
const writer = Bun.file(path).writer();
writer.write("one\n");
await writer.flush();
const flags = openFlags();
await writer.end();
console.log(JSON.stringify({ flags, text: readFileSync(path, "utf8"), sync: sync() }));

/** With which the writer's descriptor was opened. */
function openFlags(): number {
  const fd = readdirSync("/proc/self/fd").find((name) => targetOf(name) === path);
  const [, flags] = /^flags:\s+([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8")) ?? [];
  return Number.parseInt(flags ?? "", 8);
}

function targetOf(fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined; // the one that listed them
  }
}

function sync(): string {
  try {
    fdatasyncSync(openSync(path, "r+"));
    return "synced";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}
