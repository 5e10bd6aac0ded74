/** The engine against a model that fits on a page: balances and decided ids in two maps, all in BigInt. */

import { expect, test } from "bun:test";
import fc from "fast-check";
import type { OpenAccount, Transfer } from "../../src/domain/commands/commands.ts";
import { WORLD } from "../../src/domain/names.ts";
import { WalletEngine } from "../../src/engine/wallet-engine.ts";
import {
  deposit,
  expectSound,
  id,
  ledgerOpened,
  MAX,
  openAccount,
  transfer,
  withdraw,
} from "../support/ledger-specs.ts";
import "../../tools/harness/seed.ts";

/** Says what a command comes to, as section by section the rules have it. */
class Model {
  readonly balances = new Map<string, bigint>();
  readonly #initial = new Map<string, bigint>();
  readonly #decided = new Map<string, { content: string; says: string }>();

  constructor(readonly strict: boolean) {}

  decide(command: Transfer | OpenAccount): string {
    const content = JSON.stringify(command, (_, value) =>
      typeof value === "bigint" ? String(value) : value,
    );
    const before = this.#decided.get(command.transaction_id);
    if (before) return before.content === content ? `${before.says} again` : "transaction_id_conflict";
    const says = command.kind === "open_account" ? this.#open(command) : this.#move(command);
    if (says !== "exists" && says !== "account_exists")
      this.#decided.set(command.transaction_id, { content, says });
    return says;
  }

  #open({ account, currency, initial_balance }: OpenAccount): string {
    const key = `${account},${currency}`;
    const initial = BigInt(initial_balance);
    if (this.balances.has(key)) return this.#initial.get(key) === initial ? "exists" : "account_exists";
    const world = this.#of(WORLD, currency);
    if (world - initial < -MAX) return "balance_overflow";
    this.#initial.set(key, initial);
    this.balances.set(key, initial);
    this.balances.set(`${WORLD},${currency}`, world - initial);
    return "opened";
  }

  #move({ from_account, to_account, amount, currency }: Transfer): string {
    const known = [from_account, to_account].every(
      (a) => a === WORLD || this.balances.has(`${a},${currency}`),
    );
    if (this.strict && !known) return "account_not_found";
    const from = this.#of(from_account, currency) - BigInt(amount);
    const to = this.#of(to_account, currency) + BigInt(amount);
    if (from_account !== WORLD && from < 0n) return "insufficient_funds";
    if (from < -MAX || to > MAX) return "balance_overflow";
    if (!this.balances.has(`${to_account},${currency}`)) this.#initial.set(`${to_account},${currency}`, 0n);
    this.balances.set(`${from_account},${currency}`, from);
    this.balances.set(`${to_account},${currency}`, to);
    return "committed";
  }

  #of(account: string, currency: string): bigint {
    return this.balances.get(`${account},${currency}`) ?? 0n;
  }
}

/** What the engine says, in the model's words. */
function decide(engine: WalletEngine, command: Transfer | OpenAccount): string {
  const events = engine.execute(command);
  if (events.length > 0) engine.apply(events);
  const outcome = engine.outcome(command, events);
  const says =
    outcome.status === "rejected" || outcome.status === "refused"
      ? outcome.reason
      : outcome.status === "opened" && outcome.existed
        ? "exists"
        : outcome.status;
  if (!outcome.replayed) return says;
  expect(events).toEqual([]);
  return `${says} again`;
}

function balancesOf({ ledger }: WalletEngine): Map<string, bigint> {
  return new Map(
    [...ledger.balances].map((b) => [`${b.account},${b.currency}`, BigInt(b.available)] as const),
  );
}

const accounts = fc.constantFrom("alice", "bob", "carol", "dave", "constructor");
const pairs = fc.uniqueArray(accounts, { minLength: 2, maxLength: 2 }) as fc.Arbitrary<[string, string]>;
const amounts = fc.oneof(
  { weight: 4, arbitrary: fc.bigInt({ min: 1n, max: 100n }) },
  { weight: 1, arbitrary: fc.bigInt({ min: 2n ** 53n - 50n, max: 2n ** 53n + 50n }) },
  { weight: 1, arbitrary: fc.bigInt({ min: 2n ** 62n - 50n, max: 2n ** 62n + 50n }) },
  { weight: 1, arbitrary: fc.bigInt({ min: MAX - 100n, max: MAX }) },
);
/** Few ids, so that many come again, with the same content and with other. */
const more = fc.record({
  id: fc.oneof(fc.nat(30), fc.nat(1_000)).map(id),
  currency: fc.oneof({ weight: 5, arbitrary: fc.constant("USD") }, fc.constant("EUR")),
});
const fresh: fc.Arbitrary<Transfer | OpenAccount> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(pairs, amounts, more).map(([[a, b], n, m]) => transfer(a, b, n, m)) },
  { weight: 2, arbitrary: fc.tuple(accounts, amounts, more).map(([a, n, m]) => deposit(a, n, m)) },
  { weight: 2, arbitrary: fc.tuple(accounts, amounts, more).map(([a, n, m]) => withdraw(a, n, m)) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(accounts, fc.oneof(amounts, fc.constant(0n)), more)
      .map(([a, n, m]) => openAccount(a, n, m)),
  },
);
/** Commands of which about every third is one of those before it, word for word. */
const streams = fc
  .array(fc.tuple(fresh, fc.option(fc.nat(), { freq: 3 })), { maxLength: 150, size: "max" })
  .map((drawn) => {
    const commands: (Transfer | OpenAccount)[] = [];
    for (const [command, again] of drawn) {
      commands.push((again !== null && commands[again % commands.length]) || command);
    }
    return commands;
  });

test("the engine decides random commands as the model does, and keeps every balance sound", () => {
  const said = new Set<string>();
  fc.assert(
    fc.property(fc.boolean(), streams, (strict, commands) => {
      const engine = new WalletEngine();
      engine.apply([ledgerOpened({ strict })]);
      const model = new Model(strict);
      for (const command of commands) {
        const says = model.decide(command);
        said.add(says);
        expect(decide(engine, command)).toBe(says);
        expectSound(engine.ledger);
        expect(balancesOf(engine)).toEqual(model.balances);
      }
    }),
    { numRuns: 400 },
  );
  // Commands that never come to some of these would show nothing about them.
  expect([...said].sort()).toEqual([
    "account_exists",
    "account_not_found",
    "account_not_found again",
    "balance_overflow",
    "balance_overflow again",
    "committed",
    "committed again",
    "exists",
    "insufficient_funds",
    "insufficient_funds again",
    "opened",
    "opened again",
    "transaction_id_conflict",
  ]);
});

test("an engine that reads the events of another one decides everything as it does", () => {
  fc.assert(
    fc.property(fc.boolean(), streams, streams, (strict, before, after) => {
      const [one, other] = [new WalletEngine(), new WalletEngine()];
      for (const engine of [one, other]) engine.apply([ledgerOpened({ strict })]);
      for (const command of before) {
        const events = one.execute(command);
        if (events.length === 0) continue;
        one.apply(events);
        other.apply(events);
      }
      for (const command of [...before, ...after]) {
        const events = one.execute(command);
        expect(other.execute(command)).toEqual([...events]);
        if (events.length > 0) {
          one.apply(events);
          other.apply(events);
        }
        expect(other.outcome(command, events)).toEqual(one.outcome(command, events));
      }
    }),
    { numRuns: 50 },
  );
});
