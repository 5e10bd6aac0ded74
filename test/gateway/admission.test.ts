/** How much is let in, by what outcomes tell of the speed at which it goes through. */

import { expect, test } from "bun:test";
import {
  Admission,
  LEAST_ROOM,
  MAX_WAIT_MS,
  MAX_WAITING_COMMANDS,
  mostWaiting,
  REQUEST_WEIGHT,
  STANDSTILL_MS,
} from "../../src/gateway/admission.ts";
import { MAX_FRAME_COMMANDS } from "../../src/wire/frame.ts";

const BATCH = 1_000;
/** For tests of time alone. */
const UNBOUNDED = Number.MAX_SAFE_INTEGER;
/** Far more than one machine carries. */
const MANY = 10_000;

/** A queue that takes `perMs` a millisecond, one batch behind the other, and is offered more than that for a while. */
function flood(perMs: number, seconds: number): { admission: Admission; longestMs: number; refused: number } {
  const admission = new Admission(UNBOUNDED);
  const waiting: { sentMs: number; waited: number }[] = [];
  let longestMs = 0;
  let refused = 0;
  let carried = 0;
  for (let nowMs = 1; nowMs <= seconds * 1_000; nowMs++) {
    for (carried += perMs; carried >= BATCH && waiting.length > 0; carried -= BATCH) {
      const { sentMs, waited } = waiting.shift() as (typeof waiting)[number];
      // The first seconds teach it how fast this queue is.
      if (nowMs > 5_000) longestMs = Math.max(longestMs, nowMs - sentMs);
      admission.came(waited, sentMs, nowMs);
      admission.leave(BATCH);
    }
    if (waiting.length === 0) carried = Math.min(carried, BATCH);
    for (let offered = 0; offered < perMs * 5; offered += BATCH) {
      if (admission.refusal(BATCH, nowMs) !== undefined) {
        refused++;
        continue;
      }
      admission.enter(BATCH, nowMs);
      waiting.push({ sentMs: nowMs, waited: admission.waiting });
    }
  }
  return { admission, longestMs, refused };
}

test.each([40, 100, 350, 2_000, 10_000])(
  "at five times what a queue carries, %i a millisecond, nobody waits much longer than may be",
  (perMs) => {
    const { admission, longestMs, refused } = flood(perMs, 10);
    expect(refused).toBeGreaterThan(0);
    expect(longestMs).toBeLessThan(Math.max(MAX_WAIT_MS * 1.5, LEAST_ROOM / perMs + 1));
    // It lets in what keeps the queue busy, and no less than eight whole batches.
    expect(admission.waiting).toBeGreaterThan(
      Math.max(LEAST_ROOM, perMs * MAX_WAIT_MS * 0.5) - 5 * perMs - BATCH,
    );
  },
);

test("whoever is alone is let in, however much it brings and however long nothing came", () => {
  const admission = new Admission(UNBOUNDED);
  expect(admission.refusal(Number.MAX_SAFE_INTEGER, 1e9)).toBeUndefined();
  admission.enter(1, 1e9);
  expect(admission.refusal(Number.MAX_SAFE_INTEGER, 1e9)).toBeDefined();
  admission.leave(1);
  expect(admission.refusal(1, 2e9)).toBeUndefined();
});

test("a queue that is slow because it is far away still gets eight whole batches at once", () => {
  const admission = new Admission(UNBOUNDED);
  let nowMs = 0;
  for (let turn = 0; turn < MANY; turn++) {
    admission.enter(9, nowMs);
    nowMs += 400;
    admission.came(9, nowMs - 400, nowMs);
    admission.leave(9);
  }
  admission.enter(1, nowMs);
  expect(admission.refusal(LEAST_ROOM - 1, nowMs)).toBeUndefined();
  expect(admission.refusal(LEAST_ROOM, nowMs)).toBeDefined();
});

test("in a standstill one is let in now and then, and who comes back opens the door again", () => {
  const admission = new Admission(UNBOUNDED);
  // This one never comes back.
  admission.enter(9, 0);
  let letIn = 0;
  const end = STANDSTILL_MS * 10;
  for (let nowMs = 1; nowMs <= end; nowMs++) {
    if (nowMs <= STANDSTILL_MS || admission.refusal(9, nowMs) !== undefined) continue;
    admission.enter(9, nowMs);
    letIn++;
  }
  expect(letIn).toBe(9);
  admission.came(18, end - 1, end);
  admission.leave(9);
  for (let at = 0; at < MANY; at++) {
    const nowMs = end + 1 + at * (STANDSTILL_MS + 1);
    expect(admission.refusal(9, nowMs)).toBeUndefined();
    admission.enter(9, nowMs);
    admission.came(18, nowMs, nowMs + 1);
    admission.leave(9);
  }
});

test("however fast outcomes come, no more waits than may", () => {
  const most = mostWaiting(1);
  const admission = new Admission(most);
  const batch = MAX_FRAME_COMMANDS + REQUEST_WEIGHT;
  admission.enter(batch, 0);
  // Far more goes through in a moment than may wait.
  for (let outcomes = 0; outcomes < 100; outcomes++) admission.came(1e9, 0, 1);
  let batches = 1;
  for (; admission.refusal(batch, 1) === undefined; batches++) admission.enter(batch, 1);
  expect(batches * MAX_FRAME_COMMANDS).toBe(MAX_WAITING_COMMANDS);
  expect(admission.refusal(1 + REQUEST_WEIGHT, 1)).toContain("as may wait");
  admission.leave(batch);
  expect(admission.refusal(batch, 1)).toBeUndefined();
});

test("gateways share what may wait in a node, and each admits a whole batch", () => {
  const batch = MAX_FRAME_COMMANDS + REQUEST_WEIGHT;
  for (let gateways = 1; gateways <= 64; gateways++) {
    const batches = mostWaiting(gateways) / batch;
    expect(Number.isInteger(batches) && batches >= 1).toBe(true);
    const commands = gateways * batches * MAX_FRAME_COMMANDS;
    expect(commands).toBeLessThanOrEqual(Math.max(MAX_WAITING_COMMANDS, gateways * MAX_FRAME_COMMANDS));
  }
});
