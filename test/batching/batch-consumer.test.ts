/** When a batch begins and ends, told by a clock that the tests move. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BatchConsumer, type BatchingOptions } from "../../src/batching/batch-consumer.ts";
import { ManualClock, quiet } from "../support/manual-clock.ts";
import { ManualSource } from "../support/manual-source.ts";
import "../../tools/harness/seed.ts";

const LONG_POLL_MS = 1_000;
const DATABASE_WRITER = {
  batchSize: 5,
  maxReadTimeoutMs: LONG_POLL_MS,
  batchingDelayMs: 30,
  maxBatchWaitMs: 200,
};

/** A consumer, and the batch that it is making: undefined until it is done. */
function start<T = string>(options: Partial<BatchingOptions<T>> = {}) {
  const clock = new ManualClock();
  const source = new ManualSource<T>(clock);
  const consumer = new BatchConsumer<T>(source, { ...DATABASE_WRITER, ...options }, clock);
  const made = {
    clock,
    source,
    batch: undefined as T[] | undefined,
    async next() {
      made.batch = undefined;
      void consumer.next().then((batch) => {
        made.batch = batch;
      });
      await quiet();
    },
  };
  return made;
}

describe("while nothing comes", () => {
  test("it reads with a long poll, again and again, and gives empty batches", async () => {
    const consumer = start();
    for (let round = 1; round <= 3; round++) {
      await consumer.next();
      await consumer.clock.advance(LONG_POLL_MS - 1);
      expect(consumer.batch).toBeUndefined();
      await consumer.clock.advance(1);
      expect(consumer.batch).toEqual([]);
      expect(consumer.source.waits).toEqual(new Array(round).fill(LONG_POLL_MS));
    }
    expect(consumer.clock.waiting).toBe(0);
  });

  test("being woken for nothing is an empty batch, not a wait without end", async () => {
    const consumer = start();
    await consumer.next();
    consumer.source.wake();
    await quiet();
    expect(consumer.batch).toEqual([]);
  });
});

describe("after the first item", () => {
  test("it reads with the short timeout, and silence ends the batch", async () => {
    const consumer = start();
    await consumer.next();
    await consumer.clock.advance(700);
    consumer.source.put("a");
    await consumer.clock.advance(29);
    expect(consumer.batch).toBeUndefined();
    await consumer.clock.advance(1);
    expect(consumer.batch).toEqual(["a"]);
    expect(consumer.source.waits).toEqual([LONG_POLL_MS, 30]);
  });

  test("what was there before it was asked begins the batch without a long poll", async () => {
    const consumer = start();
    consumer.source.put("a", "b");
    await consumer.next();
    await consumer.clock.advance(30);
    expect(consumer.batch).toEqual(["a", "b"]);
    expect(consumer.source.waits).toEqual([30]);
  });

  test("each further item begins the silence anew", async () => {
    const consumer = start();
    await consumer.next();
    for (const item of ["a", "b", "c"]) {
      consumer.source.put(item);
      await consumer.clock.advance(29);
      expect(consumer.batch).toBeUndefined();
    }
    await consumer.clock.advance(1);
    expect(consumer.batch).toEqual(["a", "b", "c"]);
  });

  test("being woken for nothing does not make it wait longer than the oldest item may", async () => {
    const consumer = start();
    await consumer.next();
    consumer.source.put("a");
    for (let ms = 0; ms < 199; ms++) {
      await consumer.clock.advance(1);
      consumer.source.wake();
    }
    expect(consumer.batch).toBeUndefined();
    await consumer.clock.advance(1);
    expect(consumer.batch).toEqual(["a"]);
  });
});

