/**
 * Seals the log on a thread of its own, which reads events.log and its mark by itself: the engine's thread has
 * nothing to do with it. Started by seal-thread.ts.
 */

import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { DiskFolder } from "./eventlog/disk.ts";
import { LogMark } from "./eventlog/mark.ts";
import { LOG_NAME } from "./eventlog/recovery.ts";
import { SEALS_NAME } from "./eventlog/seal.ts";
import { Sealer } from "./eventlog/sealer.ts";
import type { LogPosition } from "./ports/log-position.ts";
import { loadRuntime } from "./runtime/runtime.ts";
import type { FromSealer, SealThreadData, ToSealer } from "./seal-thread.ts";

if (!parentPort) throw new TypeError("the sealer's thread is started by coffer serve");
const parent = parentPort;
const { data, sealCommands } = workerData as SealThreadData;

/** How often the mark is looked at. It moves about once a second. */
const LOOK_INTERVAL_MS = 1_000;
/** What is on disk is sealed after this at the latest, however few commands it is. */
const AT_LATEST_MS = 60_000;
/** The wallet has the first right to the cores: pauses, in times of what the work before took, while the log grows. */
const BUSY_REST = 24;
const QUIET_REST = 1;

const folder = new DiskFolder(data);
const log = new DiskFolder(data, false).open(LOG_NAME, false);
if (!log) throw new Error(`${LOG_NAME} is not there`);

let sealer: Sealer | undefined;
let mark: LogPosition | undefined;
let grows = false;
let lookedAtMs = Number.NEGATIVE_INFINITY;
/** Since when the oldest command that is not sealed has been read. */
let unsealedSinceMs = 0;
let stopping = false;
let wake = () => {};

parent.on("message", (_: ToSealer) => {
  stopping = true;
  lookedAtMs = Number.NEGATIVE_INFINITY;
  wake();
});

const runtime = await loadRuntime();

try {
  for (;;) {
    const startedMs = performance.now();
    const isLast = stopping;
    const worked = await work();
    if (!worked && isLast) break;
    const took = performance.now() - startedMs;
    const rest = worked ? took * (grows ? BUSY_REST : QUIET_REST) : LOOK_INTERVAL_MS;
    if (!stopping) await pause(rest);
  }
} catch (error) {
  tell({ type: "halted", why: error instanceof Error ? error.message : String(error) });
}
tell({ type: "stopped" });

/** Reads or seals a little; false where there is nothing to do. */
async function work(): Promise<boolean> {
  const hasLooked = look();
  if (!mark?.ledgerId) return false;
  if (hasLooked && sealer?.hasGrown()) sealer = undefined;
  if (!sealer) return await locked(open);
  const before = sealer.unsealed;
  if (sealer.read(mark.bytes)) {
    if (before === 0) unsealedSinceMs = performance.now();
    return true;
  }
  const isDue = stopping || performance.now() - unsealedSinceMs >= AT_LATEST_MS;
  if (!sealer.isFull && !(sealer.unsealed > 0 && isDue)) return false;
  return await locked(seal);
}

/** Looks at the mark, where that was long ago. */
function look(): boolean {
  const nowMs = performance.now();
  if (nowMs - lookedAtMs < LOOK_INTERVAL_MS) return false;
  lookedAtMs = nowMs;
  const found = LogMark.read(folder);
  grows = found !== undefined && mark !== undefined && found.bytes > mark.bytes;
  mark = found ?? mark; // one slot is whole at any time, unless somebody has removed it
  return true;
}

/** Does it while nobody else writes seals; false, without doing it, where somebody does. */
async function locked(run: () => Promise<void>): Promise<boolean> {
  if (!sealer) folder.open(SEALS_NAME, true)?.close(); // made by the lock, it would have other rights
  const lock = runtime.lock(join(data, SEALS_NAME));
  if (!lock) return false;
  try {
    await run();
    return true;
  } finally {
    lock.release();
  }
}

async function open(): Promise<void> {
  sealer = await Sealer.open(folder, log as NonNullable<typeof log>, sealCommands);
  tell({ type: "opened", newest: sealer.newest, cut: sealer.cut });
}

async function seal(): Promise<void> {
  const { ledgerId } = mark as LogPosition;
  if (await (sealer as Sealer).seal(ledgerId as string))
    tell({ type: "sealed", newest: (sealer as Sealer).newest as NonNullable<Sealer["newest"]> });
  else sealer = undefined;
}

function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, delayMs);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

function tell(message: FromSealer): void {
  parent.postMessage(message);
}
