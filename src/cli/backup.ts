import { existsSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { type BackedUp, backUp, NotABackup } from "../eventlog/backup.ts";
import { DiskFolder, syncFolder } from "../eventlog/disk.ts";
import { NewerFormat } from "../eventlog/line.ts";
import { LOCK_NAME } from "../eventlog/log-files.ts";
import { damageText, LOG_NAME } from "../eventlog/recovery.ts";
import { makeFolder, NODE_NAME, takeLock } from "../node/data-folder.ts";
import { NodeRefused } from "../node/ledger-node.ts";
import type { AppendFile } from "../ports/append-file.ts";
import { crcText } from "../ports/log-position.ts";
import { loadRuntime } from "../runtime/load.ts";
import { type CliCommand, CommandFailed } from "./command.ts";
import { type Progress, showProgress } from "./progress.ts";
import { readConfig, WrongSetting } from "./read-config.ts";

const SETTINGS = ["data", "to", "json"] as const;
/** What is mounted where, a line each, the place in its fifth field (proc(5)). */
const MOUNTS = "/proc/self/mountinfo";
/** Behind the name of a folder that is not a backup yet. */
const UNFINISHED = ".unfinished";

export const backup: CliCommand = {
  name: "backup",
  usage: "",
  help: [
    "copies the ledger from disk and verifies it, even while a node is running; extends an earlier",
    "backup by the changes since. To restore, copy DIR elsewhere, create keys there (they are not",
    "included), and run coffer serve --data COPY. Never run a node on DIR itself",
  ].join("\n"),
  settings: SETTINGS,
  async run(args, env) {
    const { data, to, json } = readConfig(SETTINGS, args, env);
    if (to === undefined) throw new WrongSetting("--to is required");
    const started = performance.now();
    const source = new DiskFolder(data, false);
    const log = source.open(LOG_NAME, false);
    if (!log) throw new CommandFailed(`${source.path(LOG_NAME)} does not exist`);
    const target = resolve(to);
    let done: BackedUp;
    try {
      done = isNew(data, target) ? await make(source, log, target) : await extend(source, log, target);
    } catch (error) {
      if (error instanceof NotABackup || error instanceof NodeRefused) throw new CommandFailed(error.message);
      if (error instanceof NewerFormat) throw new CommandFailed(`${source.path(LOG_NAME)}: ${error.message}`);
      throw error;
    } finally {
      log.close();
    }
    const { from, finding } = done;
    if (finding.state === "damaged") {
      console.error(damageText(source.path(LOG_NAME), finding.break));
      return 1;
    }
    const { seq, bytes, crc, ledgerId } = finding.position;
    const told = {
      ledger_id: ledgerId,
      events: seq,
      bytes,
      copied_bytes: bytes - from.bytes,
      crc: crcText(crc),
      seconds: Math.round(performance.now() - started) / 1_000,
    };
    if (json) console.log(JSON.stringify(told));
    else for (const [name, value] of Object.entries(told)) console.log(`${name.padEnd(14)}${value}`);
    return 0;
  },
};

/** Whether there is nothing at `target` yet. Throws CommandFailed where a backup must not be written there. */
function isNew(data: string, target: string): boolean {
  if (!existsSync(target)) return true;
  if (!statSync(target).isDirectory()) throw new CommandFailed(`${target} is not a directory`);
  const names = readdirSync(target);
  if (names.includes(LOG_NAME) && isSameFile(join(data, LOG_NAME), join(target, LOG_NAME)))
    throw new CommandFailed(`${target} contains the log of the ledger itself`);
  if (names.includes(NODE_NAME)) throw new CommandFailed(`${target} is a live ledger: a node has run on it`);
  if (names.length > 0 && !names.includes(LOG_NAME))
    throw new CommandFailed(`${target} is neither empty nor a backup`);
  if (names.length > 0) return false;
  // What is new is renamed into its place, and nothing can be in place of a mount point.
  if (isMountPoint(target))
    throw new CommandFailed(`${target} is a mount point: specify a directory below it`);
  return true;
}

/** One of the same file system (a bind mount) only Linux tells. */
function isMountPoint(path: string): boolean {
  if (statSync(path).dev !== statSync(dirname(path)).dev) return true;
  if (!existsSync(MOUNTS)) return false;
  const plain = (escaped: string) =>
    escaped.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
  const points = readFileSync(MOUNTS, "latin1")
    .split("\n")
    .map((line) => plain(line.split(" ")[4] ?? ""));
  return points.includes(Buffer.from(realpathSync(path)).toString("latin1"));
}

function isSameFile(a: string, b: string): boolean {
  const [one, other] = [statSync(a), statSync(b)];
  return one.dev === other.dev && one.ino === other.ino;
}

/** Until all of it is on disk it has another name. */
async function make(source: DiskFolder, log: AppendFile, target: string): Promise<BackedUp> {
  const unfinished = `${target}${UNFINISHED}`;
  makeFolder(unfinished);
  const lock = await takeLock(unfinished, await loadRuntime());
  let done: BackedUp | undefined;
  try {
    const folder = new DiskFolder(unfinished);
    // Of one that was interrupted.
    for (const name of folder.names()) if (name !== LOCK_NAME) folder.remove(name);
    done = await copy(source, log, folder);
    if (done.finding.state === "damaged") return done;
    renameSync(unfinished, target);
    syncFolder(dirname(target));
    return done;
  } finally {
    if (existsSync(unfinished)) rmSync(unfinished, { recursive: true });
    lock.release();
  }
}

async function extend(source: DiskFolder, log: AppendFile, target: string): Promise<BackedUp> {
  const lock = await takeLock(target, await loadRuntime());
  try {
    return await copy(source, log, new DiskFolder(target));
  } finally {
    lock.release();
  }
}

async function copy(source: DiskFolder, log: AppendFile, target: DiskFolder): Promise<BackedUp> {
  let progress: Progress | undefined;
  try {
    const done = await backUp(source, log, target, {
      begins: (from, to) => {
        const shown = showProgress("copying", to - from);
        progress = { at: (bytes) => shown.at(bytes - from), end: shown.end };
      },
      at: (bytes) => progress?.at(bytes),
    });
    if (done.finding.state === "new")
      throw new CommandFailed(`${source.path(LOG_NAME)} contains no ledger yet`);
    return done;
  } finally {
    progress?.end();
  }
}
