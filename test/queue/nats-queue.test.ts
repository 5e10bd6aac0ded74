/**
 * What the queue does with frames and messages from session to session, exactly: the stream and its sessions
 * are fakes, time is moved by hand. With real servers the same is tested in the other files here.
 */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { commandText, EMPTY_LOG, type LogPosition } from "../../src/ports/log-position.ts";
import { NatsQueue, QueueRefused } from "../../src/queue/nats-queue.ts";
import type { NodePosition } from "../../src/queue/other-nodes.ts";
import { ledgerOpened } from "../support/ledger-specs.ts";
import { ManualClock, quiet } from "../support/manual-clock.ts";
import { type FakeSession, FakeStream } from "./fake-stream.ts";

const LEDGER_ID = ledgerOpened().ledger_id;
const OPENING = "opening";
const NOTHING = "nothing";

let stream: FakeStream;
let clock: ManualClock;
let queue: NatsQueue<FakeSession>;
let running: Promise<void>;
let log: LogPosition;
let executed: number;
let read: string[];
/** Whether the engine takes messages. */
let working: boolean;
let waiting: (() => void)[];
/** How often the queue was opened. */
let openings: number;
/** What is known of the ledger's nodes. */
let positions: NodePosition[];
/** How many frames were made, how many empty ones the queue made, and how often the server was said to hang. */
let frames: number;
let empties: number;
let hangs: number;
/** What the node's log says of stalls. */
let events: unknown[];

interface Flags {
  embedded?: boolean;
  remakeLostStream?: number;
  acceptGap?: string;
}

/** A log that ends with the only command of message `sequence`. */
function logAt(sequence: number): LogPosition {
  return { ...EMPTY_LOG, seq: 2 * sequence, sequence, index: 0, crc: 0xabc, ledgerId: LEDGER_ID };
}

/** Executes what the queue gives; every message but NOTHING writes to the log. */
async function engine(queueToRead: NatsQueue<FakeSession>): Promise<void> {
  for (;;) {
    const message = working ? queueToRead.take() : undefined;
    if (!message) {
      if (!(await queueToRead.wait(1_000)) && !queueToRead.state.open && stopped) return;
      await quiet();
      continue;
    }
    const text = Buffer.from(message.data).toString();
    read.push(`${message.sequence} ${text}`);
    if (text !== NOTHING && message.sequence > log.sequence) log = logAt(message.sequence);
    executed = message.sequence;
    for (const resolve of waiting.splice(0)) resolve();
  }
}
let stopped: boolean;

function begin({ embedded = false, remakeLostStream, acceptGap }: Flags = {}): void {
  queue = new NatsQueue<FakeSession>(
    {
      clock,
      witness: {
        settled: async (sequence) => {
          while (executed < sequence) await new Promise<void>((resolve) => waiting.push(resolve));
          return log;
        },
        holdsLast: ({ sequence, data }) =>
          sequence === log.sequence && Buffer.from(data).toString() === `command ${sequence}`,
      },
      connect: async (answered) => stream.connect(answered),
      newLedgerId: () => LEDGER_ID,
      openingFrame: () => Buffer.from(OPENING),
      nodePositions: async () => {
        stream.asked.push("positions");
        return positions;
      },
      lost: async (_, { sequence }) => {
        stream.asked.push(`lost ${sequence}`);
      },
      joined: async () => {
        stream.asked.push("joined");
      },
      stateChanged: () => {},
      emptyFrame: () => ({ origin: `empty ${++empties}`, bytes: Buffer.from(NOTHING) }),
      hangs: () => {
        hangs++;
      },
      opened: () => {
        openings++;
      },
      report: (_level, _message, facts) => {
        if (/stalled|answers/.test(facts.event)) events.push(facts.event);
      },
    },
    { embedded, remakeLostStream, acceptGap },
  );
  running = queue.run();
  running.catch(() => {});
  engine(queue).catch(() => {});
}

