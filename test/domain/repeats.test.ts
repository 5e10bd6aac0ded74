/** The same transaction id again: with the same content it repeats its outcome, with other content it conflicts. */

import { describe, test } from "bun:test";
import type { Command } from "../../src/domain/commands/commands.ts";
import {
  accountOpened,
  balance,
  committed,
  count,
  deposit,
  events,
  failed,
  given,
  id,
  ledgerOpened,
  MAX,
  moved,
  nothing,
  openAccount,
  outcomes,
  repeat,
  transfer,
  withdraw,
} from "../support/ledger-specs.ts";

const one = { id: id(1) };

describe("the same id with the same content", () => {
  test("repeats a commit: its seq, today's balances, no event", () => {
    const first = transfer("alice", "bob", 20, one);
    given(accountOpened("alice", 100))
      .when(first, transfer("bob", "carol", 5), transfer("alice", "bob", 20, one))
      .then(
        count("MoneyDeducted", 2),
        balance("alice", 80),
        balance("bob", 15),
        outcomes(
          { status: "committed", seq: 4, replayed: false, from_balance: 80, to_balance: 20 } as object,
          { status: "committed", seq: 6 },
          { status: "committed", seq: 4, replayed: true, from_balance: 80, to_balance: 15 } as object,
        ),
      );
  });

  test("repeats a rejection, although it would go through today", () => {
    const command = transfer("alice", "bob", 20, one);
    given(accountOpened("alice", 10))
      .when(command, deposit("alice", 100), command)
      .then(
        count("TransactionFailed", 1),
        balance("alice", 110),
        outcomes(
          { status: "rejected", reason: "insufficient_funds", seq: 3, replayed: false },
          { status: "committed" },
          { status: "rejected", reason: "insufficient_funds", seq: 3, replayed: true },
        ),
      );
  });

  test("repeats a commit, although it would fail today", () => {
    const command = transfer("alice", "bob", 10, one);
    given(accountOpened("alice", 10))
      .when(command, command)
      .then(events(committed(command)), balance("alice", 0), balance("bob", 10));
  });

  test("fifty times is once", () => {
    given(accountOpened("alice", 100))
      .when(...repeat(50, () => transfer("alice", "bob", 1, one)))
      .then(count("MoneyDeducted", 1), count("MoneyCredited", 1), balance("alice", 99));
  });

  test("repeats deposits and withdrawals", () => {
    const [incoming, outgoing] = [deposit("alice", 9, one), withdraw("alice", 4, { id: id(2) })];
    given()
      .when(incoming, outgoing, incoming, outgoing)
      .then(
        events(committed(incoming), committed(outgoing)),
        balance("alice", 5),
        outcomes(
          { replayed: false },
          { replayed: false },
          { seq: 3, replayed: true },
          { seq: 5, replayed: true },
        ),
      );
  });

  test("repeats the opening of an account, with today's balance", () => {
    const opening = openAccount("alice", 100, one);
    given()
      .when(opening, transfer("alice", "bob", 30), opening)
      .then(
        count("AccountOpened", 1),
        outcomes({ status: "opened", seq: 2 }, {}, {
          status: "opened",
          seq: 2,
          replayed: true,
          existed: false,
          available: 70,
        } as object),
      );
  });

  test("repeats an opening that overflowed", () => {
    const opening = openAccount("bob", 2, one);
    given(accountOpened("alice", MAX - 1n))
      .when(opening, withdraw("alice", 100), opening)
      .then(
        count("TransactionFailed", 1),
        outcomes(
          { status: "rejected", seq: 3 },
          {},
          {
            status: "rejected",
            reason: "balance_overflow",
            seq: 3,
            replayed: true,
          },
        ),
      );
  });

  test("repeats what was decided before the process began, from the log alone", () => {
    const [paid, poor, opening] = [
      transfer("alice", "bob", 20, { id: id(10) }),
      transfer("alice", "bob", 500, { id: id(11) }),
      openAccount("dave", 5, { id: id(12) }),
    ];
    given(
      accountOpened("alice", 100),
      committed(paid),
      failed("insufficient_funds", poor),
      accountOpened("dave", 5, { id: id(12) }),
      moved("@world", "alice", 1_000),
    )
      .when(paid, poor, opening)
      .then(
        nothing,
        outcomes(
          { status: "committed", seq: 4, replayed: true },
          { status: "rejected", seq: 5, replayed: true },
          { status: "opened", seq: 6, replayed: true },
        ),
      );
  });
});

