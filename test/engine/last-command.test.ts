/** Whether a message of the queue holds the command that the log says was its last. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Command, OpenAccount, Transfer } from "../../src/domain/commands/commands.ts";
import type { WalletEvent } from "../../src/domain/events.ts";
import { holdsCommand } from "../../src/engine/last-command.ts";
import { WalletEngine } from "../../src/engine/wallet-engine.ts";
import type { QueueMessage } from "../../src/ports/command-queue.ts";
import { EMPTY_LOG, type LogPosition } from "../../src/ports/log-position.ts";
import { foreign, frame, json } from "../support/command-streams.ts";
import {
  accountOpened,
  currency,
  deposit,
  id,
  ledgerOpened,
  MAX,
  openAccount,
  openLedger,
  transfer,
  withdraw,
} from "../support/ledger-specs.ts";
import { FIRST_AT } from "../support/log-files.ts";
import "../../tools/harness/seed.ts";

const USD = currency("USD");
const one = { id: id(1) };

const PAID = transfer("alice", "bob", 20, one);
const COMMANDS: Readonly<Record<string, Transfer | OpenAccount>> = {
  "a transfer": PAID,
  "a transfer that was rejected": transfer("alice", "bob", 500, one),
  "a deposit": deposit("alice", 2n ** 53n + 1n, one),
  "a withdrawal": withdraw("alice", 7, { ...one, currency: "EUR" }),
  "an opening": openAccount("carol", 9, one),
  "an opening with nothing": openAccount("carol", 0, one),
  "an opening that was rejected": openAccount("carol", MAX, one),
};

/** The events that the command writes in a ledger where alice has 100. */
function eventsOf(command: Command): readonly WalletEvent[] {
  const engine = new WalletEngine();
  if (command.kind === "open_ledger") return engine.execute(command);
  for (const event of [
    ledgerOpened(),
    accountOpened("alice", 100),
    accountOpened("alice", 100, { currency: "EUR" }),
  ])
    engine.apply([event]);
  return engine.execute(command);
}

const POSITION: LogPosition = { ...EMPTY_LOG, seq: 9, sequence: 4, index: 1, at: FIRST_AT };

function message(data: Uint8Array, more: Partial<QueueMessage> = {}): QueueMessage {
  return { sequence: 4, at: FIRST_AT, data, ...more };
}

describe("a message holds the command that was logged last", () => {
  test.each(Object.entries(COMMANDS))("%s, in a gateway's frame", (_, command) => {
    const data = frame([deposit("x", 1), command, deposit("y", 1)]);
    expect(holdsCommand(message(data), POSITION, eventsOf(command), USD)).toBe(true);
  });

  test("a transfer, in JSON of an outside client", () => {
    const data = json(
      [foreign(deposit("x", 1)), foreign(PAID)].map((fields) => ({ ...fields, from_account: "alice" })),
    );
    expect(holdsCommand(message(data), POSITION, eventsOf(PAID), USD)).toBe(true);
    const alone = json({ ...foreign(PAID), currency: undefined });
    expect(holdsCommand(message(alone), { ...POSITION, index: 0 }, eventsOf(PAID), USD)).toBe(true);
  });

  test("the ledger's opening", () => {
    const opening = openLedger({ strict: true, currency: "EUR" });
    expect(
      holdsCommand(
        message(frame([deposit("x", 1, { currency: "EUR" }), opening])),
        POSITION,
        eventsOf(opening),
        USD,
      ),
    ).toBe(true);
  });

  test("where its time on the stream is before the log's, for that never runs backwards", () => {
    expect(
      holdsCommand(message(frame([PAID, PAID]), { at: FIRST_AT - 1 }), POSITION, eventsOf(PAID), USD),
    ).toBe(true);
  });
});

describe("a message does not hold the command that was logged last", () => {
  const events = eventsOf(PAID);
  const other = { ...one, id: id(2) };

  test.each<[string, Uint8Array]>([
    ["another id", frame([PAID, transfer("alice", "bob", 20, other)])],
    ["another amount", frame([PAID, transfer("alice", "bob", 21, one)])],
    ["another payer", frame([PAID, transfer("carol", "bob", 20, one)])],
    ["another receiver", frame([PAID, transfer("alice", "carol", 20, one)])],
    ["another currency", frame([PAID, transfer("alice", "bob", 20, { ...one, currency: "EUR" })])],
    ["another kind", frame([PAID, deposit("bob", 20, one)])],
    ["an opening", frame([PAID, openAccount("bob", 20, one)])],
    ["the command at another place", frame([PAID])],
    ["nothing", new Uint8Array()],
    ["half of a frame", frame([PAID, PAID]).subarray(0, 80)],
    ["what is no command", json("{}")],
  ])("with %s", (_, data) => {
    expect(holdsCommand(message(data), POSITION, events, USD)).toBe(false);
  });

  test("with another number on the stream, or a later time than the log's", () => {
    const data = frame([PAID, PAID]);
    expect(holdsCommand(message(data), POSITION, events, USD)).toBe(true);
    expect(holdsCommand(message(data, { sequence: 5 }), POSITION, events, USD)).toBe(false);
    expect(holdsCommand(message(data, { at: FIRST_AT + 1 }), POSITION, events, USD)).toBe(false);
  });

  test("where the log says nothing", () => {
    expect(holdsCommand(message(frame([PAID, PAID])), POSITION, [], USD)).toBe(false);
  });

  test("with any one of the other commands", () => {
    for (const [name, logged] of Object.entries(COMMANDS)) {
      for (const [otherName, command] of Object.entries(COMMANDS)) {
        const held = holdsCommand(message(frame([PAID, command])), POSITION, eventsOf(logged), USD);
        if (held !== (name === otherName)) throw new Error(`${otherName} is taken for ${name}: ${held}`);
      }
    }
  });

  test("with any byte of it changed", () => {
    const data = frame([PAID, PAID]);
    fc.assert(
      fc.property(fc.nat(data.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const changed = data.slice();
        changed[at] = (changed[at] as number) ^ change;
        expect(holdsCommand(message(changed), POSITION, events, USD)).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
});
