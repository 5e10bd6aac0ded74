/** Watches that no node says that it is ready while nothing that it is asked is decided. */

import { Violation } from "./auditor.ts";

/** A node may take so long to find out that it is not what it says. */
const PATIENCE_MS = 15_000;

export class ReadinessWatch {
  /** Since when the node has been ready and answered with nothing but 503 and 504; undefined where neither. */
  #uselessSinceMs: number | undefined;

  constructor(private readonly node: string) {}

  look(ready: boolean): void {
    if (!ready) this.#uselessSinceMs = undefined;
  }

  /** A caller was answered by a node that was `ready` then. */
  answered(decided: boolean, ready: boolean, nowMs: number): void {
    if (decided || !ready) {
      this.#uselessSinceMs = undefined;
      return;
    }
    this.#uselessSinceMs ??= nowMs;
    if (nowMs - this.#uselessSinceMs >= PATIENCE_MS)
      throw new Violation(`${this.node} has been ready for ${PATIENCE_MS} ms, and decided nothing`);
  }
}
