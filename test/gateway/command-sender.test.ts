/**
 * How callers get their outcomes, whatever becomes of the frames that carry their commands. The queue is a
 * fake that remembers frames; outcomes are said by hand.
 */

import { beforeEach, describe, expect, test } from "bun:test";
import type { Command } from "../../src/domain/commands/commands.ts";
import type { Outcome } from "../../src/domain/outcomes.ts";
import { REQUEST_WEIGHT, STANDSTILL_MS } from "../../src/gateway/admission.ts";
import { CommandSender, type Sent } from "../../src/gateway/command-sender.ts";
import type { FrameOutcome } from "../../src/ports/changes.ts";
import type { FrameListener, GatewayQueue, QueueState } from "../../src/ports/command-queue.ts";
import { CommandWriter, MAX_COMMAND_BYTES } from "../../src/wire/frame.ts";
import { type Frame, readFrame } from "../../src/wire/frame-reader.ts";
import { currency, transfer } from "../support/ledger-specs.ts";
import { ManualClock, quiet } from "../support/manual-clock.ts";

const ORIGIN = "00112233445566778899aabbccddeeff";
const OUTCOME_TIMEOUT_MS = 10_000;
/** Weighed: a request of as many commands as fit beside its own weight. */
const MOST_WAITING = 108;
const MAX_WAITING = MOST_WAITING - REQUEST_WEIGHT;

class FakeQueue implements GatewayQueue {
  state: QueueState = { open: true };
  maxFrameBytes = 1 << 20;
  readonly frames: { readonly number: number; readonly bytes: Uint8Array }[] = [];
  readonly abandoned: number[] = [];
  listener: FrameListener | undefined;

  publish(number: number, bytes: Uint8Array): void {
    this.frames.push({ number, bytes });
  }

  abandon(number: number): void {
    this.abandoned.push(number);
  }

  subscribe(listener: FrameListener): void {
    this.listener = listener;
  }

  /** Frame `index` was certainly not taken. */
  refuse(index: number, why: string): void {
    this.listener?.refused(this.read(index).number, why);
  }

  /** What stands in frame `index`. */
  read(index: number): Frame {
    const frame = this.frames[index];
    const read = frame && readFrame(frame.bytes, currency("USD"));
    if (!read) throw new Error(`there is no frame ${index}`);
    return read;
  }
}

let queue: FakeQueue;
let clock: ManualClock;
let sender: CommandSender;

beforeEach(() => {
  queue = new FakeQueue();
  clock = new ManualClock();
  sender = new CommandSender(queue, clock, {
    origin: Buffer.from(ORIGIN, "hex"),
    mostWaiting: MOST_WAITING,
    outcomeTimeoutMs: OUTCOME_TIMEOUT_MS,
  });
});

function committed(seq: number, more: { replayed?: boolean } = {}): Outcome {
  const balances = { from_balance: 0, to_balance: 0 } as Pick<
    Extract<Outcome, { status: "committed" }>,
    "from_balance" | "to_balance"
  >;
  return { status: "committed", seq, replayed: false, ...balances, ...more };
}

function outcomesOf(count: number, firstSeq = 1): Outcome[] {
  return Array.from({ length: count }, (_, index) => committed(firstSeq + index));
}

/** What became of a request so far; undefined while it waits. */
interface Caller {
  sent: Sent | undefined;
}

/** A caller that sends these commands. */
function send(...commands: Command[]): Caller {
  const writer = new CommandWriter();
  for (const command of commands) writer.add(command);
  const caller: Caller = { sent: undefined };
  void sender.send(writer.take()).then((sent) => {
    caller.sent = sent;
  });
  return caller;
}

const pay = (amount = 1) => transfer("alice", "bob", amount);
const pays = (count: number) => Array.from({ length: count }, () => pay());

function say(outcome: FrameOutcome): void {
  queue.listener?.decided(outcome);
}

/** Frame `index` of this gateway has come to these outcomes. */
async function decided(index: number, outcomes: readonly Outcome[]): Promise<void> {
  say({ number: queue.read(index).number, outcomes });
  await quiet();
}