/** Lets everything happen that waits for nothing but a short pause. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await quiet();
  await clock.advance(60);
  for (let i = 0; i < 20; i++) await quiet();
}

beforeEach(() => {
  stream = new FakeStream();
  clock = new ManualClock();
  log = EMPTY_LOG;
  executed = 0;
  read = [];
  waiting = [];
  working = true;
  stopped = false;
  openings = 0;
  positions = [];
  frames = 0;
  empties = 0;
  hangs = 0;
  events = [];
});

afterEach(async () => {
  stopped = true;
  queue.stop();
  await clock.advance(10_000);
});

/** A frame of one command, under an origin of its own, and what its sender was told. */
function frame(origin: string, bytes = 10) {
  const told: string[] = [];
  return {
    gateway: 1,
    origin,
    number: ++frames,
    count: 1,
    bytes: new Uint8Array(bytes),
    told,
    refused: (why: string) => {
      told.push(`refused: ${why}`);
    },
  };
}

function fill(count: number): void {
  stream.state = { metadata: { ledger_id: LEDGER_ID }, firstSequence: 1, lastSequence: 0, fill: 0 };
  for (let sequence = 1; sequence <= count; sequence++) stream.store(`command ${sequence}`);
}

/** A running queue on a stream whose `count` commands are in the log. */
async function open(count = 5, flags: Flags = {}): Promise<void> {
  fill(count);
  begin(flags);
  await settle();
  expect(queue.state).toEqual({ open: true });
}

