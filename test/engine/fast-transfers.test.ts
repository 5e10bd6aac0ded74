/** The hot path beside the specification: event by event, outcome by outcome, byte by byte. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Money, money } from "../../src/domain/amount.ts";
import type { Command } from "../../src/domain/commands/commands.ts";
import type { Outcome } from "../../src/domain/outcomes.ts";
import { EngineLoop } from "../../src/engine/engine-loop.ts";
import { WalletEngine } from "../../src/engine/wallet-engine.ts";
import { LogEncoder } from "../../src/eventlog/encoder.ts";
import { ReadModel } from "../../src/gateway/read-model.ts";
import type { CommittedBatch } from "../../src/ports/changes.ts";
import type { QueueMessage } from "../../src/ports/command-queue.ts";
import { EMPTY_LOG } from "../../src/ports/log-position.ts";
import { readMessage } from "../../src/wire/messages.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { foreign, frame, json } from "../support/command-streams.ts";
import {
  account,
  currency,
  deposit,
  id,
  openAccount,
  openLedger,
  transfer,
} from "../support/ledger-specs.ts";
import { FIRST_AT, LogOnDisk } from "../support/log-files.ts";
import { ManualSource } from "../support/manual-source.ts";

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);
const MAX = 2n ** 63n - 1n;

type Draw = (below: number) => number;

/** Around every bound that the hot path has: what is exact, what is there, what a number's bits can hold. */
function someAmount(draw: Draw): bigint {
  const around = [100n, 2n ** 31n, 2n ** 32n, MAX_SAFE, MAX_SAFE * 2n, MAX - 2n][draw(14)] ?? 100n;
  const value = around + BigInt(draw(5)) - 2n;
  return draw(3) === 0 ? BigInt(1 + draw(50)) : value;
}

function someCommand(draw: Draw, number: number, strict: boolean): Command {
  const names = ["a", "b", "rich", "x".repeat(64), "c.d:e@f+g-h_i", "B", "other"];
  const from = draw(6);
  const to = (from + 1 + draw(5)) % 6;
  const more = {
    id: id(draw(8) === 0 ? 1 + draw(number) : number),
    currency: draw(12) === 0 ? "EUR" : "USD",
  };
  const kind = draw(30);
  const other = names[draw(names.length)] as string;
  if (kind === 0) return openAccount(other, someAmount(draw), more);
  if (kind === 1 || (strict && number < 10)) return openAccount(other, 1_000n, more);
  if (kind < 5) return deposit(other, someAmount(draw), more);
  return transfer(names[from] as string, names[to] as string, someAmount(draw), more);
}

function someMessages(draw: Draw, strict: boolean): QueueMessage[] {
  let number = 0;
  const commands = (most: number) =>
    Array.from({ length: 1 + draw(most) }, () => someCommand(draw, ++number, strict));
  const messages = [frame([openLedger({ strict })], 1)];
  for (let count = 0; count < 60; count++) {
    const some = commands(12);
    const [first] = some;
    if (draw(8) === 0 && first?.kind === "transfer") messages.push(json(foreign(first)));
    else messages.push(frame(some, messages.length + 1));
  }
  return messages.map((data, index) => ({
    sequence: index + 1,
    at: FIRST_AT + index * 3 - draw(5),
    data: withoutCurrency(data, draw),
  }));
}

/** The same frame, as a gateway writes it for requests that name no currency: some of its transfers without one. */
function withoutCurrency(data: Uint8Array, draw: Draw): Uint8Array {
  const message = readMessage(data, currency("USD"));
  if (message.from !== "gateway" || draw(2) === 0) return data;
  return frame(
    message.commands.map((command) =>
      command.kind === "transfer" && command.currency === "USD"
        ? { ...command, currency: "" as never }
        : command,
    ),
    message.number,
  );
}

