import { SETTINGS } from "../config.ts";
import { DiskFolder } from "../eventlog/disk.ts";
import { lastCommands } from "../eventlog/lookup.ts";
import { LogMark } from "../eventlog/mark.ts";
import { DamagedLog, LOG_NAME } from "../eventlog/recovery.ts";
import { sealText } from "../gateway/seal-text.ts";
import { SEALS_NAME, type Seal } from "../ports/seals.ts";
import { loadRuntime } from "../runtime/load.ts";
import type { FileLock } from "../runtime/runtime.ts";
import { Sealer, SealsDoNotFit } from "../seals/sealer.ts";
import { type CliCommand, CommandFailed } from "./command.ts";
import { showProgress } from "./progress.ts";
import { readConfig } from "./read-config.ts";

const OPTIONS = ["data", "json"] as const;

/** A node holds the lock only while it writes. */
const LOCK_PATIENCE_MS = 5_000;
const LOCK_RETRY_MS = 50;

export const seal: CliCommand = {
  name: "seal",
  usage: "",
  help: "seals the log up to its mark and prints the newest seal: store it out of reach of anyone who can access the log",
  settings: OPTIONS,
  async run(args, env) {
    const { data, json } = readConfig(OPTIONS, args, env);
    const { newest, left } = await sealLog(data);
    if (json) {
      console.log(sealText(newest));
      return 0;
    }
    console.log(`seal     ${newest.seal}`);
    console.log(`ledger   ${newest.ledger_id}`);
    console.log(`covers   events up to ${newest.seq}, command ${newest.command}, byte ${newest.bytes}`);
    console.log(`hash     ${newest.hash}`);
    if (left > 0)
      console.log(`left out ${left} events after the mark, which a node advances about once a second`);
    return 0;
  },
};

interface Sealed {
  readonly newest: Seal;
  /** Events of whole commands that stand behind it. */
  readonly left: number;
}

async function sealLog(data: string): Promise<Sealed> {
  const reading = new DiskFolder(data, false);
  const log = reading.open(LOG_NAME, false);
  if (!log) throw new CommandFailed(`${reading.path(LOG_NAME)} does not exist`);
  const mark = LogMark.read(reading);
  if (!mark?.ledgerId)
    throw new CommandFailed(
      `${reading.path("events.mark")} has no position: start a node on this directory once`,
    );
  const folder = new DiskFolder(data);
  folder.open(SEALS_NAME, true)?.close(); // made by the lock, it would have other rights
  const lock = await takeLock(folder.path(SEALS_NAME));
  const progress = showProgress("sealing", mark.bytes);
  try {
    const sealer = await Sealer.open(folder, log, Number(SETTINGS.sealCommands.default));
    if (sealer.cut > 0)
      console.error(`${folder.path(SEALS_NAME)}: a torn end of ${sealer.cut} bytes was cut off`);
    do {
      while (sealer.read(mark.bytes));
      if (sealer.unsealed > 0) await sealer.seal(mark.ledgerId);
      progress.at(sealer.newest?.bytes ?? 0);
    } while ((sealer.newest?.bytes ?? 0) < mark.bytes);
    if (!sealer.newest) throw new CommandFailed(`${folder.path(LOG_NAME)} contains no command to seal`);
    const [, last] = lastCommands(log, log.size());
    return { newest: sealer.newest, left: Math.max(0, (last?.seq ?? 0) - sealer.newest.seq) };
  } catch (error) {
    if (error instanceof SealsDoNotFit || error instanceof DamagedLog) throw new CommandFailed(error.message);
    throw error;
  } finally {
    progress.end();
    lock.release();
    log.close();
  }
}

async function takeLock(path: string): Promise<FileLock> {
  const runtime = await loadRuntime();
  for (const until = performance.now() + LOCK_PATIENCE_MS; ; ) {
    const lock = runtime.lock(path);
    if (lock) return lock;
    if (performance.now() > until) throw new CommandFailed(`${path} is in use by another process`);
    await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_MS));
  }
}
