/**
 * What is found when a node looks at its stream, and what it concludes: every row of the table in
 * stream-check.ts. A wrong `continue` loses or doubles commands; a wrong `lost` throws away those that wait.
 */

import { describe, expect, test } from "bun:test";
import { parseTransactionId, type TransactionId } from "../../src/domain/names.ts";
import { EMPTY_LOG, type LogPosition } from "../../src/ports/log-position.ts";
import { judgeStream, type StreamFacts, type Verdict } from "../../src/queue/stream-check.ts";

const LEDGER = parseTransactionId("0190b5c0-0000-7000-8000-000000000001") as TransactionId;
const ANOTHER = "0190b5c0-0000-7000-8000-000000000002";

/** A log whose last command is number 3 of message 10. */
const LOG: LogPosition = {
  seq: 40,
  bytes: 9_000,
  sequence: 10,
  index: 3,
  crc: 0x0bcfe0bf,
  at: 1_795_243_425_437,
  ledgerId: LEDGER,
};

/** A stream that holds the messages `first` to `last` of the ledger. */
function stream(
  first: number,
  last: number,
  more: Partial<StreamFacts> & Pick<StreamFacts, "holdsLastKnown">,
): StreamFacts {
  return {
    metadata: { ledger_id: LEDGER },
    firstSequence: first,
    lastSequence: last,
    firstAfterKnown: undefined,
    ...more,
  };
}

/** The metadata of a stream that was made anew with the number `at`, behind `command` and `crc`. */
function continuing(at: number, command = "10.3", crc = "0bcfe0bf", ledger_id: string = LEDGER) {
  return {
    ledger_id,
    continues_command: command,
    continues_crc: crc,
    continues_at: String(at),
  };
}

type Case = readonly [
  name: string,
  found: { stream: StreamFacts | undefined; log?: LogPosition; taken?: number },
  verdict: Pick<Verdict, "do"> & { next?: number },
];

function judged(cases: readonly Case[]): void {
  for (const [name, { stream: facts, log = LOG, taken }, verdict] of cases) {
    test(name, () => {
      expect(judgeStream({ stream: facts, log, taken })).toMatchObject(verdict);
    });
  }
}

const held = { holdsLastKnown: true };
const notHeld = { holdsLastKnown: false };

describe("a new ledger", () => {
  judged([
    ["makes a stream where there is none", { stream: undefined, log: EMPTY_LOG }, { do: "create" }],
    [
      "joins a stream that another node has just made",
      { stream: stream(0, 0, notHeld), log: EMPTY_LOG },
      { do: "continue", next: 1 },
    ],
    [
      "reads a whole stream from its first message",
      { stream: stream(1, 90, { ...notHeld, firstAfterKnown: 1 }), log: EMPTY_LOG },
      { do: "continue", next: 1 },
    ],
    [
      "cannot begin with a stream whose first messages are purged",
      { stream: stream(5, 90, { ...notHeld, firstAfterKnown: 5 }), log: EMPTY_LOG },
      { do: "refuse" },
    ],
    [
      "cannot begin with a stream that was emptied",
      { stream: stream(91, 90, notHeld), log: EMPTY_LOG },
      { do: "refuse" },
    ],
    [
      "cannot begin with a stream that continues another node's log",
      { stream: stream(11, 10, { ...notHeld, metadata: continuing(11) }), log: EMPTY_LOG },
      { do: "refuse" },
    ],
    [
      "joins a stream that was made anew before anything was logged",
      {
        stream: stream(3, 3, {
          ...notHeld,
          firstAfterKnown: 3,
          metadata: continuing(3, "0.-1", "00000000"),
        }),
        log: EMPTY_LOG,
      },
      { do: "continue", next: 3 },
    ],
    [
      "does not take a stream that has no ledger",
      { stream: stream(1, 4, { ...notHeld, firstAfterKnown: 1, metadata: {} }), log: EMPTY_LOG },
      { do: "another", next: 1 },
    ],
    [
      "whose first messages were no commands finds the last of them where it was",
      { stream: stream(1, 4, held), log: EMPTY_LOG, taken: 4 },
      { do: "continue", next: 5 },
    ],
    [
      "whose first messages were no commands has lost its stream as well",
      { stream: undefined, log: EMPTY_LOG, taken: 4 },
      { do: "lost", next: 5 },
    ],
  ]);
});

