/**
 * Specifications of the ledger: given events, when commands, then events, outcomes and balances.
 *
 * Whatever a specification is about, it also fails where execute() changes anything, where money is made or
 * lost, and where an account goes below zero.
 */

import { expect } from "bun:test";
import { type Money, parseBalance } from "../../src/domain/amount.ts";
import {
  type Command,
  LOG_FORMAT,
  type OpenAccount,
  type Transfer,
} from "../../src/domain/commands/commands.ts";
import type { TransactionFailed, WalletEvent } from "../../src/domain/events.ts";
import type { Ledger } from "../../src/domain/ledger.ts";
import {
  type AccountId,
  type Currency,
  parseAccount,
  parseCurrency,
  parseTransactionId,
  type TransactionId,
  WORLD,
} from "../../src/domain/names.ts";
import type { Outcome } from "../../src/domain/outcomes.ts";
import type { Rejection } from "../../src/domain/rejections.ts";
import { WalletEngine } from "../../src/engine/wallet-engine.ts";

/** 2^63−1. */
export const MAX = 2n ** 63n - 1n;

type Integer = number | bigint | string;
interface More {
  readonly id?: TransactionId;
  readonly currency?: string;
}

// Values, made by the parsers of src/.

export function account(name: string): AccountId {
  return name === WORLD ? WORLD : known(parseAccount(name), name);
}

export function currency(code: string): Currency {
  return known(parseCurrency(code), code);
}

export function amount(value: Integer): Money {
  return known(parseBalance(String(value)), value);
}

/** The id with this number. */
export function id(number: number): TransactionId {
  const text = `0190b5c0-0000-7000-8000-${number.toString(16).padStart(12, "0")}`;
  return known(parseTransactionId(text), text);
}

let ids = 2 ** 40;

/** An id that no other call gives. */
export function newId(): TransactionId {
  return id(++ids);
}

function known<T>(value: T | undefined, from: unknown): T {
  if (value === undefined) throw new TypeError(`not a value of the ledger: ${from}`);
  return value;
}

// Commands.

export function transfer(from: string, to: string, value: Integer, more: More = {}): Transfer {
  return move("transfer", from, to, value, more);
}

export function deposit(to: string, value: Integer, more: More = {}): Transfer {
  return move("deposit", WORLD, to, value, more);
}

export function withdraw(from: string, value: Integer, more: More = {}): Transfer {
  return move("withdraw", from, WORLD, value, more);
}

function move(kind: Transfer["kind"], from: string, to: string, value: Integer, more: More): Transfer {
  return {
    kind,
    transaction_id: more.id ?? newId(),
    from_account: account(from),
    to_account: account(to),
    amount: amount(value),
    currency: currency(more.currency ?? "USD"),
  };
}

export function openAccount(name: string, initial: Integer = 0, more: More = {}): OpenAccount {
  return {
    kind: "open_account",
    transaction_id: more.id ?? newId(),
    account: account(name),
    currency: currency(more.currency ?? "USD"),
    initial_balance: amount(initial),
  };
}

export function openLedger({ strict = false, currency: code = "USD" } = {}): Command {
  const { format, ledger_id, currency: usual } = ledgerOpened({ strict, currency: code });
  return { kind: "open_ledger", format, ledger_id, currency: usual, strict };
}

export function repeat<T>(times: number, make: (index: number) => T): T[] {
  return Array.from({ length: times }, (_, index) => make(index));
}

// Events.

export function ledgerOpened({ strict = false, currency: code = "USD" } = {}) {
  const ledger_id = known(parseTransactionId("4f1a2b3c-0000-4000-8000-00000000c0fe"), "a ledger's id");
  return { type: "LedgerOpened", format: LOG_FORMAT, ledger_id, currency: currency(code), strict } as const;
}

export function accountOpened(name: string, initial: Integer = 0, more: More = {}) {
  const {
    transaction_id,
    account: opened,
    currency: code,
    initial_balance,
  } = openAccount(name, initial, more);
  return { type: "AccountOpened", transaction_id, account: opened, currency: code, initial_balance } as const;
}

export function moneyDeducted(from: string, value: Integer, more: More = {}) {
  return posting("MoneyDeducted", from, value, more);
}

export function moneyCredited(to: string, value: Integer, more: More = {}) {
  return posting("MoneyCredited", to, value, more);
}

function posting<T extends "MoneyDeducted" | "MoneyCredited">(
  type: T,
  name: string,
  value: Integer,
  more: More,
) {
  return {
    type,
    transaction_id: more.id ?? newId(),
    account: account(name),
    amount: amount(value),
    currency: currency(more.currency ?? "USD"),
  };
}

/** The two events of a committed transfer, deposit (from `@world`) or withdrawal (to it). */
export function moved(from: string, to: string, value: Integer, more: More = {}): WalletEvent[] {
  const both = { ...more, id: more.id ?? newId() };
  return [moneyDeducted(from, value, both), moneyCredited(to, value, both)];
}