describe("the same id with other content", () => {
  const conflict = { status: "refused", reason: "transaction_id_conflict" } as const;
  const paid = transfer("alice", "bob", 20, one);
  const others: readonly [string, Command][] = [
    ["another payer", transfer("carol", "bob", 20, one)],
    ["another receiver", transfer("alice", "carol", 20, one)],
    ["the two sides exchanged", transfer("bob", "alice", 20, one)],
    ["another amount", transfer("alice", "bob", 21, one)],
    ["another currency", transfer("alice", "bob", 20, { ...one, currency: "EUR" })],
    ["a deposit", deposit("bob", 20, one)],
    ["a withdrawal", withdraw("alice", 20, one)],
    ["an opening", openAccount("bob", 20, one)],
  ];

  test.each(others)("is refused after a commit: %s", (_, other) => {
    given(accountOpened("alice", 100), accountOpened("carol", 100), committed(paid))
      .when(other)
      .then(nothing, outcomes(conflict), balance("alice", 80), balance("bob", 20), balance("carol", 100));
  });

  test.each(others)("is refused after a rejection: %s", (_, other) => {
    given(failed("insufficient_funds", paid), accountOpened("alice", 100), accountOpened("carol", 100))
      .when(other)
      .then(nothing, outcomes(conflict), balance("alice", 100));
  });

  test.each([
    ["another receiver", deposit("bob", 20, one)],
    ["another amount", deposit("alice", 19, one)],
    ["another currency", deposit("alice", 20, { ...one, currency: "EUR" })],
    ["a withdrawal", withdraw("alice", 20, one)],
    ["an opening with the same amount", openAccount("alice", 20, one)],
    ["a transfer", transfer("carol", "alice", 20, one)],
  ] as [string, Command][])("is refused after a deposit: %s", (_, other) => {
    given(committed(deposit("alice", 20, one)))
      .when(other)
      .then(nothing, outcomes(conflict), balance("alice", 20));
  });

  test.each([
    ["another account", openAccount("bob", 20, one)],
    ["another initial balance", openAccount("alice", 0, one)],
    ["another currency", openAccount("alice", 20, { ...one, currency: "EUR" })],
    ["a deposit of the same amount", deposit("alice", 20, one)],
  ] as [string, Command][])("is refused after an opening: %s", (_, other) => {
    given(accountOpened("alice", 20, one))
      .when(other)
      .then(nothing, outcomes(conflict), balance("alice", 20));
  });

  test.each([
    ["another account", openAccount("bob", 2, one)],
    ["another initial balance", openAccount("carol", 1, one)],
    ["a deposit of the same amount", deposit("carol", 2, one)],
  ] as [string, Command][])("is refused after an opening that overflowed: %s", (_, other) => {
    given(accountOpened("alice", MAX), failed("balance_overflow", openAccount("carol", 2, one)))
      .when(other)
      .then(nothing, outcomes(conflict));
  });

  test("is refused also where the amounts differ in their last digit above 2^53", () => {
    given(accountOpened("alice", MAX), moved("alice", "bob", 2n ** 53n + 2n, one))
      .when(transfer("alice", "bob", 2n ** 53n + 1n, one), transfer("alice", "bob", 2n ** 53n + 2n, one))
      .then(nothing, outcomes(conflict, { status: "committed", replayed: true }));
  });

  test("a conflict comes before every reason to reject", () => {
    given(ledgerOpened({ strict: true }), accountOpened("alice", 20, one))
      .when(transfer("nobody", "noone", MAX, one))
      .then(nothing, outcomes({ ...conflict, seq: 2 }));
  });

  test("a conflict leaves the id as it was: the first content still repeats", () => {
    given(accountOpened("alice", 100), committed(paid))
      .when(transfer("alice", "bob", 99, one), paid)
      .then(nothing, outcomes(conflict, { status: "committed", seq: 4, replayed: true }));
  });
});
