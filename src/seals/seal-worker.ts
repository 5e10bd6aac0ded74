/** Seals the log on a thread of its own. Started by seal-thread.ts. */

import { parentPort, workerData } from "node:worker_threads";
import { DiskFolder } from "../eventlog/disk.ts";
import { LOG_NAME } from "../eventlog/recovery.ts";
import { SEALS_NAME } from "../ports/seals.ts";
import { loadRuntime } from "../runtime/load.ts";
import { systemClock } from "../runtime/system-clock.ts";
import type { FromSealer, SealThreadData, ToSealer } from "./seal-thread.ts";
import { Sealing } from "./sealing.ts";

if (!parentPort) throw new TypeError("the sealer's thread is started by coffer serve");
const parent = parentPort;
const { data, sealCommands } = workerData as SealThreadData;
const runtime = await loadRuntime();
const folder = new DiskFolder(data);
const log = new DiskFolder(data, false).open(LOG_NAME, false);
if (!log) throw new Error(`${LOG_NAME} is not there`);

const sealing = new Sealing(
  {
    folder,
    log,
    clock: systemClock,
    lock: () => runtime.lock(folder.path(SEALS_NAME)),
    opened: (newest, cut) => tell({ type: "opened", newest, cut }),
    sealed: (newest) => tell({ type: "sealed", newest }),
    held: () => tell({ type: "held" }),
  },
  sealCommands,
);
parent.on("message", (_: ToSealer) => sealing.stop());
await sealing.run().catch((error) => {
  tell({ type: "halted", why: error instanceof Error ? error.message : String(error) });
});
tell({ type: "stopped" });

function tell(message: FromSealer): void {
  parent.postMessage(message);
}