describe("frames", () => {
  test("commands that arrive in one turn travel as one frame, and each caller gets its own outcomes", async () => {
    const [first, second, third] = [send(pay(1)), send(pay(2), pay(3)), send(pay(4))];
    await quiet();
    expect(queue.frames).toHaveLength(1);
    expect(queue.read(0).number).toBe(1);
    expect(queue.read(0).commands.map((command) => "amount" in command && Number(command.amount))).toEqual([
      1, 2, 3, 4,
    ]);
    await decided(0, outcomesOf(4, 11));
    expect(first.sent).toEqual({ state: "done", outcomes: outcomesOf(1, 11) });
    expect(second.sent).toEqual({ state: "done", outcomes: outcomesOf(2, 12) });
    expect(third.sent).toEqual({ state: "done", outcomes: outcomesOf(1, 14) });
    expect(queue.abandoned).toEqual([]);
  });

  test("every frame has the gateway's origin and a number of its own", async () => {
    for (let i = 0; i < 3; i++) {
      send(pay());
      await quiet();
      await decided(i, [committed(i + 1)]);
    }
    const origins = queue.frames.map(({ bytes }) => Buffer.from(bytes.subarray(4, 20)).toString("hex"));
    expect(origins).toEqual([ORIGIN, ORIGIN, ORIGIN]);
    expect(queue.frames.map(({ number }) => number)).toEqual([1, 2, 3]);
    expect([0, 1, 2].map((index) => queue.read(index).number)).toEqual([1, 2, 3]);
  });

  test("while two frames are on their way, requests are held for a moment, and travel together", async () => {
    for (let i = 0; i < 5; i++) {
      send(pay());
      await quiet();
    }
    expect(queue.frames).toHaveLength(2);
    await clock.advance(2);
    expect(queue.frames).toHaveLength(3);
    expect(queue.read(2).commands).toHaveLength(3);
  });

  test("requests that are held leave as soon as a frame comes back", async () => {
    for (let i = 0; i < 4; i++) {
      send(pay());
      await quiet();
    }
    await decided(0, [committed(1)]);
    expect(queue.frames).toHaveLength(3);
    expect(queue.read(2).commands).toHaveLength(2);
  });

  test("no frame is larger than the queue takes: a batch is split, and joined again in its order", async () => {
    queue.maxFrameBytes = 36 + 3 * MAX_COMMAND_BYTES;
    const commands = pays(40);
    const caller = send(...commands);
    await quiet();
    expect(queue.frames.length).toBeGreaterThan(2);
    for (const { bytes } of queue.frames) expect(bytes.length).toBeLessThanOrEqual(queue.maxFrameBytes);
    const read = queue.frames.map((_, index) => queue.read(index).commands);
    expect(read.flat()).toEqual(commands);
    const firstSeqs = read.map((_, index) => 1 + read.slice(0, index).flat().length);
    for (const index of read.keys().toArray().reverse()) {
      expect(caller.sent).toBeUndefined();
      await decided(index, outcomesOf(read[index]?.length ?? 0, firstSeqs[index]));
    }
    expect(caller.sent).toEqual({ state: "done", outcomes: outcomesOf(40) });
  });

  test("small requests fill a frame up to its bound, and go on in the next", async () => {
    queue.maxFrameBytes = 36 + MAX_COMMAND_BYTES;
    const callers = Array.from({ length: 9 }, () => send(pay()));
    await quiet();
    expect(queue.frames.length).toBeGreaterThan(1);
    for (const index of queue.frames.keys())
      await decided(index, outcomesOf(queue.read(index).commands.length));
    expect(callers.map(({ sent }) => sent?.state)).toEqual(Array(9).fill("done"));
  });

  test("a queue whose messages cannot hold one command takes none", async () => {
    queue.maxFrameBytes = MAX_COMMAND_BYTES;
    const caller = send(pay());
    await quiet();
    expect(caller.sent?.state).toBe("unavailable");
    expect(queue.frames).toEqual([]);
  });
});

