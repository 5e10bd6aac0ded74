/** A ledger's folder on this machine: its lock, its node's name, and the room that its disk has. */

import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseTransactionId } from "../domain/names.ts";
import { DiskFolder, makeFolders, syncFolder } from "../eventlog/disk.ts";
import { LOCK_NAME } from "../eventlog/log-files.ts";
import type { NodeLog } from "../ports/node-log.ts";
import type { FileLock, Runtime } from "../runtime/runtime.ts";
import { SNAPSHOTS } from "../snapshots/snapshot-files.ts";
import { NodeRefused } from "./ledger-node.ts";

export const NODE_NAME = "node";
/** For how long the folder may be held by a process that is just ending. */
const LOCK_PATIENCE_MS = 2_000;
const LOCK_RETRY_MS = 100;

export function makeFolder(path: string): void {
  try {
    makeFolders(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" || code === "ENOTDIR") throw new NodeRefused(`${path} is not a directory`);
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

/** The node's name among those that read one stream, made at its first start. Throws NodeRefused if it is none. */
export function nodeName(data: string): string {
  const path = join(data, NODE_NAME);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return newNodeName(data, path);
  }
  const name = text.trim();
  if (parseTransactionId(name) === undefined)
    throw new NodeRefused(
      `${path} is empty or damaged: it must contain the name of this node, a UUID. Restore it (with an external NATS, ` +
        `"coffer queue nodes" lists the names), or delete the file: the node then generates a new name, and the old one ` +
        `must be removed with "coffer queue forget"`,
    );
  return name;
}

/** On disk before it is used: a node that forgets its name stays registered under it. */
function newNodeName(data: string, path: string): string {
  const name = crypto.randomUUID();
  const fd = openSync(`${path}.new`, "w", 0o640);
  try {
    writeFileSync(fd, `${name}\n`);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(`${path}.new`, path);
  syncFolder(data);
  return name;
}

/** Undefined where there can be none: then the node runs without. */
export function snapshotFolder(data: string, log: NodeLog): DiskFolder | undefined {
  const path = join(data, SNAPSHOTS);
  try {
    mkdirSync(path, { recursive: true, mode: 0o750 });
    return new DiskFolder(path);
  } catch (error) {
    log.warn(
      { event: "snapshot_folder_failed", error: String(error) },
      "cannot create the snapshot folder: no snapshots are taken",
    );
    return undefined;
  }
}

/** On the folder's disk; if it is gone, on the disk that it would be made on again. */
export function freeBytes(folder: string): number {
  let there = resolve(folder);
  while (!existsSync(there)) there = dirname(there);
  const { bavail, bsize } = statfsSync(there);
  return bavail * bsize;
}