describe("a frame", () => {
  test("is refused at once while the queue is not open, with the reason", async () => {
    begin();
    const early = frame("early");
    queue.publish(early);
    expect(early.told).toEqual(["refused: connecting to the queue"]);
  });

  test("that the server refuses is refused at once, and never sent again", async () => {
    await open();
    const full = frame("full");
    queue.publish(full);
    stream.session.answer("full", "maximum bytes exceeded");
    expect(full.told).toEqual(["refused: the queue refused the command"]);
    await clock.advance(10_000);
    expect(stream.session.published.filter((id) => id === "full")).toHaveLength(1);
    stream.session.end("the connection failed");
    await settle();
    expect(stream.session.published).not.toContain("full");
    expect(full.told).toHaveLength(1);
  });

  test("without an answer is sent again under the same id, until it is settled", async () => {
    await open();
    const silent = frame("silent");
    queue.publish(silent);
    await clock.advance(1_900);
    expect(stream.session.published).toEqual(["silent"]);
    await clock.advance(700);
    expect([stream.session.published, silent.told]).toEqual([["silent", "silent"], []]);
    await clock.advance(2_600);
    expect(stream.session.published).toEqual(["silent", "silent", "silent"]);
    stream.session.answer("silent");
    queue.settle(silent, 1);
    await clock.advance(10_000);
    expect(stream.session.published).toHaveLength(3);
  });

  test("that was taken is not sent again in its session, but in the next: its stream may have lost it", async () => {
    await open();
    const taken = frame("taken");
    queue.publish(taken);
    stream.session.answer("taken");
    await clock.advance(10_000);
    expect(stream.session.published).toEqual(["taken"]);
    stream.session.end("the connection failed");
    await settle();
    expect([stream.session.published, taken.told]).toEqual([["taken"], []]);
  });

  test("that was sent twice and then refused may have been taken the first time: nobody is told", async () => {
    await open();
    const unsure = frame("unsure");
    queue.publish(unsure);
    await clock.advance(2_600);
    stream.session.answer("unsure", "maximum bytes exceeded");
    expect(unsure.told).toEqual([]);
    await clock.advance(10_000);
    expect(stream.session.published.filter((id) => id === "unsure")).toHaveLength(2);
  });

  test("that is answered with an error which leaves open whether it was taken is sent again until it is settled", async () => {
    await open();
    const doubted = frame("doubted");
    queue.publish(doubted);
    stream.session.answerUnknown("doubted", "store is closed");
    expect(doubted.told).toEqual([]);
    await clock.advance(2_600);
    stream.session.answerUnknown("doubted", "store is closed");
    await clock.advance(2_600);
    expect(stream.session.published).toEqual(["doubted", "doubted", "doubted"]);
    expect(doubted.told).toEqual([]);
    queue.settle(doubted, 1);
    await clock.advance(10_000);
    expect(stream.session.published.filter((id) => id === "doubted")).toHaveLength(3);
  });

  test("that was left open once is never refused, whatever is said to it later", async () => {
    await open();
    const [doubled, again] = [frame("doubled"), frame("again")];
    queue.publish(doubled);
    queue.publish(again);
    // One copy may reach two servers that both lead, or both think so.
    stream.session.answerUnknown("doubled", "store is closed");
    stream.session.answer("doubled", "maximum bytes exceeded");
    stream.session.answerUnknown("again", "store is closed");
    await clock.advance(2_600);
    stream.session.answer("again", "maximum bytes exceeded");
    await clock.advance(10_000);
    expect([...doubled.told, ...again.told]).toEqual([]);
  });

  test("is sent again only when the stream of the new session was looked at and read to its end", async () => {
    await open();
    queue.publish(frame("waiting"));
    stream.session.end("the connection failed");
    working = false;
    stream.store("command 6");
    stream.asked.length = 0;
    await settle();
    expect(stream.asked).toEqual(["positions", "stream", "message 5", "joined", "consume 6", "stream"]);
    const late = frame("late");
    queue.publish(late);
    expect(late.told[0]).toStartWith("refused: ");
    working = true;
    stream.session.arrive();
    await settle();
    expect(stream.asked.at(-1)).toBe("publish waiting");
    expect(read.at(-1)).toBe("6 command 6");
  });

  test("whose session ends while it is sent goes with the next one", async () => {
    await open();
    stream.session.over = true;
    const unlucky = frame("unlucky");
    queue.publish(unlucky);
    expect(unlucky.told).toEqual([]);
    stream.sessions[0]!.over = false;
    stream.session.end("the connection failed");
    await settle();
    expect([stream.session.published, unlucky.told]).toEqual([["unlucky"], []]);
  });

  test("that is settled while the queue is away is not sent again", async () => {
    await open();
    const settled = frame("settled");
    queue.publish(settled);
    queue.publish(frame("waiting"));
    stream.session.end("the connection failed");
    queue.settle(settled, 1);
    await settle();
    expect(stream.session.published).toEqual(["waiting"]);
  });

  test("is settled once, by an outcome of its gateway, number and count, and by no other", async () => {
    await open();
    const [sent, other] = [frame("sent"), { ...frame("another gateway's"), gateway: 2, number: 1 }];
    expect([sent.number, sent.count]).toEqual([1, 1]);
    queue.publish(sent);
    queue.publish(other);
    const wrong = [
      queue.settle({ gateway: 1, number: 2 }, 1),
      queue.settle({ gateway: 2, number: 2 }, 1),
      queue.settle({ gateway: 3, number: 1 }, 1),
      queue.settle(sent, 0),
      queue.settle(sent, 2),
    ];
    expect(wrong).toEqual(wrong.map(() => false));
    expect([queue.settle(sent, 1), queue.settle(sent, 1)]).toEqual([true, false]);
    queue.abandon(other);
    expect(queue.settle(other, 1)).toBe(false);
  });

  test("is not taken for another gateway's of the same number by its answer", async () => {
    await open();
    const [one, other] = [frame("one"), { ...frame("another gateway's"), gateway: 2, number: 1 }];
    queue.publish(one);
    queue.publish(other);
    stream.session.answer("another gateway's", "maximum bytes exceeded");
    expect([one.told, other.told.length]).toEqual([[], 1]);
    expect(queue.settle(other, 1)).toBe(false);
    expect(queue.settle(one, 1)).toBe(true);
  });

  test("too large for the server is refused, and one that was sent to another does not end the session", async () => {
    await open();
    const sent = frame("sent", 1_000);
    queue.publish(sent);
    stream.maxFrameBytes = 999;
    stream.session.end("the server is another");
    await settle();
    expect(queue.state).toEqual({ open: true });
    expect([stream.session.published, sent.told]).toEqual([[], []]);
    const large = frame("large", 1_000);
    queue.publish(large);
    expect(large.told).toHaveLength(1);
    expect(large.told[0]).toStartWith("refused: ");
    queue.publish(frame("small", 999));
    expect(stream.session.published).toEqual(["small"]);
  });
});

