/** What transfers, deposits and withdrawals do, why they are rejected, and which reason comes first. */

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
  givenNothing,
  ledgerOpened,
  MAX,
  moved,
  nothing,
  openLedger,
  outcomes,
  repeat,
  transfer,
  unopened,
  withdraw,
} from "../support/ledger-specs.ts";

const strict = ledgerOpened({ strict: true });

describe("a transfer", () => {
  test("moves its amount, and tells both balances", () => {
    const command = transfer("alice", "bob", 20);
    given(accountOpened("alice", 100), accountOpened("bob", 1))
      .when(command)
      .then(
        events(committed(command)),
        balance("alice", 80),
        balance("bob", 21),
        outcomes({
          status: "committed",
          seq: 5,
          replayed: false,
          from_balance: 80,
          to_balance: 21,
        } as object),
      );
  });

  test("opens the account that it credits", () => {
    given(accountOpened("alice", 100))
      .when(transfer("alice", "new", 100))
      .then(balance("alice", 0), balance("new", 100));
  });

  test("an account with 100 pays 20 ten times: five go through", () => {
    given(accountOpened("alice", 100))
      .when(...repeat(10, () => transfer("alice", "bob", 20)))
      .then(
        count("MoneyDeducted", 5),
        count("MoneyCredited", 5),
        count("TransactionFailed", 5),
        balance("alice", 0),
        balance("bob", 100),
      );
  });

  test("of more than the payer has is rejected, by one cent too", () => {
    const command = transfer("alice", "bob", 101);
    given(accountOpened("alice", 100))
      .when(command)
      .then(
        events(failed("insufficient_funds", command)),
        balance("alice", 100),
        unopened("bob"),
        outcomes({ status: "rejected", reason: "insufficient_funds", seq: 3, replayed: false }),
      );
  });

  test("from an account that nobody knows is from one that has 0", () => {
    const command = transfer("nobody", "bob", 1);
    given()
      .when(command)
      .then(events(failed("insufficient_funds", command)), unopened("nobody"), unopened("bob"));
  });

  test("works with accounts that are named like parts of the language", () => {
    given(accountOpened("constructor", 5))
      .when(transfer("constructor", "toString", 3), transfer("valueOf", "hasOwnProperty", 1))
      .then(
        balance("constructor", 2),
        balance("toString", 3),
        unopened("valueOf"),
        count("TransactionFailed", 1),
      );
  });
});

describe("deposits and withdrawals", () => {
  test("bring money in from @world, and back to it", () => {
    const commands = [deposit("alice", 70), withdraw("alice", 30)];
    given()
      .when(...commands)
      .then(
        events(...commands.map(committed)),
        balance("alice", 40),
        balance("@world", -40),
        outcomes(
          { from_balance: -70, to_balance: 70 } as object,
          { from_balance: 40, to_balance: -40 } as object,
        ),
      );
  });

  test("a withdrawal of more than there is is rejected", () => {
    const command = withdraw("alice", 71);
    given(moved("@world", "alice", 70))
      .when(command)
      .then(events(failed("insufficient_funds", command)), balance("alice", 70), balance("@world", -70));
  });

  test("everything can be withdrawn: @world is at 0 again", () => {
    given(accountOpened("alice", MAX))
      .when(withdraw("alice", MAX))
      .then(balance("alice", 0), balance("@world", 0));
  });
});

describe("currencies", () => {
  test("do not mix: dollars do not pay euros", () => {
    const command = transfer("alice", "bob", 5, { currency: "EUR" });
    given(accountOpened("alice", 100))
      .when(command)
      .then(events(failed("insufficient_funds", command)), unopened("alice", "EUR"), balance("alice", 100));
  });

  test("each has a @world and balances of its own", () => {
    given(accountOpened("alice", 100), accountOpened("alice", 7, { currency: "EUR" }))
      .when(
        transfer("alice", "bob", 1),
        transfer("alice", "bob", 2, { currency: "EUR" }),
        deposit("bob", 3, { currency: "XAU" }),
      )
      .then(
        balance("alice", 99),
        balance("bob", 1),
        balance("@world", -100),
        balance("alice", 5, "EUR"),
        balance("bob", 2, "EUR"),
        balance("@world", -7, "EUR"),
        balance("bob", 3, "XAU"),
        balance("@world", -3, "XAU"),
      );
  });

  test("each holds up to 2^63-1, whatever the others hold", () => {
    given(accountOpened("alice", MAX))
      .when(deposit("alice", MAX, { currency: "EUR" }), deposit("alice", 1))
      .then(balance("alice", MAX, "EUR"), balance("alice", MAX), count("TransactionFailed", 1));
  });
});