/** The events that committing this command writes. */
export function committed(command: Transfer): WalletEvent[] {
  const { from_account, to_account, amount: value, transaction_id, currency: code } = command;
  return moved(from_account, to_account, String(value), { id: transaction_id, currency: code });
}

/** The event that rejecting this command writes. */
export function failed(reason: Rejection, command: Transfer | OpenAccount): TransactionFailed {
  const { kind, transaction_id, currency: code } = command;
  const content =
    command.kind === "open_account"
      ? { from_account: WORLD, to_account: command.account, amount: command.initial_balance }
      : { from_account: command.from_account, to_account: command.to_account, amount: command.amount };
  return { type: "TransactionFailed", transaction_id, reason, kind, currency: code, ...content };
}

// Given, when, then.

/** What came of the commands of a specification. */
export interface Story {
  readonly engine: WalletEngine;
  readonly events: readonly WalletEvent[];
  readonly outcomes: readonly Outcome[];
}

export type Check = (story: Story) => void;

/** Events in the groups that one command each wrote: those that follow one another under one id. */
export function byCommand(events: readonly WalletEvent[]): WalletEvent[][] {
  const groups: WalletEvent[][] = [];
  let last: string | undefined;
  for (const event of events) {
    const id = event.type === "LedgerOpened" ? undefined : event.transaction_id;
    if (id !== undefined && id === last) groups[groups.length - 1]?.push(event);
    else groups.push([event]);
    last = id;
  }
  return groups;
}

/** A ledger with this past. It is opened with USD, and not strict, unless the past begins with its opening. */
export function given(...past: readonly (WalletEvent | readonly WalletEvent[])[]) {
  const engine = new WalletEngine();
  const events = past.flat();
  if (events[0]?.type !== "LedgerOpened") engine.apply([ledgerOpened()]);
  for (const command of byCommand(events)) engine.apply(command);
  return { when: (...commands: readonly Command[]) => when(engine, commands) };
}

/** A ledger that was never opened. */
export function givenNothing() {
  return { when: (...commands: readonly Command[]) => when(new WalletEngine(), commands) };
}

function when(engine: WalletEngine, commands: readonly Command[]) {
  const events: WalletEvent[] = [];
  const outcomes: Outcome[] = [];
  for (const command of commands) {
    const before = pictureOf(engine.ledger, commands);
    const happened = engine.execute(command);
    expect(engine.execute(command)).toEqual([...happened]);
    expect(pictureOf(engine.ledger, commands)).toEqual(before);
    if (happened.length > 0) engine.apply(happened);
    events.push(...happened);
    outcomes.push(engine.outcome(command, happened));
    expectSound(engine.ledger);
  }
  return {
    // biome-ignore lint/suspicious/noThenProperty: given, when, then; nothing awaits it
    then: (...checks: readonly Check[]) => {
      for (const check of checks) check({ engine, events, outcomes });
    },
  };
}

/** All that is known about a ledger, and about these commands' ids in it. */
function pictureOf({ opened, seq, balances, transactions }: Ledger, commands: readonly Command[]) {
  const decided = commands.map((command) =>
    command.kind === "open_ledger" ? undefined : transactions.find(command.transaction_id),
  );
  const sums = [...balances].map((balance) => ({ ...balance }));
  return { opened, seq, accounts: balances.accounts, sums, size: transactions.size, decided };
}

/** Fails where a currency does not add up to 0, or anyone but @world has less than nothing. */
export function expectSound({ balances }: Ledger): void {
  const sums = new Map<string, bigint>();
  for (const { account: name, currency: code, available, frozen } of balances) {
    if (name !== WORLD) expect(available >= 0).toBe(true);
    expect(frozen >= 0).toBe(true);
    sums.set(code, (sums.get(code) ?? 0n) + BigInt(available) + BigInt(frozen));
  }
  for (const sum of sums.values()) expect(sum).toBe(0n);
}

/** Exactly these events, in this order. */
export function events(...expected: readonly (WalletEvent | readonly WalletEvent[])[]): Check {
  return (story) => expect([...story.events]).toEqual(expected.flat());
}

/** Nothing was written. */
export const nothing: Check = events();

export function count(type: WalletEvent["type"], times: number): Check {
  return (story) => expect(story.events.filter((event) => event.type === type)).toHaveLength(times);
}

/** What the commands came to, one by one; fields that are left out are not looked at. */
export function outcomes(...expected: readonly Partial<Outcome>[]): Check {
  return (story) => expect([...story.outcomes]).toMatchObject(expected as object[]);
}

export function balance(name: string, available: Integer, code = "USD"): Check {
  return ({ engine }) => {
    const found = engine.ledger.balances.get(account(name), currency(code));
    expect(found && { available: String(found.available), frozen: found.frozen }).toEqual({
      available: String(available),
      frozen: amount(0),
    });
  };
}

export function unopened(name: string, code = "USD"): Check {
  return ({ engine }) => {
    expect(engine.ledger.balances.get(account(name), currency(code))).toBeUndefined();
  };
}