describe("after a start", () => {
  judged([
    [
      "the last logged message is read again: it may hold more commands",
      { stream: stream(1, 10, held) },
      { do: "continue", next: 10 },
    ],
    [
      "and so it is where others wait behind it",
      { stream: stream(7, 25, { ...held, firstAfterKnown: 11 }) },
      { do: "continue", next: 10 },
    ],
    [
      "it is enough that the stream begins with it",
      { stream: stream(10, 25, { ...held, firstAfterKnown: 11 }) },
      { do: "continue", next: 10 },
    ],
    ["a stream that is gone is lost", { stream: undefined }, { do: "lost", next: 11 }],
    [
      "a stream that was cut back before it is lost",
      { stream: stream(1, 9, notHeld) },
      { do: "lost", next: 11 },
    ],
    ["a stream that is new and empty is lost", { stream: stream(0, 0, notHeld) }, { do: "lost", next: 11 }],
    [
      "a stream that was cut back and filled again up to it is lost",
      { stream: stream(1, 10, notHeld) },
      { do: "lost", next: 11 },
    ],
    [
      "a stream that was cut back and filled again beyond it is lost, whatever its last number is",
      { stream: stream(1, 2_000, { ...notHeld, firstAfterKnown: 11 }) },
      { do: "lost", next: 11 },
    ],
    [
      "and so it is where messages behind the foreign one are missing",
      { stream: stream(1, 2_000, { ...notHeld, firstAfterKnown: 14 }) },
      { do: "lost", next: 11 },
    ],
    [
      "a stream from which just that message was deleted is lost",
      { stream: stream(1, 25, { ...notHeld, firstAfterKnown: 11 }) },
      { do: "lost", next: 11 },
    ],
    [
      "a stream that was emptied at that very place is lost: nothing proves that it is the same",
      { stream: stream(11, 10, notHeld) },
      { do: "lost", next: 11 },
    ],
    [
      "a stream that begins at the next message is lost for the same reason",
      { stream: stream(11, 25, { ...notHeld, firstAfterKnown: 11 }) },
      { do: "lost", next: 11 },
    ],
    [
      "a stream that has dropped the next message has a gap",
      { stream: stream(12, 25, { ...notHeld, firstAfterKnown: 12 }) },
      { do: "gap", next: 12 },
    ],
    [
      "a stream that was emptied behind the next message has a gap",
      { stream: stream(26, 25, notHeld) },
      { do: "gap", next: 26 },
    ],
    [
      "a message that was deleted behind it is a gap; what is left of it is read first",
      { stream: stream(1, 25, { ...held, firstAfterKnown: 12 }) },
      { do: "gap", next: 10 },
    ],
    [
      "a tail that was deleted behind it is a gap as well",
      { stream: stream(1, 25, held) },
      { do: "gap", next: 10 },
    ],
  ]);
});

describe("in a running node", () => {
  judged([
    [
      "the last message that was taken counts, not the last that was logged",
      { stream: stream(8, 14, held), taken: 14 },
      { do: "continue", next: 15 },
    ],
    [
      "it is never taken a second time",
      { stream: stream(1, 10, held), taken: 10 },
      { do: "continue", next: 11 },
    ],
    [
      "messages that came meanwhile are next",
      { stream: stream(8, 20, { ...held, firstAfterKnown: 15 }), taken: 14 },
      { do: "continue", next: 15 },
    ],
    [
      "a stream that still holds the last logged message, but not the last taken one, is lost",
      { stream: stream(1, 12, notHeld), taken: 14 },
      { do: "lost", next: 15 },
    ],
    ["a stream that is gone is lost", { stream: undefined, taken: 14 }, { do: "lost", next: 15 }],
    [
      "a message that was deleted behind it is a gap, and is passed over if that is accepted",
      { stream: stream(8, 20, { ...held, firstAfterKnown: 17 }), taken: 14 },
      { do: "gap", next: 17 },
    ],
    [
      "a tail that was deleted behind it is a gap up to what comes next",
      { stream: stream(8, 20, held), taken: 14 },
      { do: "gap", next: 21 },
    ],
    [
      "a stream that has dropped what comes next has a gap",
      { stream: stream(20, 30, { ...notHeld, firstAfterKnown: 20 }), taken: 14 },
      { do: "gap", next: 20 },
    ],
  ]);
});

