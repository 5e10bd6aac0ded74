/** Opening accounts: idempotent by id and by name. */

import { describe, test } from "bun:test";
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
  transfer,
  unopened,
} from "../support/ledger-specs.ts";

describe("opening an account", () => {
  test("takes its initial balance from @world", () => {
    given()
      .when(openAccount("alice", 100, { id: id(1) }))
      .then(
        events(accountOpened("alice", 100, { id: id(1) })),
        balance("alice", 100),
        balance("@world", -100),
        outcomes({
          status: "opened",
          existed: false,
          replayed: false,
          available: 100,
          frozen: 0,
          seq: 2,
        } as object),
      );
  });

  test("with nothing makes a balance of 0", () => {
    given()
      .when(openAccount("alice"))
      .then(count("AccountOpened", 1), balance("alice", 0), balance("@world", 0));
  });

  test("is how accounts come to be in strict mode", () => {
    given(ledgerOpened({ strict: true }))
      .when(openAccount("alice", 5), openAccount("bob"), transfer("alice", "bob", 5))
      .then(balance("bob", 5));
  });

  test("with 2^63-1 works once; then @world has no more to give", () => {
    const more = openAccount("bob", 1);
    given()
      .when(openAccount("alice", MAX), more)
      .then(
        balance("alice", MAX),
        balance("@world", -MAX),
        unopened("bob"),
        count("AccountOpened", 1),
        outcomes({ status: "opened" }, { status: "rejected", reason: "balance_overflow" }),
      );
  });

  test("that would overflow is logged with its whole content", () => {
    const command = openAccount("bob", MAX);
    given(accountOpened("alice", 1))
      .when(command)
      .then(events(failed("balance_overflow", command)));
  });

  test("with nothing works also where @world has no more to give", () => {
    given(accountOpened("alice", MAX))
      .when(openAccount("bob", 0))
      .then(balance("bob", 0), count("AccountOpened", 1));
  });
});

describe("opening an account that is open", () => {
  test("with the same initial balance finds it, and writes nothing", () => {
    given(accountOpened("alice", 100))
      .when(openAccount("alice", 100))
      .then(nothing, outcomes({ status: "opened", existed: true, replayed: false, seq: 2 } as object));
  });

  test("tells today's balance, not the initial one", () => {
    given(accountOpened("alice", 100), moved("alice", "bob", 30))
      .when(openAccount("alice", 100))
      .then(nothing, outcomes({ status: "opened", existed: true, available: 70 } as object));
  });

  test("with another initial balance is account_exists, and writes nothing", () => {
    given(accountOpened("alice", 100), moved("alice", "bob", 30))
      .when(openAccount("alice", 99), openAccount("alice", 0), openAccount("alice", 70))
      .then(
        nothing,
        balance("alice", 70),
        outcomes(
          { status: "refused", reason: "account_exists" },
          { status: "refused", reason: "account_exists" },
          { status: "refused", reason: "account_exists" },
        ),
      );
  });

  test("where a credit opened it: 0 finds it, anything else is account_exists", () => {
    given(moved("@world", "alice", 30))
      .when(openAccount("alice", 0), openAccount("alice", 30))
      .then(
        nothing,
        outcomes({ status: "opened", existed: true, available: 30 } as object, {
          status: "refused",
          reason: "account_exists",
        }),
      );
  });

  test("records no id: the id may still be used for anything", () => {
    const used = id(77);
    const later = deposit("bob", 3, { id: used });
    given(accountOpened("alice", 100))
      .when(openAccount("alice", 100, { id: used }), openAccount("alice", 1, { id: used }), later)
      .then(events(committed(later)), balance("bob", 3));
  });

  test("in another currency opens it there", () => {
    given(accountOpened("alice", 100))
      .when(openAccount("alice", 9, { currency: "EUR" }))
      .then(balance("alice", 9, "EUR"), balance("alice", 100), count("AccountOpened", 1));
  });

  test("account_exists comes before balance_overflow", () => {
    given(accountOpened("alice", 100))
      .when(openAccount("alice", MAX))
      .then(nothing, outcomes({ status: "refused", reason: "account_exists" }));
  });

  test("an account whose opening failed is not open", () => {
    given(accountOpened("alice", MAX))
      .when(openAccount("bob", 1), openAccount("bob", 0))
      .then(count("TransactionFailed", 1), count("AccountOpened", 1), balance("bob", 0));
  });
});