describe("a stream that stores nothing", () => {
  const STALLED = { open: false, reason: "the queue is stalled: it does not store messages" } as const;

  test("is stalled when a frame has had no answer for 2 s, and opens the queue when it has stored it", async () => {
    await open();
    const waiting = frame("waiting");
    queue.publish(waiting);
    await clock.advance(1_900);
    expect(queue.state).toEqual({ open: true });
    await clock.advance(700);
    expect([queue.state, events]).toEqual([STALLED, ["queue_stalled"]]);
    const late = frame("late");
    queue.publish(late);
    expect([late.told, waiting.told]).toEqual([[`refused: ${STALLED.reason}`], []]);
    stream.session.answer("waiting");
    expect([queue.state, events]).toEqual([{ open: true }, ["queue_stalled", "queue_answers"]]);
    expect([openings, stream.sessions.length]).toEqual([1, 1]);
  });

  test("is not stalled while some frames are stored, however late the others", async () => {
    await open();
    for (let time = 1; time <= 10; time++) {
      queue.publish(frame(`lost ${time}`));
      queue.publish(frame(`stored ${time}`));
      await clock.advance(1_500);
      stream.session.answer(`stored ${time}`);
    }
    expect([queue.state, events]).toEqual([{ open: true }, []]);
  });

  test("gets its newest frame again every 2 s, also when no caller waits any more, and no other", async () => {
    await open();
    const [first, second, third] = [frame("first"), frame("second"), frame("third")];
    for (const sent of [first, second, third]) queue.publish(sent);
    await clock.advance(2_600);
    queue.settle(second, 1);
    for (const sent of [first, third]) queue.abandon(sent);
    stream.session.published.length = 0;
    await clock.advance(10_000);
    expect(stream.session.published).toEqual(["third", "third", "third", "third"]);
    stream.session.answer("third");
    expect(queue.state).toEqual({ open: true });
    await clock.advance(10_000);
    expect(stream.session.published).toHaveLength(4);
  });

  test("gets an empty frame where none is left, and must store it: an old one's duplicate proves nothing", async () => {
    await open();
    queue.publish(frame("old"));
    await clock.advance(2_600);
    stream.session.answer("old", undefined, { duplicate: true });
    expect(queue.state).toEqual(STALLED);
    await clock.advance(3_000);
    expect(stream.session.published.at(-1)).toBe("empty 1");
    stream.session.answer("empty 1");
    expect([queue.state, empties]).toEqual([{ open: true }, 1]);
  });

  test("that refuses every frame is stalled too, until it has stored an empty one", async () => {
    await open();
    const refused = frame("refused");
    queue.publish(refused);
    stream.session.answer("refused", "maximum bytes exceeded");
    expect([queue.state, refused.told.length]).toEqual([{ open: true }, 1]);
    for (let time = 1; time <= 12; time++) {
      await clock.advance(500);
      stream.session.answer(`empty ${empties}`, "maximum bytes exceeded");
    }
    expect([queue.state, events]).toEqual([STALLED, ["queue_stalled"]]);
    await clock.advance(2_000);
    stream.session.answer(`empty ${empties}`);
    expect([queue.state, events]).toEqual([{ open: true }, ["queue_stalled", "queue_answers"]]);
  });

  test("that refused one frame and stores the next is not", async () => {
    await open();
    queue.publish(frame("refused"));
    stream.session.answer("refused", "maximum bytes exceeded");
    await clock.advance(500);
    expect(stream.session.published.at(-1)).toBe("empty 1");
    stream.session.answer("empty 1");
    await clock.advance(10_000);
    expect([queue.state, events, empties]).toEqual([{ open: true }, [], 1]);
  });

  test("is stalled when it does not report its state, which an idle node asks for once a second", async () => {
    await open();
    stream.asked.length = 0;
    await clock.advance(10_000);
    expect(stream.asked).toEqual(new Array(10).fill("stream"));
    expect([queue.state, queue.stream]).toEqual([{ open: true }, stream.state]);
    stream.silent = true;
    await clock.advance(3_600);
    expect([queue.state, stream.session.published]).toEqual([STALLED, ["empty 1"]]);
    stream.silent = false;
    await clock.advance(3_000);
    expect(queue.state).toEqual(STALLED); // its state alone proves nothing
    stream.session.answer("empty 1");
    expect([queue.state, events]).toEqual([{ open: true }, ["queue_stalled", "queue_answers"]]);
  });

  test("is not taken for stalled by a node that was blocked itself", async () => {
    await open();
    queue.publish(frame("waiting"));
    clock.suspend(60_000);
    await clock.advance(600);
    expect(queue.state).toEqual({ open: true });
    stream.session.answer("waiting");
    await clock.advance(10_000);
    expect([queue.state, events]).toEqual([{ open: true }, []]);
  });

  test("is stalled in its next session too, until that has stored a frame", async () => {
    await open();
    const waiting = frame("waiting");
    queue.publish(waiting);
    await clock.advance(2_600);
    queue.abandon(waiting);
    stream.session.end("the connection failed");
    await settle();
    expect([queue.state, stream.session.published, openings]).toEqual([STALLED, ["waiting"], 1]);
    stream.session.answer("waiting");
    expect([queue.state, openings]).toEqual([{ open: true }, 2]);
  });

  test("and one that cannot be reached hang when there was no answer for 10 s", async () => {
    await open();
    await clock.advance(60_000);
    queue.publish(frame("waiting"));
    await clock.advance(9_900);
    expect(hangs).toBe(0);
    await clock.advance(700);
    expect(hangs).toBeGreaterThan(0);
    stream.session.answer("waiting");
    hangs = 0;
    await clock.advance(20_000);
    expect(hangs).toBe(0);

    stream.connect = () => {
      throw new Error("nobody is there");
    };
    stream.session.end("the connection failed");
    await clock.advance(9_900);
    expect(hangs).toBe(0);
    await clock.advance(700);
    expect(hangs).toBeGreaterThan(0);
  });

  test("does not hang while what it has is read to its end, however long that takes", async () => {
    await open();
    stream.session.end("the connection failed");
    working = false;
    stream.store("command 6");
    await settle();
    await clock.advance(60_000);
    expect([queue.state.open, hangs, events]).toEqual([false, 0, []]);
    working = true;
    stream.session.arrive();
    await settle();
    expect([queue.state, events]).toEqual([{ open: true }, []]);
  });
});