describe("a stream that was made anew", () => {
  judged([
    [
      "is continued from its first number after a start",
      { stream: stream(15, 14, { ...notHeld, metadata: continuing(15) }) },
      { do: "continue", next: 15 },
    ],
    [
      "is continued by the node that made it and lost the connection right after",
      { stream: stream(15, 14, { ...notHeld, metadata: continuing(15) }), taken: 14 },
      { do: "continue", next: 15 },
    ],
    [
      "is read from its first number where nothing of it was logged",
      { stream: stream(15, 18, { ...notHeld, firstAfterKnown: 15, metadata: continuing(15) }) },
      { do: "continue", next: 15 },
    ],
    [
      "is not read from its first number again by a node that has taken more",
      {
        stream: stream(15, 18, { ...held, firstAfterKnown: 18, metadata: continuing(15) }),
        taken: 17,
      },
      { do: "continue", next: 18 },
    ],
    [
      "and loses its tail again is lost again",
      { stream: stream(15, 16, { ...notHeld, metadata: continuing(15) }), taken: 17 },
      { do: "lost", next: 18 },
    ],
    [
      "and is gone past its first message has a gap",
      { stream: stream(17, 20, { ...notHeld, firstAfterKnown: 17, metadata: continuing(15) }) },
      { do: "gap", next: 17 },
    ],
    [
      "and was emptied past its first message has a gap",
      { stream: stream(21, 20, { ...notHeld, metadata: continuing(15) }) },
      { do: "gap", next: 21 },
    ],
    [
      "behind another command does not continue this log",
      { stream: stream(11, 10, { ...notHeld, metadata: continuing(11, "10.2") }) },
      { do: "lost", next: 11 },
    ],
    [
      "behind another crc does not continue this log",
      { stream: stream(11, 10, { ...notHeld, metadata: continuing(11, "10.3", "0bcfe0be") }) },
      { do: "lost", next: 11 },
    ],
    [
      "behind a later command leaves a gap: another node has decided more",
      { stream: stream(13, 12, { ...notHeld, metadata: continuing(13, "12.0", "11111111") }) },
      { do: "gap", next: 13 },
    ],
    [
      "behind an earlier command, where another node had decided less, is lost to this one",
      {
        stream: stream(8, 30, {
          ...notHeld,
          firstAfterKnown: 11,
          metadata: continuing(8, "7.0", "11111111"),
        }),
      },
      { do: "lost", next: 11 },
    ],
    [
      "with a number that is none proves nothing",
      {
        stream: stream(15, 14, { ...notHeld, metadata: { ...continuing(15), continues_at: "soon" } }),
        taken: 14,
      },
      { do: "lost", next: 15 },
    ],
    [
      "by another ledger is another, even behind the same command and crc",
      { stream: stream(11, 10, { ...notHeld, metadata: continuing(11, "10.3", "0bcfe0bf", ANOTHER) }) },
      { do: "another", next: 11 },
    ],
  ]);
});

describe("the stream of another ledger", () => {
  judged([
    [
      "is refused, even where it holds the same message",
      { stream: stream(1, 10, { ...held, metadata: { ledger_id: ANOTHER } }) },
      { do: "another", next: 11 },
    ],
    [
      "is refused under a running node",
      { stream: stream(1, 20, { ...held, metadata: { ledger_id: ANOTHER } }), taken: 14 },
      { do: "another", next: 15 },
    ],
    [
      "and a stream of none are the same",
      { stream: stream(1, 10, { ...held, metadata: {} }) },
      { do: "another", next: 11 },
    ],
  ]);
});
