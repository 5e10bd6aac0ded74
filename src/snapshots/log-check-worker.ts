/** Checks the older lines of the log on a thread of its own. Started by log-check-thread.ts. */

import { parentPort, workerData } from "node:worker_threads";
import { checkLines } from "../eventlog/check-lines.ts";
import { DiskFolder } from "../eventlog/disk.ts";
import { LOG_NAME } from "../eventlog/recovery.ts";
import type { LogCheckData } from "./log-check-thread.ts";

if (!parentPort) throw new TypeError("the log's check is started by coffer serve");
const { data, end } = workerData as LogCheckData;
const folder = new DiskFolder(data, false);
const file = folder.open(LOG_NAME, false);
if (!file) throw new Error(`${LOG_NAME} is not there`);
parentPort.postMessage(await checkLines(file, folder.path(LOG_NAME), end));
file.close();