describe("a batch ends", () => {
  test("when it is full, at once; the rest waits for the next one", async () => {
    const consumer = start();
    consumer.source.put("a", "b", "c", "d", "e", "f", "g");
    await consumer.next();
    expect(consumer.batch).toEqual(["a", "b", "c", "d", "e"]);
    expect(consumer.source.waits).toEqual([]);
    await consumer.next();
    await consumer.clock.advance(30);
    expect(consumer.batch).toEqual(["f", "g"]);
  });

  test("when the item that fills it comes, without waiting for silence", async () => {
    const consumer = start();
    await consumer.next();
    consumer.source.put("a", "b", "c", "d");
    await consumer.clock.advance(29);
    consumer.source.put("e", "f");
    await quiet();
    expect(consumer.batch).toEqual(["a", "b", "c", "d", "e"]);
  });

  test("when its oldest item has waited long enough, although more keep coming", async () => {
    const consumer = start<number>({ batchSize: 1_000 });
    await consumer.next();
    consumer.source.put(0);
    for (let ms = 10; ms < 200; ms += 10) {
      await consumer.clock.advance(10);
      consumer.source.put(ms);
    }
    await consumer.clock.advance(9);
    expect(consumer.batch).toBeUndefined();
    await consumer.clock.advance(1);
    expect(consumer.batch).toEqual([
      0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 150, 160, 170, 180, 190,
    ]);
    // The last wait was only for what was left of the 200 ms.
    expect(consumer.source.waits.at(-1)).toBe(10);
  });

  test("and the consumer is back at its long poll", async () => {
    const consumer = start();
    consumer.source.put("a");
    await consumer.next();
    await consumer.clock.advance(30);
    await consumer.next();
    expect(consumer.source.waits).toEqual([30, LONG_POLL_MS]);
    await consumer.clock.advance(LONG_POLL_MS - 1);
    expect(consumer.batch).toBeUndefined();
  });
});

describe("with sizes", () => {
  const bytes = { batchSize: 10, sizeOf: (item: string) => item.length };

  test("a batch is full when the sizes of its items reach it", async () => {
    const consumer = start<string>(bytes);
    consumer.source.put("1234", "567", "890", "a");
    await consumer.next();
    expect(consumer.batch).toEqual(["1234", "567", "890"]);
  });

  test("the item that reaches it still belongs to it, however large it is", async () => {
    const consumer = start<string>(bytes);
    consumer.source.put("123456789", "x".repeat(1_000), "a");
    await consumer.next();
    expect(consumer.batch).toEqual(["123456789", "x".repeat(1_000)]);
  });
});

describe("with a delay of 0", () => {
  const engine = { batchingDelayMs: 0, maxBatchWaitMs: 0 };

  test("a batch is what is there", async () => {
    const consumer = start(engine);
    consumer.source.put("a", "b");
    await consumer.next();
    expect(consumer.batch).toEqual(["a", "b"]);
    expect(consumer.source.waits).toEqual([]);
  });

  test("the first item after a long poll is a batch at once", async () => {
    const consumer = start(engine);
    await consumer.next();
    consumer.source.put("a");
    await quiet();
    expect(consumer.batch).toEqual(["a"]);
    expect(consumer.source.waits).toEqual([LONG_POLL_MS]);
    expect(consumer.clock.waiting).toBe(0);
  });
});

test("whatever comes when, batches have every item once, in order, none too large and none too late", async () => {
  const arrivals = fc.array(
    fc.tuple(fc.oneof(fc.nat(40), fc.constant(0), fc.nat(1_500)), fc.integer({ min: 1, max: 4 })),
  );
  await fc.assert(
    fc.asyncProperty(arrivals, async (schedule) => {
      const consumer = start<{ readonly number: number; readonly atMs: number }>();
      const { clock, source } = consumer;
      let number = 0;
      let received = 0;
      const receive = () => {
        const batch = consumer.batch ?? [];
        expect(batch.length).toBeLessThanOrEqual(5);
        for (const item of batch) {
          expect(item.number).toBe(received++);
          expect(clock.nowMs() - item.atMs).toBeLessThanOrEqual(200);
        }
      };
      const pass = async (ms: number) => {
        for (let passed = 0; passed < ms; passed++) {
          await clock.advance(1);
          for (; consumer.batch; await consumer.next()) receive();
        }
      };
      await consumer.next();
      for (const [afterMs, items] of schedule) {
        await pass(afterMs);
        for (let item = 0; item < items; item++) source.put({ number: number++, atMs: clock.nowMs() });
      }
      await pass(200);
      expect(received).toBe(number);
    }),
    { numRuns: 25 },
  );
});

test.each<[string, Partial<BatchingOptions<string>>]>([
  ["a batch of nothing", { batchSize: 0 }],
  ["a size that is no number", { batchSize: Number.NaN }],
  ["a long poll of 0", { maxReadTimeoutMs: 0 }],
  ["a negative delay", { batchingDelayMs: -1 }],
  ["a delay that is no number", { batchingDelayMs: Number.NaN }],
  ["a delay longer than the longest wait", { batchingDelayMs: 201 }],
  ["a longest wait that is no number", { maxBatchWaitMs: Number.NaN }],
])("%s is refused at the start", (_, options) => {
  expect(() => start(options)).toThrow(RangeError);
});