describe("messages", () => {
  test("a new ledger's stream is made, and opened behind nothing", async () => {
    begin();
    await settle();
    const first = ["positions", "stream", "create 1", "joined", "consume 1", "stream"];
    expect(stream.asked.slice(0, 6)).toEqual(first);
    expect(stream.asked).toContain("publish after 0");
    expect([read, queue.state]).toEqual([["1 opening"], { open: true }]);
    expect(stream.state?.metadata).toEqual({ ledger_id: LEDGER_ID });
  });

  test("a ledger is opened behind what is no command", async () => {
    stream.state = { metadata: { ledger_id: LEDGER_ID }, firstSequence: 1, lastSequence: 0, fill: 0 };
    stream.store(NOTHING);
    begin();
    await settle();
    expect(read).toEqual([`1 ${NOTHING}`, "2 opening"]);
    expect(queue.state).toEqual({ open: true });
  });

  test("after a start the last logged message is read once more, in the running node never", async () => {
    log = logAt(5);
    await open();
    expect(read).toEqual(["5 command 5"]);
    stream.store("command 6");
    stream.session.arrive();
    await settle();
    stream.session.end("the connection failed");
    await settle();
    stream.store("command 7");
    stream.session.arrive();
    await settle();
    expect(read).toEqual(["5 command 5", "6 command 6", "7 command 7"]);
  });

  test("one that is left out ends the session; the stream is judged again, and the gap refused", async () => {
    await open();
    for (const number of [6, 7, 8]) stream.store(`command ${number}`);
    stream.drop(7);
    stream.session.arrive();
    await settle();
    await expect(running).rejects.toThrow(QueueRefused);
    await expect(running).rejects.toThrow(/message 7 of the stream is missing.*--accept-gap/);
    expect(read.at(-1)).toBe("6 command 6");
  });

  test("and where just that gap is accepted at the start, the next ones are read", async () => {
    for (const acceptGap of ["6-7", "6-6"]) {
      stream = new FakeStream();
      [log, executed, read] = [logAt(5), 0, []];
      fill(5);
      for (const number of [6, 7, 8]) stream.store(`command ${number}`);
      stream.drop(6);
      begin({ acceptGap });
      await settle();
      if (acceptGap === "6-7") await expect(running).rejects.toThrow(/--accept-gap=6-6 /);
      else expect([read, queue.state.open]).toEqual([["5 command 5", "7 command 7", "8 command 8"], true]);
      queue.stop();
    }
  });

  test("the last ones that are deleted while the stream is read to its end are a gap", async () => {
    await open();
    stream.session.end("the connection failed");
    working = false;
    for (const number of [6, 7]) stream.store(`command ${number}`);
    await settle();
    stream.drop(6, 7);
    await clock.advance(1_100);
    await settle();
    await expect(running).rejects.toThrow(/--accept-gap/);
    expect(queue.state.open).toBe(false);
  });

  test("whose session ends while they are read do not open the queue", async () => {
    await open();
    stream.session.end("the connection failed");
    working = false;
    stream.store("command 6");
    await settle();
    stream.session.end("the connection failed again");
    await clock.advance(100);
    await settle();
    expect(stream.sessions).toHaveLength(3);
    expect(openings).toBe(1);
  });

  test("that take their time to be executed are waited for", async () => {
    await open();
    stream.session.end("the connection failed");
    working = false;
    stream.store("command 6");
    await settle();
    await clock.advance(30_000);
    expect(queue.state.open).toBe(false);
    expect(stream.sessions).toHaveLength(2);
    working = true;
    stream.session.arrive();
    await settle();
    expect(queue.state).toEqual({ open: true });
  });
});

