/** A ledger's folder on this machine: its lock, its node's name, and the room that its disk has. */

import { mkdirSync, readFileSync, renameSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { v4 } from "uuid";
import { DiskFolder } from "./eventlog/disk.ts";
import { SNAPSHOTS } from "./eventlog/snapshot-files.ts";
import { NodeRefused } from "./node.ts";
import type { NodeLog } from "./ports/node-log.ts";
import type { FileLock, Runtime } from "./runtime/runtime.ts";

export const NODE_NAME = "node";
export const LOCK_NAME = "lock";
/** For how long the folder may be held by a process that is just ending. */
const LOCK_PATIENCE_MS = 2_000;
const LOCK_RETRY_MS = 100;

export function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o750 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" || code === "ENOTDIR") throw new NodeRefused(`${path} is not a folder`);
    throw error;
  }
}

/** Rejects with NodeRefused where another process holds the folder. */
export async function takeLock(data: string, runtime: Runtime): Promise<FileLock> {
  for (const until = performance.now() + LOCK_PATIENCE_MS; ; ) {
    const lock = runtime.lock(join(data, LOCK_NAME));
    if (lock) return lock;
    if (performance.now() > until) throw new NodeRefused(`${data} is held by another process`);
    await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_MS));
  }
}

/** The node's name among those that read one stream, made at its first start. */
export function nodeName(data: string): string {
  const path = join(data, NODE_NAME);
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const name = v4();
  writeFileSync(`${path}.new`, `${name}\n`);
  renameSync(`${path}.new`, path);
  return name;
}

/** Undefined where there can be none: then the node runs without. */
export function snapshotFolder(data: string, log: NodeLog): DiskFolder | undefined {
  const path = join(data, SNAPSHOTS);
  try {
    mkdirSync(path, { recursive: true, mode: 0o750 });
    return new DiskFolder(path);
  } catch (error) {
    log.warn({ error: String(error) }, "no snapshots are taken: their folder cannot be made");
    return undefined;
  }
}

export function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}