/** What the messages must come to, by execute(), apply() and outcome() alone. */
function specified(messages: readonly QueueMessage[]) {
  const engine = new WalletEngine();
  const encoder = new LogEncoder(EMPTY_LOG, undefined);
  const projection = new ReadModel();
  const outcomes: Outcome[][] = [];
  for (const { data, sequence, at } of messages) {
    const message = readMessage(data, engine.ledger.opened?.currency);
    if (message.from === "nobody") continue;
    const of = message.commands.map((command, index) => {
      const events = engine.execute(command);
      if (events.length > 0) engine.apply(events);
      if (events.length > 0) projection.apply([events]);
      if (events.length > 0) encoder.append(events, Math.max(at, encoder.position.at), sequence, index);
      return engine.outcome(command, events);
    });
    if (message.from === "gateway") outcomes.push(of);
  }
  return { engine, projection, outcomes, log: Buffer.from(encoder.take()?.lines ?? []) };
}

async function consumed(messages: readonly QueueMessage[]) {
  const folder = temporaryFolder();
  const log = await LogOnDisk.open(folder);
  const source = new ManualSource<QueueMessage>(log.clock);
  const batches: CommittedBatch[] = [];
  const projection = new ReadModel();
  const committed = (batch: CommittedBatch) => {
    batches.push(batch);
    projection.apply(batch.changes);
  };
  const options = { batchBytes: 1 << 12, maxReadTimeoutMs: 1_000 };
  const { engine, writer, clock } = log;
  const hears = { gatewayOf: () => 1, committed, malformed: () => {} };
  const loop = new EngineLoop({ engine, messages: source, log: writer, clock, ...hears }, options);
  for (const message of messages) source.put(message);
  const running = loop.run();
  await Promise.race([loop.settled(messages.length), running]);
  loop.stop();
  source.wake();
  await running;
  await log.close();
  const outcomes = batches.flatMap((batch) => batch.outcomes.map((frame) => frame.outcomes));
  const changes = batches.flatMap((batch) => batch.changes);
  return { engine: log.engine, projection, outcomes, changes, log: readFileSync(join(folder, "events.log")) };
}

for (const strict of [false, true]) {
  test(`random messages come to the same, ${strict ? "strict" : "not strict"}`, async () => {
    const draw = randomIntegers();
    let plain = 0;
    for (let round = 0; round < 60; round++) {
      const messages = someMessages(draw, strict);
      const expected = specified(messages);
      const found = await consumed(messages);
      expect(found.log.toString("latin1")).toBe(expected.log.toString("latin1"));
      expect(found.outcomes).toEqual(expected.outcomes);
      expect([...found.engine.ledger.balances]).toEqual([...expected.engine.ledger.balances]);
      expect(found.projection.ledger()).toEqual(expected.projection.ledger() as never);
      for (const { account, currency, available, frozen } of expected.engine.ledger.balances)
        expect(found.projection.balance(account, currency)).toMatchObject({ available, frozen });
      for (let number = 1; number < 800; number++)
        expect(found.engine.ledger.transactions.find(id(number))).toEqual(
          expected.engine.ledger.transactions.find(id(number)) as never,
        );
      for (const change of found.changes) if ("payers" in change) plain += change.amounts.length;
    }
    expect(plain).toBeGreaterThan(60 * 10); // the hot path was on the way
  }, 60_000);
}

test("more accounts than the cache holds, and names that take each other's place in it", async () => {
  const count = 20_000;
  const name = (number: number) => `account-${number % count}`;
  const opening: Command[] = Array.from({ length: count }, (_, number) =>
    openAccount(name(number), 100, { id: id(1 + number) }),
  );
  const transfers: Command[] = Array.from({ length: count }, (_, number) =>
    transfer(name(number * 7), name(number * 7 + 1), 1 + (number % 3), { id: id(1_000_000 + number) }),
  );
  const all = [openLedger(), ...opening, ...transfers, ...transfers.slice(0, 100)];
  const messages: QueueMessage[] = [];
  for (let from = 0; from < all.length; from += 1_000)
    messages.push({
      sequence: messages.length + 1,
      at: FIRST_AT,
      data: frame(all.slice(from, from + 1_000), messages.length + 1),
    });
  const expected = specified(messages);
  const found = await consumed(messages);
  expect(found.log.equals(expected.log)).toBe(true);
  expect(found.outcomes).toEqual(expected.outcomes);
  expect(found.projection.balance(account(name(5)), currency("USD"))).toEqual(
    expected.projection.balance(account(name(5)), currency("USD")) as never,
  );
});