describe("an outcome counts only for the frame that it is of", () => {
  let caller: Caller;

  beforeEach(async () => {
    caller = send(pay(), pay());
    await quiet();
  });

  const others: [string, FrameOutcome][] = [
    ["another number", { number: 2, outcomes: outcomesOf(2) }],
    ["a smaller count", { number: 1, outcomes: outcomesOf(1) }],
    ["a larger count", { number: 1, outcomes: outcomesOf(3) }],
    ["no outcomes", { number: 1, outcomes: [] }],
  ];
  test.each(others)("%s is dropped", async (_, outcome) => {
    say(outcome);
    await quiet();
    expect(caller.sent).toBeUndefined();
    expect(sender.waiting).toBe(2);
    await decided(0, outcomesOf(2));
    expect(caller.sent?.state).toBe("done");
  });

  test("a second outcome of the same frame is dropped, and is nobody else's", async () => {
    await decided(0, outcomesOf(2));
    const next = send(pay(), pay());
    await decided(0, outcomesOf(2, 50));
    await quiet();
    expect(next.sent).toBeUndefined();
    expect(caller.sent).toEqual({ state: "done", outcomes: outcomesOf(2) });
    expect(sender.waiting).toBe(2);
  });
});

test("a replay is reported as one, however long its frame was on its way", async () => {
  const [caller, other] = [send(pay()), send(pay())];
  await quiet();
  await clock.advance(OUTCOME_TIMEOUT_MS - 100);
  const rejected = { status: "rejected", seq: 9, reason: "insufficient_funds" } as const;
  await decided(0, [committed(5, { replayed: true }), { ...rejected, replayed: true }]);
  expect(caller.sent).toEqual({ state: "done", outcomes: [committed(5, { replayed: true })] });
  expect(other.sent).toEqual({ state: "done", outcomes: [{ ...rejected, replayed: true }] });
});

describe("what the queue refuses", () => {
  test("is unavailable at once, and nothing waits for it any more", async () => {
    const caller = send(pay());
    await quiet();
    queue.refuse(0, "maximum bytes exceeded");
    await quiet();
    expect(caller.sent).toEqual({ state: "unavailable", why: "maximum bytes exceeded" });
    expect(queue.abandoned).toEqual([]);
    expect(sender.waiting).toBe(0);
    expect(clock.waiting).toBe(0);
    await decided(0, outcomesOf(1));
    expect(caller.sent?.state).toBe("unavailable");
  });

  test("while it is closed nothing is put on it", async () => {
    queue.state = { open: false, reason: "the queue is unavailable" };
    const caller = send(pay());
    await quiet();
    expect(caller.sent).toEqual({ state: "unavailable", why: "the queue is unavailable" });
    expect(queue.frames).toEqual([]);
  });

  describe("of a batch that was split", () => {
    let caller: Caller;
    let counts: number[];

    beforeEach(async () => {
      queue.maxFrameBytes = 36 + 2 * MAX_COMMAND_BYTES;
      caller = send(...pays(12));
      await quiet();
      counts = queue.frames.map((_, index) => queue.read(index).commands.length);
      expect(counts.length).toBeGreaterThan(1);
    });

    const refuse = async (index: number) => {
      queue.refuse(index, "maximum bytes exceeded");
      await quiet();
    };

    test("every part: nothing of the batch entered", async () => {
      for (const index of counts.keys()) {
        expect(caller.sent).toBeUndefined();
        await refuse(index);
      }
      expect(caller.sent).toEqual({ state: "unavailable", why: "maximum bytes exceeded" });
    });

    test("one part, the others decided: the outcome of the batch is unknown", async () => {
      await refuse(0);
      for (let index = 1; index < counts.length; index++)
        await decided(index, outcomesOf(counts[index] ?? 0));
      expect(caller.sent?.state).toBe("unknown");
      expect(sender.waiting).toBe(0);
    });

    test("one part after the others were decided: it is unknown as well", async () => {
      for (let index = 1; index < counts.length; index++)
        await decided(index, outcomesOf(counts[index] ?? 0));
      expect(caller.sent).toBeUndefined();
      await refuse(0);
      expect(caller.sent?.state).toBe("unknown");
    });

    test("one part, no word of the others: it is unknown when the time is over", async () => {
      await refuse(0);
      await clock.advance(OUTCOME_TIMEOUT_MS - 100);
      expect(caller.sent).toBeUndefined();
      await clock.advance(1_000);
      expect(caller.sent?.state).toBe("unknown");
    });

    test("one part, after the others have run out of time: it is unknown", async () => {
      for (let index = 1; index < counts.length; index++)
        await decided(index, outcomesOf(counts[index] ?? 0));
      await clock.advance(OUTCOME_TIMEOUT_MS + 1_000);
      expect(caller.sent?.state).toBe("unknown");
      await refuse(0);
      expect(sender.waiting).toBe(0);
    });
  });
});

