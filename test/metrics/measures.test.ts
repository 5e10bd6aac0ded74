/** Histograms, and what gateways measure in shared memory. */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { GatewayMeasures } from "../../src/metrics/gateway-measures.ts";
import {
  ANSWER_TIMES,
  BYTES,
  DISK_TIMES,
  EXECUTION_TIMES,
  Histogram,
  LAGS,
  SIZES,
} from "../../src/metrics/histogram.ts";
import { watchLoop } from "../../src/metrics/loop-lag.ts";
import type { Clock } from "../../src/ports/clock.ts";
import { ROUTES } from "../../tools/harness/openapi.ts";
import { SEED } from "../../tools/harness/seed.ts";

test("bounds rise from the least to the most that is told apart", () => {
  const ends = [SIZES, BYTES, EXECUTION_TIMES, DISK_TIMES, ANSWER_TIMES, LAGS].map((bounds) => {
    expect([...bounds].sort((a, b) => a - b)).toEqual(bounds);
    expect(new Set(bounds).size).toBe(bounds.length);
    return [bounds[0], bounds.at(-1)];
  });
  expect(ends).toEqual([
    [1, 65_536],
    [256, 1 << 24],
    [1e-5, 1],
    [5e-5, 10],
    [1e-4, 30],
    [1e-3, 10],
  ]);
});

test("a histogram counts as its definition says: every value in all buckets whose bound it does not exceed", () => {
  const value = fc.oneof(fc.constantFrom(...SIZES, 0, 1e9), fc.double({ min: 0, max: 100_000, noNaN: true }));
  fc.assert(
    fc.property(fc.array(value), (values) => {
      const histogram = new Histogram(SIZES);
      for (const each of values) histogram.observe(each);
      const expected = [...SIZES, Number.POSITIVE_INFINITY].map((bound) => ({
        bound,
        count: values.filter((each) => each <= bound).length,
      }));
      expect(histogram.cumulative()).toEqual(expected);
      expect(histogram.sum).toBe(values.reduce((sum, each) => sum + each, 0));
    }),
    { seed: SEED },
  );
});

const GAUGES = { waitingCommands: 3, readModelLag: 4, heapBytes: 5, connections: 6, full: 1 };

test("what gateways measure is seen over the same memory, and adds up", () => {
  const gateways = [new GatewayMeasures(), new GatewayMeasures()];
  for (const [number, { memory }] of gateways.entries()) {
    const inItsThread = new GatewayMeasures(memory);
    const answered = inItsThread.of("/v1/wallet/transfer");
    for (let times = 0; times <= number; times++) answered(200, performance.now());
    answered(422, performance.now());
    inItsThread.of("/nowhere")(404, performance.now());
    inItsThread.loopLag.observe(0.5);
    inItsThread.tell({ ...GAUGES, waitingCommands: 3 + number });
  }
  const sum = GatewayMeasures.sum(gateways);
  expect(sum.answers().filter(({ count }) => count > 0)).toEqual([
    { path: "/v1/wallet/transfer", status: 200, count: 3 },
    { path: "/v1/wallet/transfer", status: 422, count: 2 },
    { path: "other", status: 404, count: 2 },
  ]);
  expect(sum.durations.get("transfer")?.cumulative().at(-1)?.count).toBe(5);
  expect(sum.durations.get("read")?.sum).toBe(0);
  expect(gateways[1]?.told).toEqual({ ...GAUGES, waitingCommands: 4 });
  expect(gateways[0]?.loopLag.cumulative().at(-1)?.count).toBe(1);
});

test("what should alarm is there before it happens", () => {
  const alarming = new GatewayMeasures().answers().filter(({ path }) => path === "/v1/wallet/transfer");
  expect(alarming.map(({ status, count }) => [status, count])).toEqual([
    [500, 0],
    [503, 0],
    [504, 0],
  ]);
});

test("every route is told apart", () => {
  const measured = ROUTES.map(({ path }) => path);
  expect(measured.length).toBeGreaterThan(5);
  for (const path of measured) {
    const measures = new GatewayMeasures();
    measures.of(path)(299, 0);
    expect(measures.answers().find(({ status }) => status === 299)?.path).toBe(path);
  }
});

test("a loop's lag is by how much its timer was late, and what it looks at with it", () => {
  let nowMs = 5_000;
  let due: (() => void) | undefined;
  const clock: Clock = {
    nowMs: () => nowMs,
    after: (delayMs, run) => {
      expect(delayMs).toBe(200);
      due = run;
      return () => {
        due = undefined;
      };
    },
    soon: () => {},
  };
  const lag = new Histogram(LAGS);
  let looks = 0;
  const stop = watchLoop(clock, lag, () => {
    looks++;
  });
  for (const lateMs of [0, 40]) {
    nowMs += 200 + lateMs;
    due?.();
  }
  expect([lag.sum, lag.cumulative().at(-1)?.count, looks]).toEqual([0.04, 2, 2]);
  stop();
  expect(due).toBeUndefined();
});