test("names with the same hash and length are different accounts", async () => {
  const [one, other] = ["declinate", "macallums"] as const; // FNV-1a gives both the same 32 bits
  const commands = [
    openLedger(),
    openAccount(one, 100, { id: id(1) }),
    openAccount(other, 100, { id: id(2) }),
    openAccount("third", 100, { id: id(3) }),
    ...Array.from({ length: 20 }, (_, number) =>
      transfer(number % 2 ? one : other, "third", 1 + number, { id: id(10 + number) }),
    ),
  ];
  const messages = commands.map((command, index) => ({
    sequence: index + 1,
    at: FIRST_AT,
    data: frame([command], index + 1),
  }));
  const expected = specified(messages);
  const found = await consumed(messages);
  expect(found.log.toString("latin1")).toBe(expected.log.toString("latin1"));
  for (const name of [one, other])
    expect(found.projection.balance(account(name), currency("USD"))).toEqual(
      expected.projection.balance(account(name), currency("USD")) as never,
    );
});

test("an account is plain whatever its number, the first one's too", async () => {
  const commands = [
    openLedger(),
    transfer("alice", "bob", 1, { id: id(1) }), // rejected, and the first to name accounts
    openAccount("alice", 100, { id: id(2) }),
    openAccount("bob", 100, { id: id(3) }),
    transfer("alice", "bob", 5, { id: id(4) }),
    transfer("bob", "alice", 5, { id: id(5) }),
  ];
  const messages = commands.map((command, index) => ({
    sequence: index + 1,
    at: FIRST_AT,
    data: frame([command], index + 1),
  }));
  const { changes } = await consumed(messages);
  expect(changes.flatMap((change) => ("payers" in change ? Array.from(change.amounts) : []))).toEqual([5, 5]);
});

test("between accounts with frozen money, in any currency, the fast path comes to what the specification says", () => {
  const draw = randomIntegers();
  const names = ["a", "b", "c", "d"];
  const around = [0n, 100n, MAX_SAFE / 2n, MAX_SAFE - 50n, MAX_SAFE + 1n];
  let fast = 0;
  for (let round = 0; round < 200; round++) {
    const [one, other] = [new WalletEngine(), new WalletEngine()];
    const opening = one.execute(openLedger());
    for (const engine of [one, other]) engine.apply(opening);
    for (const name of names) {
      for (const code of ["USD", "EUR"]) {
        const [available, frozen] = [0, 1].map(() =>
          money((around[draw(around.length)] as bigint) + BigInt(draw(60))),
        );
        for (const engine of [one, other])
          engine.ledger.balances.restore(account(name), currency(code), available as Money, frozen as Money);
      }
    }
    for (let number = 1; number < 30; number++) {
      const from = draw(4);
      const command = transfer(
        names[from] as string,
        names[(from + 1 + draw(3)) % 4] as string,
        1 + draw(90),
        {
          id: id(draw(10) === 0 ? 1 + draw(number) : number),
          currency: draw(2) === 0 ? "USD" : "EUR",
        },
      );
      const data = frame([command]);
      const read = readMessage(data, currency("USD"), one.balances);
      if (read.from !== "gateway") throw new Error("a frame is not read");
      one.prepare(data, read.commands, 0);
      const [found] = read.commands;
      if (found?.kind !== "fast_transfer") throw new Error("open accounts are not known");
      expect(one.commandOf(data, found)).toEqual(command);
      let outcome: Outcome | undefined = one.transfer(found, 0);
      if (outcome) fast++;
      else {
        const events = one.execute(command);
        if (events.length > 0) one.apply(events);
        outcome = one.outcome(command, events);
      }
      const events = other.execute(command);
      if (events.length > 0) other.apply(events);
      expect(outcome).toEqual(other.outcome(command, events));
      expect([...one.ledger.balances]).toEqual([...other.ledger.balances]);
      expect(one.ledger.transactions.find(id(number))).toEqual(
        other.ledger.transactions.find(id(number)) as never,
      );
    }
  }
  expect(fast).toBeGreaterThan(200);
});
