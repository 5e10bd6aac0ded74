/**
 * Makes batches of a stream of items, with two timeouts.
 *
 * While nothing comes it reads with a long poll; after the first item with a short one. A batch ends when
 * it is full, after `batchingDelayMs` of silence, or `maxBatchWaitMs` after its first item, whichever is
 * first. With a delay of 0 it is whatever was there.
 */

/** Where items come from. */
export interface BatchSource<T> {
  /** The next item, if one is there now. */
  take(): T | undefined;
  /** Resolves true as soon as an item is there, false when none came within `timeoutMs`. */
  wait(timeoutMs: number): Promise<boolean>;
}

export interface BatchingOptions<T> {
  /** The size at which a batch is full. The item that reaches it still belongs to it. */
  readonly batchSize: number;
  readonly maxReadTimeoutMs: number;
  readonly batchingDelayMs: number;
  readonly maxBatchWaitMs: number;
  /** An item's part of `batchSize`; 1 unless told. */
  readonly sizeOf?: (item: T) => number;
}

export class BatchConsumer<T> {
  readonly #source: BatchSource<T>;
  readonly #options: BatchingOptions<T>;
  readonly #clock: { nowMs(): number };

  constructor(source: BatchSource<T>, options: BatchingOptions<T>, clock: { nowMs(): number }) {
    const { batchSize, maxReadTimeoutMs, batchingDelayMs, maxBatchWaitMs } = options;
    if (!(batchSize >= 1)) throw new RangeError("batchSize must be at least 1");
    if (!(maxReadTimeoutMs > 0)) throw new RangeError("maxReadTimeoutMs must be above 0");
    if (!(batchingDelayMs >= 0 && maxBatchWaitMs >= batchingDelayMs)) {
      throw new RangeError("batchingDelayMs must be at least 0 and at most maxBatchWaitMs");
    }
    this.#source = source;
    this.#options = options;
    this.#clock = clock;
  }

  /** The next batch; empty after a long poll in which nothing came. */
  async next(): Promise<T[]> {
    const batch: T[] = [];
    let room = this.#fill(batch, this.#options.batchSize);
    if (batch.length === 0) {
      if (!(await this.#source.wait(this.#options.maxReadTimeoutMs))) return batch;
      room = this.#fill(batch, room);
    }
    const { batchingDelayMs, maxBatchWaitMs } = this.#options;
    const endMs = this.#clock.nowMs() + maxBatchWaitMs;
    while (room > 0 && batch.length > 0) {
      const timeoutMs = Math.min(batchingDelayMs, endMs - this.#clock.nowMs());
      if (timeoutMs <= 0 || !(await this.#source.wait(timeoutMs))) break;
      room = this.#fill(batch, room);
    }
    return batch;
  }

  /** Takes what is there; returns the room that is left. */
  #fill(batch: T[], room: number): number {
    const { sizeOf } = this.#options;
    let left = room;
    while (left > 0) {
      const item = this.#source.take();
      if (item === undefined) break;
      batch.push(item);
      left -= sizeOf ? sizeOf(item) : 1;
    }
    return left;
  }
}