describe("what waits is bounded", () => {
  test("in time: a caller without an outcome is told that nobody knows", async () => {
    const caller = send(pay());
    await quiet();
    await clock.advance(OUTCOME_TIMEOUT_MS - 100);
    expect(caller.sent).toBeUndefined();
    await clock.advance(200);
    expect(caller.sent?.state).toBe("unknown");
    expect(queue.abandoned).toEqual([1]);
    expect([sender.waiting, clock.waiting]).toEqual([0, 0]);
    await decided(0, outcomesOf(1));
    expect(caller.sent?.state).toBe("unknown");
  });

  test("each from when it was sent, also where earlier ones had their outcome", async () => {
    const first = send(pay());
    await quiet();
    await clock.advance(400);
    const second = send(pay());
    await quiet();
    await clock.advance(9_000);
    await decided(0, outcomesOf(1));
    await clock.advance(900);
    expect([first.sent?.state, second.sent?.state]).toEqual(["done", undefined]);
    await clock.advance(200);
    expect(second.sent?.state).toBe("unknown");
  });

  test("in weight: what would be too much is refused, and makes room for nobody else", async () => {
    const waiting = send(...pays(MAX_WAITING - REQUEST_WEIGHT - 1));
    const tooMuch = send(pay(), pay());
    const fits = send(pay());
    const full = send(pay());
    await quiet();
    expect([waiting, tooMuch, fits, full].map(({ sent }) => sent?.state)).toEqual([
      undefined,
      "overloaded",
      undefined,
      "overloaded",
    ]);
    const count = MAX_WAITING - REQUEST_WEIGHT;
    expect(sender.waiting).toBe(count);
    expect(queue.read(0).commands).toHaveLength(count);
    await decided(0, outcomesOf(count));
    expect(sender.waiting).toBe(0);
    const later = send(pay());
    await quiet();
    await decided(1, outcomesOf(1));
    expect(later.sent?.state).toBe("done");
  });

  test("in weight: behind others who take all the room, who would fit alone is busy", async () => {
    expect(sender.busy(MAX_WAITING)).toBeUndefined();
    expect(sender.busy(1, MAX_WAITING)).toBeDefined();
  });

  test("in time: behind those to whom nothing comes back, nobody waits", async () => {
    const first = send(pay());
    await quiet();
    await clock.advance(STANDSTILL_MS);
    const second = send(pay());
    await quiet();
    await clock.advance(1);
    const third = send(pay());
    await quiet();
    expect([first, second, third].map(({ sent }) => sent?.state)).toEqual([
      undefined,
      undefined,
      "overloaded",
    ]);
    expect(sender.busy(1)).toBeDefined();
    await decided(0, outcomesOf(1));
    expect(sender.busy(1)).toBeUndefined();
    const fourth = send(pay());
    await quiet();
    await decided(1, outcomesOf(1));
    await decided(2, outcomesOf(1));
    expect([second.sent?.state, fourth.sent?.state]).toEqual(["done", "done"]);
  });

  test("room comes back from what was refused and from what ran out of time", async () => {
    for (let round = 0; round < 3; round++) {
      send(...pays(MAX_WAITING));
      await quiet();
      queue.refuse(queue.frames.length - 1, "full");
      send(...pays(MAX_WAITING));
      await quiet();
      await clock.advance(OUTCOME_TIMEOUT_MS + 1_000);
      expect(sender.waiting).toBe(0);
    }
  });
});

describe("at the end", () => {
  test("what waits is waited for", async () => {
    const caller = send(pay());
    let drained = false;
    void sender.drained().then(() => {
      drained = true;
    });
    await quiet();
    expect(drained).toBe(false);
    await decided(0, outcomesOf(1));
    expect([drained, caller.sent?.state]).toEqual([true, "done"]);
    await sender.drained();
  });

  test("whoever still waits is told that nobody knows", async () => {
    const callers = [send(pay()), send(pay(), pay())];
    await quiet();
    sender.close();
    await quiet();
    expect(callers.map(({ sent }) => sent?.state)).toEqual(["unknown", "unknown"]);
    expect([sender.waiting, clock.waiting]).toEqual([0, 0]);
  });
});
