/** Simulated time: what is to happen, in order; nothing happens by itself. */

import type { Clock } from "../../src/ports/clock.ts";

interface Happening {
  readonly atMs: number;
  readonly number: number;
  /** Whose it is; it goes with its owner. */
  readonly owner: object;
  readonly run: () => void;
}

export class SimulatedTime {
  #nowMs = 0;
  #number = 0;
  #happenings: Happening[] = [];

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Has `run` called after `delayMs`; the returned function takes it back. */
  after(owner: object, delayMs: number, run: () => void): () => void {
    const happening = { atMs: this.#nowMs + Math.max(0, delayMs), number: this.#number++, owner, run };
    let at = this.#happenings.length;
    while (at > 0 && (this.#happenings[at - 1] as Happening).atMs > happening.atMs) at--;
    this.#happenings.splice(at, 0, happening);
    return () => {
      this.#happenings = this.#happenings.filter((other) => other !== happening);
    };
  }

  /** Nothing of this owner happens any more. */
  forget(owner: object): void {
    this.#happenings = this.#happenings.filter((happening) => happening.owner !== owner);
  }

  /** Lets the next thing happen; false where nothing is left. */
  step(): boolean {
    const next = this.#happenings.shift();
    if (!next) return false;
    this.#nowMs = next.atMs;
    next.run();
    return true;
  }

  /** The clock of one owner. */
  clockOf(owner: object): Clock {
    return {
      nowMs: () => this.#nowMs,
      after: (delayMs, run) => this.after(owner, delayMs, run),
      soon: (run) => {
        this.after(owner, 0, run);
      },
    };
  }
}
