/** The engine's view of the thread that seals the log. Whatever happens to it, the wallet goes on. */

import { Worker } from "node:worker_threads";
import { unreachable } from "../domain/impossible-state.ts";
import type { NodeLog } from "../ports/node-log.ts";
import type { Seal } from "../ports/seals.ts";

/** What the thread is started with. */
export interface SealThreadData {
  readonly data: string;
  readonly sealCommands: number;
}

/** Seal what is on disk, and end. */
export interface ToSealer {
  readonly type: "stop";
}

export type FromSealer =
  | { readonly type: "opened"; readonly newest: Seal | undefined; readonly cut: number }
  | { readonly type: "sealed"; readonly newest: Seal }
  | { readonly type: "held" }
  | { readonly type: "halted"; readonly why: string }
  | { readonly type: "stopped" };

export class SealThread {
  readonly #worker: Worker;
  readonly #stopped = Promise.withResolvers<void>();
  #ending = false;
  newest: Seal | undefined;
  /** Nothing is sealed until the next start; the node's log says why. */
  halted = false;

  /** `isNew`: there was no log before this start. `sealed` hears of the newest seal. */
  constructor(
    script: URL,
    data: SealThreadData,
    private readonly isNew: boolean,
    private readonly log: NodeLog,
    private readonly sealed: (newest: Seal) => void,
  ) {
    this.#worker = new Worker(script, { workerData: data });
    this.#worker.on("message", (message: FromSealer) => this.#took(message));
    this.#worker.on("error", (error: Error) => this.#halt(error.stack ?? error.message));
    this.#worker.on("exit", (code) => this.#halt(`its thread has ended with ${code}`));
  }

  /** Resolves when all of the log that its mark has reached is sealed. */
  async stop(): Promise<void> {
    this.#worker.postMessage({ type: "stop" } satisfies ToSealer);
    await this.#stopped.promise;
  }

  async end(): Promise<void> {
    this.#ending = true;
    await this.#worker.terminate();
  }

  #took(message: FromSealer): void {
    switch (message.type) {
      case "opened":
        if (message.cut > 0)
          this.log.warn({ bytes: message.cut }, "events.seals had a torn end, which was cut");
        if (message.newest) this.#newest(message.newest);
        else if (!this.isNew)
          this.log.warn({}, "there are no seals: the log is sealed from its first line, as it stands now");
        return;
      case "sealed":
        this.#newest(message.newest);
        return;
      case "held":
        this.log.error({}, "another process has held events.seals for a minute: nothing is sealed meanwhile");
        return;
      case "halted":
        this.#halt(message.why);
        return;
      case "stopped":
        this.#stopped.resolve();
        return;
      default:
        unreachable(message);
    }
  }

  #newest(newest: Seal): void {
    this.newest = newest;
    this.sealed(newest);
  }

  #halt(why: string): void {
    this.#stopped.resolve();
    if (this.#ending || this.halted) return;
    this.halted = true;
    this.log.error({ error: why }, "nothing is sealed any more");
  }
}
