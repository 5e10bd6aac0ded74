/** apply() asserts what execute() promises: events that cannot follow the ones before them are refused. */

import { describe, expect, test } from "bun:test";
import type { WalletEvent } from "../../src/domain/events.ts";
import { ImpossibleState } from "../../src/domain/impossible-state.ts";
import { REJECTIONS } from "../../src/domain/rejections.ts";
import { WalletEngine } from "../../src/engine/wallet-engine.ts";
import {
  accountOpened,
  deposit,
  failed,
  id,
  ledgerOpened,
  MAX,
  moneyCredited,
  moneyDeducted,
  moved,
  openAccount,
  transfer,
} from "../support/ledger-specs.ts";

const one = { id: id(1) };

/** Applies all but the last command, and returns what applying the last one does. An array is one command. */
function last(...past: readonly (WalletEvent | readonly WalletEvent[])[]): () => void {
  const engine = new WalletEngine();
  const commands = past.map((events) => [events].flat());
  for (const events of commands.slice(0, -1)) engine.apply(events);
  return () => engine.apply(commands.at(-1) as WalletEvent[]);
}

describe("impossible", () => {
  test.each<[string, (WalletEvent | WalletEvent[])[]]>([
    ["a ledger that begins with anything but its opening", [accountOpened("alice", 1)]],
    ["a ledger that is opened twice", [ledgerOpened(), ledgerOpened()]],
    ["a payer who goes below zero", [ledgerOpened(), accountOpened("alice", 1), moved("alice", "bob", 2)]],
    ["a payer who is not there", [ledgerOpened(), moved("alice", "bob", 1)]],
    ["a deduction alone", [ledgerOpened(), moneyDeducted("@world", 1)]],
    ["a credit without a deduction", [ledgerOpened(), moneyCredited("alice", 1)]],
    [
      "a deduction without its credit",
      [ledgerOpened(), [moneyDeducted("@world", 1), accountOpened("alice")]],
    ],
    ["a command without events", [ledgerOpened(), []]],
    [
      "a rejection between the two sides",
      [
        ledgerOpened(),
        [
          moneyDeducted("@world", 1, one),
          failed("insufficient_funds", transfer("alice", "bob", 1, one)),
          moneyCredited("bob", 1, one),
        ],
      ],
    ],
    ["two deductions", [ledgerOpened(), [moneyDeducted("@world", 1, one), moneyDeducted("@world", 1, one)]]],
    [
      "two transfers in one command",
      [ledgerOpened(), [...moved("@world", "alice", 1, one), ...moved("@world", "bob", 1, one)]],
    ],
    ["a credit before its deduction", [ledgerOpened(), [...moved("@world", "alice", 1, one)].reverse()]],
    [
      "a credit of another transaction",
      [ledgerOpened(), [moneyDeducted("@world", 1), moneyCredited("alice", 1)]],
    ],
    [
      "a credit of more than was deducted",
      [ledgerOpened(), [moneyDeducted("@world", 1, one), moneyCredited("alice", 2, one)]],
    ],
    [
      "a credit in another currency",
      [
        ledgerOpened(),
        [moneyDeducted("@world", 1, one), moneyCredited("alice", 1, { ...one, currency: "EUR" })],
      ],
    ],
    [
      "a payment to oneself",
      [
        ledgerOpened(),
        accountOpened("alice", 1),
        [moneyDeducted("alice", 1, one), moneyCredited("alice", 1, one)],
      ],
    ],
    ["an opening of @world", [ledgerOpened(), accountOpened("@world")]],
    [
      "an account that is opened twice",
      [ledgerOpened(), accountOpened("alice", 1), accountOpened("alice", 1)],
    ],
    [
      "an account that is opened after it was credited",
      [ledgerOpened(), moved("@world", "alice", 1), accountOpened("alice")],
    ],
    [
      "@world below -(2^63-1) by an opening",
      [ledgerOpened(), accountOpened("a", MAX), accountOpened("b", 1)],
    ],
    [
      "@world below -(2^63-1) by a deposit",
      [ledgerOpened(), accountOpened("a", MAX), moved("@world", "b", 1)],
    ],
    [
      "a credit to an account that strict mode does not know",
      [
        ledgerOpened({ strict: true }),
        accountOpened("alice", 1),
        [moneyDeducted("alice", 1, one), moneyCredited("new", 1, one)],
      ],
    ],
  ])("%s", (_, events) => {
    expect(last(...events)).toThrow(ImpossibleState);
  });

  test.each<[string, (WalletEvent | WalletEvent[])[]]>([
    ["commits again", [moved("@world", "alice", 1, one), moved("@world", "alice", 1, one)]],
    [
      "fails after it was committed",
      [moved("@world", "alice", 1, one), failed("insufficient_funds", transfer("bob", "alice", 1, one))],
    ],
    [
      "commits after it failed",
      [failed("insufficient_funds", transfer("bob", "alice", 1, one)), moved("@world", "alice", 1, one)],
    ],
    [
      "opens an account after it was committed",
      [moved("@world", "alice", 1, one), accountOpened("bob", 0, one)],
    ],
    ["opens two accounts", [accountOpened("alice", 0, one), accountOpened("bob", 0, one)]],
  ])("an id that was decided %s", (_, events) => {
    expect(last(ledgerOpened(), ...events)).toThrow(/twice/);
  });
});

describe("possible", () => {
  test.each<[string, (WalletEvent | WalletEvent[])[]]>([
    ["2^63-1 in one account", [accountOpened("alice", MAX)]],
    ["@world at -(2^63-1)", [moved("@world", "alice", MAX)]],
    ["a rejection for every reason", REJECTIONS.map((reason) => failed(reason, transfer("alice", "bob", 1)))],
    [
      "a rejected opening and a rejected deposit",
      [failed("balance_overflow", openAccount("alice", 1)), failed("balance_overflow", deposit("alice", 1))],
    ],
  ])("%s", (_, events) => {
    const engine = new WalletEngine();
    for (const command of [ledgerOpened(), ...events]) engine.apply([command].flat());
    expect(engine.ledger.seq).toBe(1 + events.flat().length);
  });
});
