/** The engine's view of the thread that checks the older lines of the log. */

import { Worker } from "node:worker_threads";
import type { LogPosition } from "../ports/log-position.ts";

/** What the thread is started with: the ledger's folder, and up to where its log is checked. */
export interface LogCheckData {
  readonly data: string;
  readonly end: LogPosition;
}

/** Resolves with what is wrong with the lines; undefined where nothing is. Rejects where they cannot be read. */
export function checkLinesInThread(script: URL, data: LogCheckData): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(script, { workerData: data });
    worker.unref(); // a node that stops does not wait for it
    worker.on("message", (damage: string | undefined) => {
      resolve(damage);
      void worker.terminate();
    });
    worker.on("error", reject);
  });
}
