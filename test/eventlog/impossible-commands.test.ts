/**
 * Commands that no writer writes, with a crc that fits: a bug, another version's log, or someone's hand. None of
 * them is a torn end, whether it stands before the mark, after it, or without one.
 */

import { describe, expect, test } from "bun:test";
import { EMPTY_LOG } from "../../src/ports/log-position.ts";
import { id } from "../support/ledger-specs.ts";
import { FIRST_AT, HandwrittenLog, markOf } from "../support/log-files.ts";
import { credited, deducted, expectRefused, OPENED } from "./refusals.ts";

const ALICE = { type: "AccountOpened", transaction_id: id(1), account: "alice", initial_balance: 100 };

type Fields = Readonly<Record<string, unknown>>;
interface Impossible {
  readonly events: readonly Fields[];
  readonly at?: number;
  readonly command?: `${number}.${number}`;
}

describe("a command whose crc fits, but that cannot be, is refused:", () => {
  test.each<[string, Impossible]>([
    ["an account below zero", { events: [deducted("alice", 2, 101), credited("bob", 2, 101)] }],
    ["a payer who is not there", { events: [deducted("eve", 2, 1), credited("bob", 2, 1)] }],
    ["a credit from nowhere", { events: [credited("eve", 2, 1_000_000)] }],
    ["a deduction to nowhere", { events: [deducted("alice", 2, 1)] }],
    ["a credit of more than was deducted", { events: [deducted("alice", 2, 1), credited("eve", 2, 2)] }],
    [
      "a credit in another currency",
      {
        events: [deducted("alice", 2, 1), { ...credited("eve", 2, 1), currency: "EUR" }],
      },
    ],
    ["a credit of another transaction", { events: [deducted("alice", 2, 1), credited("eve", 3, 1)] }],
    ["an id that was decided", { events: [deducted("alice", 1, 1), credited("bob", 1, 1)] }],
    ["an account that is open", { events: [{ ...ALICE, transaction_id: id(2) }] }],
    ["an opening of @world", { events: [{ ...ALICE, transaction_id: id(2), account: "@world" }] }],
    [
      "more than there can be",
      { events: [deducted("@world", 2, 2n ** 63n - 1n), credited("bob", 2, 2n ** 63n - 1n)] },
    ],
    ["a second opening of the ledger", { events: [OPENED] }],
    [
      "a type that this version does not know",
      { events: [{ ...deducted("alice", 2, 1), type: "MoneyPrinted" }] },
    ],
    [
      "a reason that this version does not know",
      {
        events: [
          {
            type: "TransactionFailed",
            transaction_id: id(2),
            from_account: "alice",
            reason: "bad_weather",
            kind: "transfer",
            to_account: "bob",
            amount: 1,
          },
        ],
      },
    ],
    ["an account's name that is none", { events: [deducted("alice", 2, 1), credited("b b", 2, 1)] }],
    ["an amount of 0", { events: [deducted("alice", 2, 0), credited("bob", 2, 0)] }],
    ["an amount of 2^63", { events: [deducted("@world", 2, 2n ** 63n), credited("bob", 2, 2n ** 63n)] }],
    [
      "an amount in the second line that is a text",
      {
        events: [deducted("alice", 2, 1), { ...credited("bob", 2, 1), amount: "1" }],
      },
    ],
    [
      "a transaction id in upper case",
      {
        events: [deducted("alice", 2, 1), credited("bob", 2, 1)].map((fields) => ({
          ...fields,
          transaction_id: "0190B5C0-0000-7000-8000-00000000000A",
        })),
      },
    ],
    ["a seq of its own", { events: [{ seq: 7, ...deducted("alice", 2, 1) }, credited("bob", 2, 1)] }],
    [
      "a command that comes before the one before it",
      {
        events: [deducted("alice", 2, 1), credited("bob", 2, 1)],
        command: "1.9",
      },
    ],
    ["the same command again", { events: [deducted("alice", 2, 1), credited("bob", 2, 1)], command: "2.0" }],
    [
      "a command that is none",
      { events: [deducted("alice", 2, 1), credited("bob", 2, 1)], command: "03.0" as "3.0" },
    ],
    [
      "a time before the one before it",
      {
        events: [deducted("alice", 2, 1), credited("bob", 2, 1)],
        at: FIRST_AT - 1,
      },
    ],
    [
      "a time with a fraction",
      { events: [deducted("alice", 2, 1), credited("bob", 2, 1)], at: FIRST_AT + 0.5 },
    ],
  ])("%s", async (_, { events, at = FIRST_AT, command = "3.0" }) => {
    const handwritten = new HandwrittenLog()
      .command([OPENED], FIRST_AT, "1.0")
      .command([ALICE], FIRST_AT, "2.0");
    const before = handwritten.end;
    handwritten.command(events, at, command);
    const inner = handwritten.text;
    for (const mark of [before, handwritten.end, undefined, EMPTY_LOG]) {
      const { line, byte } = await expectRefused({
        "events.log": inner,
        "events.mark": mark ? await markOf(mark) : "",
      });
      expect(line).toBeGreaterThan(before.seq);
      expect(line).toBeLessThanOrEqual(before.seq + events.length);
      expect(byte).toBe(
        inner
          .split("\n")
          .slice(0, line - 1)
          .join("\n").length + 1,
      );
    }
    // Also where it is followed by a torn end.
    await expectRefused({ "events.log": `${inner}{"seq":`, "events.mark": await markOf(before) });
  });

  test("a log that does not begin with its opening", async () => {
    const handwritten = new HandwrittenLog().command([{ ...ALICE, currency: "USD" }], FIRST_AT, "1.0");
    await expectRefused({ "events.log": handwritten.text });
  });
});