describe("a stream that lost its tail", () => {
  const remade = { continues_command: "5.0", continues_crc: "00000abc", continues_at: "6" };

  test("is made anew behind the last message that was taken, where the server is the node's own", async () => {
    await open(5, { embedded: true });
    stream.drop(5);
    stream.state = { ...stream.state!, lastSequence: 4 };
    stream.session.end("the connection failed");
    await settle();
    expect(stream.asked.filter((asked) => /^(remove|create)/.test(asked))).toEqual(["remove", "create 6"]);
    expect(stream.state?.metadata).toEqual({ ledger_id: LEDGER_ID, ...remade });
    expect(queue.state).toEqual({ open: true });
    expect(stream.store("command 6")).toBe(6);
    stream.session.arrive();
    await settle();
    expect(read.slice(-2)).toEqual(["5 command 5", "6 command 6"]);
  });

  test.each([
    ["with other content", { data: Buffer.from("command X") }],
    ["of another time", { at: 7 }],
    ["of another length", { data: Buffer.from("command 55") }],
  ])("is known by the last message that was taken: one %s is not it", async (_, other) => {
    await open();
    stream.messages.set(5, { ...stream.messages.get(5)!, ...other });
    stream.session.end("the connection failed");
    await settle();
    await expect(running).rejects.toThrow(/message 5 of the stream differs/);
  });

  test("goes on behind the last message that was taken, also where that wrote nothing", async () => {
    await open(5, { embedded: true });
    stream.store(NOTHING);
    stream.session.arrive();
    await settle();
    stream.state = undefined;
    stream.session.end("the connection failed");
    await settle();
    expect(stream.state).toMatchObject({ metadata: { ...remade, continues_at: "7" }, firstSequence: 7 });
  });

  test("before anything was logged can be read by this node and by others", async () => {
    stream.state = { metadata: { ledger_id: LEDGER_ID }, firstSequence: 1, lastSequence: 0, fill: 0 };
    stream.store(NOTHING);
    stream.connect = ((connect) => (answered) => {
      const session = connect.call(stream, answered);
      // The first connection fails before the ledger can be opened.
      if (stream.sessions.length === 1)
        session.publishAfter = async () => {
          stream.state = undefined;
          session.end("the connection failed");
          throw new Error("the connection failed");
        };
      return session;
    })(stream.connect);
    begin({ embedded: true });
    await settle();
    expect(stream.state).toMatchObject({ metadata: { continues_command: commandText(EMPTY_LOG) } });
    expect([read, queue.state]).toEqual([[`1 ${NOTHING}`, "2 opening"], { open: true }]);

    const first = queue;
    [log, executed, read] = [EMPTY_LOG, 0, []];
    begin();
    await settle();
    expect([read, queue.state]).toEqual([["2 opening"], { open: true }]);
    first.stop();
  });

  test("is refused where other nodes may read it, with what to do about it", async () => {
    await open();
    stream.state = undefined;
    stream.session.end("the connection failed");
    await settle();
    await expect(running).rejects.toThrow(/--remake-lost-stream/);
    expect(stream.asked).not.toContain("create 6");
  });

  test("and is recreated there too by a start that names the end of the log", async () => {
    log = logAt(5);
    begin({ remakeLostStream: log.seq });
    await settle();
    expect(stream.state).toMatchObject({ metadata: remade, firstSequence: 6 });
    expect(queue.state).toEqual({ open: true });
  });

  test("but not by one that names another end, nor in a later session of the same process", async () => {
    log = logAt(5);
    begin({ remakeLostStream: log.seq - 1 });
    await settle();
    await expect(running).rejects.toThrow(`--remake-lost-stream=${log.seq} `);
    expect(stream.asked).toContain("lost 5");
    await open(5, { remakeLostStream: logAt(5).seq });
    stream.state = undefined;
    stream.session.end("the connection failed");
    await settle();
    await expect(running).rejects.toThrow(/--remake-lost-stream=10 /);
    expect(stream.state).toBeUndefined();
  });

  test("that went to another ledger is made anew by its own node, and refused by all others", async () => {
    for (const embedded of [true, false]) {
      stream = new FakeStream();
      [log, executed, read] = [EMPTY_LOG, 0, []];
      await open(5, { embedded, remakeLostStream: logAt(5).seq });
      stream.state = { ...stream.state!, metadata: { ledger_id: "another" } };
      stream.session.end("the connection failed");
      await settle();
      if (embedded) expect(stream.state).toMatchObject({ metadata: { ledger_id: LEDGER_ID, ...remade } });
      else await expect(running).rejects.toThrow(/belongs to ledger another/);
      queue.stop();
    }
  });
});

