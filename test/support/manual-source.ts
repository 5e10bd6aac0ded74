/** Items that are put in by hand, for whoever takes them in batches; remembers for how long each was waited for. */

import type { BatchSource } from "../../src/batching/batch-consumer.ts";
import type { Clock } from "../../src/ports/clock.ts";

export class ManualSource<T> implements BatchSource<T> {
  readonly waits: number[] = [];
  readonly #items: T[] = [];
  #wake: ((there: boolean) => void) | undefined;

  constructor(private readonly clock: Clock) {}

  put(...items: readonly T[]): void {
    this.#items.push(...items);
    this.wake();
  }

  /** Ends a wait although nothing may be there. */
  wake(): void {
    this.#wake?.(true);
  }

  take(): T | undefined {
    return this.#items.shift();
  }

  wait(timeoutMs: number): Promise<boolean> {
    this.waits.push(timeoutMs);
    if (this.#items.length > 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const cancel = this.clock.after(timeoutMs, () => this.#wake?.(false));
      this.#wake = (there) => {
        this.#wake = undefined;
        cancel();
        resolve(there);
      };
    });
  }
}
