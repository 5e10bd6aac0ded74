/** Who may come in: it bounds the calls without an outcome, and knows when the last one has left. */

import { ClientClosed, Overloaded } from "./errors.ts";

export class Admission {
  #inside = 0;
  #closed = false;
  #emptied: (() => void)[] = [];

  constructor(private readonly maxInside: number) {}

  /** Counts a call in. Throws ClientClosed or Overloaded. */
  enter(): void {
    if (this.#closed) throw new ClientClosed("the client is closed");
    if (this.#inside >= this.maxInside)
      throw new Overloaded(`${this.maxInside} calls have no outcome yet, and no more may wait`);
    this.#inside++;
  }

  leave(): void {
    if (--this.#inside > 0) return;
    for (const emptied of this.#emptied.splice(0)) emptied();
  }

  /** Lets nobody in any more; resolves when the last one has left. */
  close(): Promise<void> {
    this.#closed = true;
    if (this.#inside === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#emptied.push(() => setTimeout(resolve)); // a turn later its caller has been told
    });
  }
}