describe("at the ends of the range", () => {
  test("2^63-1 moves as a whole and to the cent", () => {
    given(accountOpened("alice", MAX))
      .when(
        transfer("alice", "bob", MAX - 1n),
        transfer("bob", "carol", 2n ** 53n + 1n),
        transfer("alice", "bob", 1),
      )
      .then(
        balance("alice", 0),
        balance("bob", MAX - 2n ** 53n - 1n),
        balance("carol", 2n ** 53n + 1n),
        balance("@world", -MAX),
      );
  });

  test("@world ends at -(2^63-1): one cent more is an overflow", () => {
    const [all, more] = [deposit("alice", MAX), deposit("bob", 1)];
    given()
      .when(all, more)
      .then(
        events(committed(all), failed("balance_overflow", more)),
        balance("@world", -MAX),
        unopened("bob"),
        outcomes({ status: "committed" }, { status: "rejected", reason: "balance_overflow" }),
      );
  });

  test("a deposit that would take the account above 2^63-1 is an overflow", () => {
    const command = deposit("alice", 2);
    given(accountOpened("alice", MAX - 1n))
      .when(command)
      .then(events(failed("balance_overflow", command)), balance("alice", MAX - 1n));
  });

  test("after a withdrawal there is room again", () => {
    given(accountOpened("alice", MAX))
      .when(deposit("bob", 1), withdraw("alice", 1), deposit("bob", 1))
      .then(
        count("TransactionFailed", 1),
        balance("bob", 1),
        balance("alice", MAX - 1n),
        balance("@world", -MAX),
      );
  });

  test("2^63-1 between two accounts never overflows: there is not more of a currency", () => {
    given(accountOpened("alice", MAX - 1n), accountOpened("bob", 1))
      .when(transfer("alice", "bob", MAX - 1n), transfer("bob", "alice", MAX))
      .then(balance("alice", MAX), balance("bob", 0));
  });
});

describe("in strict mode", () => {
  test("an unknown account is neither credited nor debited", () => {
    const commands = [
      transfer("alice", "new", 1),
      transfer("new", "alice", 1),
      deposit("new", 1),
      withdraw("new", 1),
      transfer("new", "newer", 1),
    ];
    given(strict, accountOpened("alice", 100))
      .when(...commands)
      .then(events(...commands.map((command) => failed("account_not_found", command))), unopened("new"));
  });

  test("an account that was opened is credited, also with nothing in it", () => {
    given(strict, accountOpened("alice", 100), accountOpened("bob"))
      .when(transfer("alice", "bob", 40), deposit("bob", 1), withdraw("bob", 2))
      .then(balance("alice", 60), balance("bob", 39));
  });

  test("an account is opened in each currency on its own", () => {
    const command = deposit("alice", 1, { currency: "EUR" });
    given(strict, accountOpened("alice", 100))
      .when(command)
      .then(events(failed("account_not_found", command)), unopened("alice", "EUR"));
  });
});

describe("the order of the reasons", () => {
  test("account_not_found comes before insufficient_funds and balance_overflow", () => {
    const poor = transfer("alice", "new", 101);
    const huge = deposit("new", MAX);
    given(strict, accountOpened("alice", 100))
      .when(poor, huge)
      .then(events(failed("account_not_found", poor), failed("account_not_found", huge)));
  });

  test("insufficient_funds comes before balance_overflow", () => {
    // bob has all there is, so what alice lacks would also be too much for him.
    const command = transfer("alice", "bob", 1);
    given(accountOpened("bob", MAX), accountOpened("alice"))
      .when(command)
      .then(events(failed("insufficient_funds", command)));
  });
});

describe("a ledger that is not open", () => {
  test("decides nothing", () => {
    givenNothing()
      .when(deposit("alice", 1), transfer("alice", "bob", 1))
      .then(
        nothing,
        outcomes(
          { status: "refused", reason: "ledger_not_open" },
          { status: "refused", reason: "ledger_not_open" },
        ),
      );
  });

  test("is opened once: later openings change nothing", () => {
    const opening = openLedger({ strict: true, currency: "EUR" });
    givenNothing()
      .when(opening, openLedger({ strict: false, currency: "USD" }))
      .then(events(ledgerOpened({ strict: true, currency: "EUR" })));
  });

  test("an id that came before the opening was not decided: it may come again", () => {
    const command = deposit("alice", 9);
    givenNothing()
      .when(command, openLedger(), command)
      .then(events(ledgerOpened(), committed(command)), balance("alice", 9));
  });
});
