/** The read model, held against balances that are summed up here from the events' fields alone. */

import { describe, expect, test } from "bun:test";
import type { WalletEvent } from "../../src/domain/events.ts";
import { WalletEngine } from "../../src/engine/wallet-engine.ts";
import { ReadModel } from "../../src/gateway/read-model.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import {
  account,
  accountOpened,
  byCommand,
  currency,
  deposit,
  failed,
  ledgerOpened,
  MAX,
  moved,
  transfer,
} from "../support/ledger-specs.ts";
import { someCommands } from "../support/log-files.ts";

const USD = currency("USD");

function projectionOf(...events: readonly (WalletEvent | readonly WalletEvent[])[]): ReadModel {
  const projection = new ReadModel();
  projection.apply(byCommand(events.flat()));
  return projection;
}

function available(projection: ReadModel, name: string, code = "USD"): string | undefined {
  const balance = projection.balance(account(name), currency(code));
  return balance && String(balance.available);
}

describe("before the ledger is open", () => {
  test("there is nothing", () => {
    const projection = new ReadModel();
    expect(projection.seq).toBe(0);
    expect(projection.ledger()).toBeUndefined();
    expect(projection.defaultCurrency).toBeUndefined();
    expect(available(projection, "alice")).toBeUndefined();
  });
});

describe("an open ledger", () => {
  test("tells its currency, its id and nothing else at first", () => {
    const projection = projectionOf(ledgerOpened({ currency: "EUR" }));
    expect(projection.defaultCurrency).toBe(currency("EUR"));
    expect(projection.ledger()).toEqual({
      ledger_id: ledgerOpened().ledger_id,
      seq: 1,
      accounts: 0,
      transactions: 0,
      totals: [],
    });
  });

  test("has balances by account and currency; an account that was never opened has none", () => {
    const projection = projectionOf(
      ledgerOpened(),
      accountOpened("alice", 100),
      moved("alice", "bob", 30),
      moved("@world", "alice", MAX, { currency: "EUR" }),
      accountOpened("carol"),
    );
    expect(available(projection, "alice")).toBe("70");
    expect(available(projection, "bob")).toBe("30");
    expect(available(projection, "carol")).toBe("0");
    expect(available(projection, "alice", "EUR")).toBe(String(MAX));
    expect(available(projection, "bob", "EUR")).toBeUndefined();
    expect(available(projection, "dave")).toBeUndefined();
    expect(available(projection, "constructor")).toBeUndefined();
    expect(projection.balance(account("alice"), USD)?.frozen).toBe(0 as never);
  });

  test("@world may be asked for in any currency", () => {
    const projection = projectionOf(ledgerOpened(), moved("@world", "alice", 5));
    expect(available(projection, "@world")).toBe("-5");
    expect(available(projection, "@world", "EUR")).toBe("0");
  });

  test("counts (account, currency) pairs without @world, and every id that was decided", () => {
    const projection = projectionOf(
      ledgerOpened(),
      accountOpened("alice", 100),
      accountOpened("alice", 1, { currency: "EUR" }),
      moved("@world", "bob", 5),
      moved("bob", "@world", 5),
      failed("insufficient_funds", transfer("nobody", "noone", 1)),
      failed("balance_overflow", deposit("noone", 1)),
    );
    expect(projection.ledger()).toMatchObject({ seq: 9, accounts: 3, transactions: 6 });
  });

  test("tells what is in circulation, by currency, and that all of it adds up to 0", () => {
    const projection = projectionOf(
      ledgerOpened(),
      moved("@world", "alice", 7, { currency: "XAU" }),
      accountOpened("alice", MAX),
      moved("@world", "alice", 5, { currency: "EUR" }),
      moved("alice", "@world", 2, { currency: "EUR" }),
    );
    const totals = projection
      .ledger()
      ?.totals.map((total) => ({ ...total, in_circulation: String(total.in_circulation) }));
    expect(totals).toEqual([
      { currency: currency("EUR"), sum: 0 as never, in_circulation: "3" },
      { currency: USD, sum: 0 as never, in_circulation: String(MAX) },
      { currency: currency("XAU"), sum: 0 as never, in_circulation: "7" },
    ]);
  });

  test("the sum shows where money was made: it is added up on its own, not taken for granted", () => {
    const [deduction, credit] = moved("@world", "alice", 5);
    const projection = projectionOf(
      ledgerOpened(),
      deduction as WalletEvent,
      { ...(credit as WalletEvent), amount: 6 } as WalletEvent,
    );
    expect(projection.ledger()?.totals).toMatchObject([{ sum: 1 }]);
  });
});

test("after any events, in whatever batches they came, it tells what their fields add up to", () => {
  const draw = randomIntegers();
  const engine = new WalletEngine();
  const projection = new ReadModel();
  const balances = new Map<string, bigint>();
  const ids = new Set<string>();
  let seq = 0;
  let batch: WalletEvent[][] = [];
  const add = (name: string, code: string, value: bigint) => {
    balances.set(`${name},${code}`, (balances.get(`${name},${code}`) ?? 0n) + value);
  };
  for (const command of someCommands(4_000, draw)) {
    const events = engine.execute(command);
    if (events.length > 0) {
      engine.apply(events);
      batch.push([...events]);
    }
    for (const event of events) {
      seq++;
      if (event.type !== "LedgerOpened") ids.add(event.transaction_id);
      if (event.type === "MoneyDeducted") add(event.account, event.currency, -BigInt(event.amount));
      if (event.type === "MoneyCredited") add(event.account, event.currency, BigInt(event.amount));
      if (event.type === "AccountOpened") {
        add(event.account, event.currency, BigInt(event.initial_balance));
        add("@world", event.currency, -BigInt(event.initial_balance));
      }
    }
    if (draw(20) > 0) continue;
    projection.apply(batch);
    batch = [];
    expect(projection.seq).toBe(seq);
    if (draw(10) > 0) continue;
    for (const [key, value] of balances) {
      const [name, code] = key.split(",") as [string, string];
      expect(available(projection, name, code)).toBe(String(value));
    }
    const ledger = projection.ledger();
    expect(ledger?.accounts).toBe([...balances.keys()].filter((key) => !key.startsWith("@world")).length);
    expect(ledger?.transactions).toBe(ids.size);
    for (const { currency: code, sum, in_circulation } of ledger?.totals ?? []) {
      expect(BigInt(sum)).toBe(0n);
      expect(BigInt(in_circulation)).toBe(-(balances.get(`@world,${code}`) ?? 0n));
    }
  }
});
