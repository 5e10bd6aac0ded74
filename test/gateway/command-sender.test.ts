/** The way from callers to the queue and back, with a queue that does what the test says. */

import { expect, test } from "bun:test";
import { type Money, ZERO } from "../../src/domain/amount.ts";
import type { Command } from "../../src/domain/commands.ts";
import type { Outcome } from "../../src/domain/outcomes.ts";
import { CommandSender, type Sent } from "../../src/gateway/command-sender.ts";
import type { CommandQueue, OutgoingFrame, QueueState } from "../../src/ports/command-queue.ts";
import type { FrameOutcome } from "../../src/ports/outcomes.ts";
import { CommandWriter, FRAME_HEADER_BYTES, MAX_COMMAND_BYTES, readFrame } from "../../src/wire/frame.ts";
import { currency, repeat, transfer } from "../support/ledger-specs.ts";
import { ManualClock, quiet } from "../support/manual-clock.ts";

const ORIGIN = new Uint8Array(16).fill(0xab);
const ORIGIN_TEXT = "ab".repeat(16);
const TIMEOUT_MS = 1_000;
/** Longer than the sender's pause between two looks at what waits. */
const SWEEP_MS = 100;

class Queue implements CommandQueue {
  state: QueueState = { open: true };
  maxFrameBytes = 1 << 20;
  readonly frames: OutgoingFrame[] = [];
  readonly settled: string[] = [];

  publish(frame: OutgoingFrame): void {
    this.frames.push(frame);
  }

  settle(id: string): void {
    this.settled.push(id);
  }
}

function setting({ maxWaitingCommands = 100, maxFrameBytes = 1 << 20 } = {}) {
  const queue = new Queue();
  queue.maxFrameBytes = maxFrameBytes;
  const clock = new ManualClock();
  let listener: (outcome: FrameOutcome) => void = () => {};
  const outcomes = {
    publish: (outcome: FrameOutcome) => listener(outcome),
    subscribe: (given: typeof listener) => {
      listener = given;
    },
  };
  const sender = new CommandSender(queue, outcomes, clock, {
    origin: ORIGIN,
    maxWaitingCommands,
    outcomeTimeoutMs: TIMEOUT_MS,
  });
  const send = (...commands: readonly Command[]): Promise<Sent> => {
    const writer = new CommandWriter();
    for (const command of commands) writer.add(command);
    return sender.send(writer.take());
  };
  /** The outcomes of the frame that was published as the `index`-th; `seq` is each command's amount. */
  const answer = (index: number, change: Partial<FrameOutcome> = {}, replayed = false) => {
    const { number, commands } = frame(index);
    const all = commands.map((command) =>
      committed("amount" in command ? Number(command.amount) : 0, replayed),
    );
    outcomes.publish({ origin: ORIGIN_TEXT, number, outcomes: all, ...change });
  };
  const frame = (index: number) => {
    const read = readFrame(queue.frames[index]?.bytes ?? new Uint8Array(), currency("USD"));
    if (!read) throw new Error(`no frame ${index}`);
    return read;
  };
  return { queue, clock, sender, send, answer, frame };
}

function committed(seq: number, replayed = false): Outcome {
  return { status: "committed", seq, replayed, from_balance: ZERO, to_balance: 1 as Money };
}

function pays(amount: number): Command {
  return transfer("alice", "bob", amount);
}

/** The seqs of what came to its end. */
function seqsOf(sent: Sent): number[] | string {
  return sent.state === "done" ? sent.outcomes.map(({ seq }) => seq) : sent.state;
}

test("commands of one turn travel in one frame, and each caller gets its own outcomes", async () => {
  const { queue, send, answer, frame, sender } = setting();
  const sent = [send(pays(1)), send(pays(2), pays(3)), send(pays(4))];
  expect(queue.frames).toEqual([]);
  await quiet();
  expect(queue.frames.map(({ id }) => id)).toEqual([`${ORIGIN_TEXT}-1`]);
  expect(frame(0)).toMatchObject({
    origin: ORIGIN_TEXT,
    number: 1,
    commands: [{ amount: 1 }, { amount: 2 }, { amount: 3 }, { amount: 4 }],
  });
  expect(sender.waiting).toBe(4);
  answer(0);
  expect((await Promise.all(sent)).map(seqsOf)).toEqual([[1], [2, 3], [4]]);
  expect(queue.settled).toEqual([`${ORIGIN_TEXT}-1`]);
  expect(sender.waiting).toBe(0);
});

test("commands of the next turn travel in a frame with the next number", async () => {
  const { send, answer, frame } = setting();
  const first = send(pays(1));
  await quiet();
  const second = send(pays(2));
  await quiet();
  expect([frame(0).number, frame(1).number]).toEqual([1, 2]);
  answer(1);
  expect(seqsOf(await second)).toEqual([2]);
  answer(0);
  expect(seqsOf(await first)).toEqual([1]);
});

test("an outcome of another origin, number or count is not ours", async () => {
  const { send, answer, sender } = setting();
  const sent = send(pays(1), pays(2));
  await quiet();
  answer(0, { origin: "cd".repeat(16) });
  answer(0, { number: 2 });
  answer(0, { outcomes: [committed(1)] });
  answer(0, { outcomes: repeat(3, committed) });
  answer(0, { outcomes: [] });
  expect(sender.waiting).toBe(2);
  answer(0);
  answer(0, { outcomes: repeat(2, () => committed(99)) });
  expect(seqsOf(await sent)).toEqual([1, 2]);
});