describe("a stream that ends before what another node has logged", () => {
  const another = (sequence: number): NodePosition => ({ node: "another", sequence });
  const REFUSED =
    /node another has logged commands up to message 7, .* ends at 5.*coffer queue forget another/;

  test("is refused at the start, and nothing is consumed or published", async () => {
    positions = [another(6), another(7)];
    log = logAt(5);
    fill(5);
    begin();
    await settle();
    await expect(running).rejects.toThrow(QueueRefused);
    await expect(running).rejects.toThrow(REFUSED);
    expect(stream.asked).toEqual(["positions", "stream", "message 5"]);
  });

  test("is refused at a reconnect, with what waits for an answer unsent", async () => {
    await open();
    queue.publish(frame("waiting"));
    positions = [another(7)];
    stream.session.end("the connection failed");
    stream.asked.length = 0;
    await settle();
    await expect(running).rejects.toThrow(REFUSED);
    expect(stream.asked).toEqual(["positions", "stream", "message 5"]);
  });

  test("is not made where there is none, nor recreated from a shorter log", async () => {
    positions = [another(7)];
    begin();
    await settle();
    await expect(running).rejects.toThrow(/another has logged commands up to message 7.*ends at 0/);
    log = logAt(5);
    begin({ remakeLostStream: log.seq });
    await settle();
    await expect(running).rejects.toThrow(REFUSED);
    expect(stream.state).toBeUndefined();
  });

  test("is recreated from the log of the node that has most", async () => {
    positions = [another(7)];
    log = logAt(7);
    begin({ remakeLostStream: log.seq });
    await settle();
    expect([stream.state?.firstSequence, queue.state.open]).toEqual([8, true]);
  });

  test("is not one whose nodes have read it to its end", async () => {
    positions = [another(5), another(0)];
    await open();
    expect(queue.state).toEqual({ open: true });
  });
});

describe("a stop", () => {
  test("while the stream is being looked at ends the queue, which does not open any more", async () => {
    const held = Promise.withResolvers<void>();
    stream.connect = ((connect) => (answered) => {
      const session = connect.call(stream, answered);
      const look = session.stream.bind(session);
      session.stream = async () => {
        await held.promise;
        return look();
      };
      return session;
    })(stream.connect);
    begin();
    await settle();
    queue.stop();
    held.resolve();
    await settle();
    await running;
    expect(queue.state).toEqual({ open: false, reason: "the node is stopping" });
    expect(stream.asked).toEqual(["positions"]);
  });

  test("while the stream is read to its end does not wait for it", async () => {
    await open();
    stream.session.end("the connection failed");
    working = false;
    stream.store("command 6");
    await settle();
    queue.stop();
    await running;
    expect(queue.state.open).toBe(false);
  });

  test("during the pause before the next connection does not wait for it", async () => {
    await open();
    stream.session.end("the connection failed");
    for (let i = 0; i < 5; i++) await quiet();
    queue.stop();
    await running;
    expect(stream.sessions).toHaveLength(1);
  });
});