test("a request that fits into no frame is cut, and joined again in its order", async () => {
  const room = 3 * MAX_COMMAND_BYTES;
  const { queue, send, answer, frame } = setting({ maxFrameBytes: FRAME_HEADER_BYTES + room });
  const long = (amount: number) =>
    transfer("a".repeat(64), "b".repeat(64), amount, { currency: "ABCDEFGHIJKL" });
  const sent = [send(pays(1)), send(...repeat(7, (index) => long(index + 2))), send(pays(9))];
  await quiet();
  for (const { bytes } of queue.frames) expect(bytes.length).toBeLessThanOrEqual(queue.maxFrameBytes);
  const all = queue.frames.flatMap((_, index) =>
    frame(index).commands.map((command) => ("amount" in command ? command.amount : 0)),
  );
  expect<unknown>(all).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  for (let index = queue.frames.length - 1; index >= 0; index--) answer(index);
  expect((await Promise.all(sent)).map(seqsOf)).toEqual([[1], [2, 3, 4, 5, 6, 7, 8], [9]]);
});

test("where the queue refuses the frame nothing of it has entered; where it refuses a part nobody knows", async () => {
  const room = 2 * MAX_COMMAND_BYTES;
  const { queue, send, answer, sender } = setting({ maxFrameBytes: FRAME_HEADER_BYTES + room });
  const long = (amount: number) =>
    transfer("a".repeat(64), "b".repeat(64), amount, { currency: "ABCDEFGHIJKL" });
  const whole = send(long(1), long(2));
  await quiet();
  queue.frames[0]?.refused("the stream is full");
  expect(await whole).toEqual({ state: "unavailable", why: "the stream is full" });

  const both = send(...repeat(4, () => long(3)));
  await quiet();
  queue.frames[1]?.refused("full");
  queue.frames[2]?.refused("full");
  expect(seqsOf(await both)).toBe("unavailable");

  for (const order of ["refusal first", "outcome first"]) {
    const from = queue.frames.length;
    const part = send(...repeat(4, () => long(4)));
    await quiet();
    if (order === "refusal first") queue.frames[from]?.refused("full");
    answer(from + 1);
    if (order === "outcome first") queue.frames[from]?.refused("full");
    expect(seqsOf(await part)).toBe("unknown");
  }
  expect(sender.waiting).toBe(0);
});

test("a caller waits no longer than the outcome timeout, and what comes later is not ours any more", async () => {
  const { queue, clock, send, answer, sender } = setting();
  const early = send(pays(1));
  await clock.advance(TIMEOUT_MS / 2);
  const late = send(pays(2));
  await clock.advance(TIMEOUT_MS / 2 + SWEEP_MS);
  expect(seqsOf(await early)).toBe("unknown");
  expect(queue.settled).toEqual([`${ORIGIN_TEXT}-1`]);
  expect(sender.waiting).toBe(1);
  answer(0);
  queue.frames[0]?.refused("too late");
  answer(1);
  expect(seqsOf(await late)).toEqual([2]);
  expect(sender.waiting).toBe(0);
  expect(clock.waiting).toBe(0);
});

test("no more commands wait than may, those of this turn included", async () => {
  const { queue, send, answer } = setting({ maxWaitingCommands: 3 });
  const two = send(pays(1), pays(2));
  expect(seqsOf(await send(pays(3), pays(4)))).toBe("overloaded");
  const one = send(pays(5));
  expect(seqsOf(await send(pays(6)))).toBe("overloaded");
  await quiet();
  expect(seqsOf(await send(pays(7)))).toBe("overloaded");
  expect(queue.frames).toHaveLength(1);
  answer(0);
  expect((await Promise.all([two, one])).map(seqsOf)).toEqual([[1, 2], [5]]);
  const again = send(...repeat(3, () => pays(8)));
  await quiet();
  answer(1);
  expect(seqsOf(await again)).toEqual([8, 8, 8]);
});

test("while the queue is closed nothing is sent", async () => {
  const { queue, send } = setting();
  queue.state = { open: false, reason: "the queue is away" };
  expect(await send(pays(1))).toEqual({ state: "unavailable", why: "the queue is away" });
  queue.state = { open: true };
  queue.maxFrameBytes = FRAME_HEADER_BYTES + MAX_COMMAND_BYTES - 1;
  expect(seqsOf(await send(pays(1)))).toBe("unavailable");
  await quiet();
  expect(queue.frames).toEqual([]);
});

test("a frame that was sent twice reports the repeats that it finds as its own", async () => {
  const { queue, send, answer } = setting();
  const once = send(pays(1));
  await quiet();
  answer(0, {}, true);
  const twice = send(pays(2));
  await quiet();
  queue.frames[1]?.resent();
  answer(1, {}, true);
  const replayed = (await Promise.all([once, twice])).map(
    (sent) => sent.state === "done" && sent.outcomes[0]?.replayed,
  );
  expect(replayed).toEqual([true, false]);
});

test("at the end everybody who waits is told that nobody knows", async () => {
  const { send, sender, answer } = setting();
  const sent = [send(pays(1)), send(pays(2))];
  await quiet();
  let drained = false;
  const draining = sender.drained().then(() => {
    drained = true;
  });
  await quiet();
  expect(drained).toBe(false);
  const third = send(pays(3));
  await quiet();
  answer(1);
  expect(seqsOf(await third)).toEqual([3]);
  sender.close();
  expect((await Promise.all(sent)).map(seqsOf)).toEqual(["unknown", "unknown"]);
  await draining;
  await sender.drained();
});
