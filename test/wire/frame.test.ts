/** The frame in which commands travel: what is written is read the same, and nothing else is read. */

import { describe, expect, test } from "bun:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { MAX_MONEY, type Money, money, ZERO } from "../../src/domain/amount.ts";
import type { Command } from "../../src/domain/commands/commands.ts";
import { type Currency, parseAccount, parseCurrency, WORLD } from "../../src/domain/names.ts";
import {
  buildFrame,
  CommandWriter,
  type EncodedCommands,
  FRAME_HEADER_BYTES,
  looksLikeFrame,
  MAX_COMMAND_BYTES,
  MAX_FRAME_COMMANDS,
  ORIGIN_AT,
  ORIGIN_BYTES,
  splitCommands,
  transactionIds,
  UnknownCommand,
} from "../../src/wire/frame.ts";
import { type Frame, readFrame } from "../../src/wire/frame-reader.ts";
import { account, currency, id, openAccount, openLedger, transfer } from "../support/ledger-specs.ts";
import { accounts, commands, currencies, requests } from "./commands.ts";

const ORIGIN = Uint8Array.from({ length: 16 }, (_, index) => index * 15);
const USD = currency("USD");
const VERSION_AT = 2;
const COUNT_AT = 28;
const CRC_AT = 32;

function encode(some: readonly Command[]): EncodedCommands {
  const writer = new CommandWriter();
  for (const command of some) writer.add(command);
  return writer.take();
}

function frameOf(...some: readonly Command[]): Uint8Array {
  return buildFrame(ORIGIN, 1, [encode(some)]);
}

/** Gives a frame that was changed the crc that it should have. */
function sealed(frame: Uint8Array): Uint8Array {
  const crc = crc32(frame.subarray(FRAME_HEADER_BYTES), crc32(frame.subarray(0, CRC_AT)));
  new DataView(frame.buffer).setUint32(CRC_AT, crc, true);
  return frame;
}

/** A copy of `frame` with other bytes from `at` on, and the crc that it should have. */
function changed(frame: Uint8Array, at: number, ...bytes: readonly number[]): Uint8Array {
  const copy = frame.slice();
  copy.set(bytes, at);
  return sealed(copy);
}

describe("a frame", () => {
  test("gives back every command as it was put in", () => {
    const batches = fc.array(fc.array(commands, { minLength: 1, maxLength: 5 }), {
      minLength: 1,
      maxLength: 5,
    });
    const origins = fc.uint8Array({ minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(
        batches,
        origins,
        fc.maxSafeNat(),
        fc.option(currencies),
        (parts, origin, number, usual) => {
          const frame = buildFrame(origin, number, parts.map(encode));
          expect(looksLikeFrame(frame)).toBe(true);
          expect(readFrame(frame, usual ?? undefined)).toEqual({ number, commands: parts.flat() });
          expect(frame.slice(ORIGIN_AT, ORIGIN_AT + ORIGIN_BYTES)).toEqual(origin);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test("may hold 8,192 commands of the largest size", () => {
    const longest = (letter: string) => letter.repeat(64);
    const all = Array.from({ length: MAX_FRAME_COMMANDS }, (_, number) =>
      transfer(longest("a"), longest("b"), MAX_MONEY, { id: id(number), currency: "ABCDEFGHIJKL" }),
    );
    const { bytes, count } = encode(all);
    expect([bytes.length, count]).toEqual([MAX_FRAME_COMMANDS * MAX_COMMAND_BYTES, MAX_FRAME_COMMANDS]);
    expect(readFrame(buildFrame(ORIGIN, 1, [{ bytes, count }]), USD)?.commands).toEqual(all);
  });

  test("is read where it stands in a larger buffer", () => {
    const frame = frameOf(transfer("alice", "bob", 20));
    const buffer = new Uint8Array(frame.length + 20).fill(0xff);
    buffer.set(frame, 7);
    expect(readFrame(buffer.subarray(7, 7 + frame.length), USD)).toEqual(readFrame(frame, USD) as never);
  });

  test("does not change when its writer goes on", () => {
    const writer = new CommandWriter();
    writer.add(transfer("alice", "bob", 1));
    writer.discard();
    const first = transfer("alice", "bob", 2);
    writer.add(first);
    const taken = writer.take();
    const copy = taken.bytes.slice();
    for (let more = 0; more < 2_000; more++) writer.add(transfer("carol", "dave", 3));
    expect(taken.bytes).toEqual(copy);
    expect(readFrame(buildFrame(ORIGIN, 1, [taken]), USD)?.commands).toEqual([first]);
    expect(writer.take().count).toBe(2_000);
    expect(writer.take()).toEqual({ bytes: new Uint8Array(), count: 0 });
  });
});

describe("what is not a frame", () => {
  const samples = [
    frameOf(transfer("alice", "bob", 20)),
    frameOf(openLedger(), openAccount("alice", MAX_MONEY, { currency: "EUR" }), transfer("a", "b", 2 ** 53)),
  ];

  test("a frame in which any one byte is another is refused", () => {
    for (const frame of samples) {
      for (let at = 0; at < frame.length; at++) {
        for (let flip = 1; flip < 256; flip++) {
          const damaged = frame.slice();
          damaged[at] = (damaged[at] as number) ^ flip;
          if (readFrame(damaged, USD) !== undefined)
            throw new Error(`byte ${at} xor ${flip} was not noticed`);
        }
      }
    }
  });

  test("a frame that was cut short, or that something follows, is refused", () => {
    for (const frame of samples) {
      for (let length = 0; length < frame.length; length++) {
        expect(readFrame(frame.subarray(0, length), USD)).toBeUndefined();
        if (length >= FRAME_HEADER_BYTES)
          expect(readFrame(sealed(frame.slice(0, length)), USD)).toBeUndefined();
      }
      expect(readFrame(Buffer.concat([frame, Uint8Array.of(0)]), USD)).toBeUndefined();
      expect(readFrame(sealed(new Uint8Array([...frame, 0])), USD)).toBeUndefined();
    }
  });

  test("a count that does not fit is refused", () => {
    const frame = frameOf(transfer("alice", "bob", 20), transfer("bob", "alice", 20));
    for (const count of [0, 1, 3, MAX_FRAME_COMMANDS, MAX_FRAME_COMMANDS + 1, 2 ** 32 - 1]) {
      const copy = frame.slice();
      new DataView(copy.buffer).setUint32(COUNT_AT, count, true);
      expect(readFrame(sealed(copy), USD)).toBeUndefined();
    }
    const one = encode([transfer("alice", "bob", 20)]);
    const tooMany = Array.from({ length: MAX_FRAME_COMMANDS + 1 }, () => one);
    expect(readFrame(buildFrame(ORIGIN, 1, tooMany), USD)).toBeUndefined();
  });

  test("a frame without commands is one, and has nothing else in it", () => {
    const empty = buildFrame(ORIGIN, 7, []);
    expect(readFrame(empty, USD)).toEqual({ number: 7, commands: [] });
    expect(readFrame(sealed(new Uint8Array([...empty, 0])), USD)).toBeUndefined();
  });

  test("a version or a kind that this node does not know stops it", () => {
    const frame = frameOf(transfer("alice", "bob", 20));
    for (const version of [0, 3, 255]) {
      expect(() => readFrame(changed(frame, VERSION_AT, version), USD)).toThrow(UnknownCommand);
    }
    for (const kind of [5, 6, 255])
      expect(() => readFrame(changed(frame, FRAME_HEADER_BYTES + 4, kind), USD)).toThrow(UnknownCommand);
    expect(() => readFrame(changed(frame, FRAME_HEADER_BYTES + 7, 1), USD)).toThrow(UnknownCommand);
  });

  test("commands of kinds that this node does not know are counted, whatever is in them", () => {
    const known = encode([transfer("alice", "bob", 20)]);
    const unknown = (kind: number, length: number): EncodedCommands => {
      const bytes = new Uint8Array(length).fill(0xa5);
      const view = new DataView(bytes.buffer);
      view.setUint32(0, length, true);
      view.setUint32(4, kind, true);
      return { bytes, count: 1 };
    };
    const read =
      (...parts: EncodedCommands[]) =>
      () =>
        readFrame(buildFrame(ORIGIN, 1, parts), USD);
    expect(read(known, unknown(9, 8), known, unknown(7, 100_000), unknown(9, 21))).toThrow(
      "3 of 5 commands are of unknown kinds (9,7)",
    );
    expect(read(unknown(9, 8), { bytes: known.bytes.subarray(1), count: 1 })()).toBeUndefined();
  });

  test("a command whose length is another than that of its fields is refused", () => {
    const frame = frameOf(transfer("alice", "bob", 20), transfer("bob", "alice", 20));
    const view = new DataView(frame.buffer);
    const length = view.getUint32(FRAME_HEADER_BYTES, true);
    for (const wrong of [0, 7, length - 1, length + 1, 2 * length, 2 ** 32 - 1]) {
      const copy = frame.slice();
      new DataView(copy.buffer).setUint32(FRAME_HEADER_BYTES, wrong, true);
      expect(readFrame(sealed(copy), USD)).toBeUndefined();
    }
  });

  test("commands that no gateway writes are refused, however well they are sealed", () => {
    const whole = transfer("alice", "bob", 20, { currency: "EUR" });
    const none = money(0);
    const wrong: readonly Command[] = [
      { ...whole, amount: none },
      { ...whole, from_account: WORLD },
      { ...whole, to_account: WORLD },
      { ...whole, to_account: whole.from_account },
      { ...whole, to_account: "__proto__" as never },
      { ...whole, to_account: "a b" as never },
      { ...whole, to_account: "" as never },
      { ...whole, to_account: "a".repeat(65) as never },
      { ...whole, currency: "eur" as never },
      { ...whole, currency: "ABCDEFGHIJKLM" as never },
      { ...whole, kind: "deposit" },
      { ...whole, kind: "withdraw" },
      { ...whole, kind: "deposit", from_account: WORLD, to_account: WORLD },
      { ...openAccount("carol", 1), account: WORLD },
    ];
    for (const command of wrong) expect(readFrame(frameOf(whole, command), USD)).toBeUndefined();
    expect(readFrame(frameOf(whole, whole), USD)?.commands).toEqual([whole, whole]);
  });

  test("amounts of 2^63 and more are refused", () => {
    const frame = frameOf(transfer("alice", "bob", MAX_MONEY));
    const highest = FRAME_HEADER_BYTES + 31;
    expect(frame[highest]).toBe(0x7f);
    expect(readFrame(changed(frame, highest, 0x80), USD)).toBeUndefined();
    expect(readFrame(changed(frame, highest, 0xff), USD)).toBeUndefined();
  });

  test("whatever is changed and sealed again, what is read is a command that a gateway may write", () => {
    const change = fc.record({ at: fc.nat(), value: fc.nat({ max: 255 }) });
    fc.assert(
      fc.property(
        fc.array(commands, { minLength: 1, maxLength: 3 }),
        fc.array(change, { minLength: 1, maxLength: 3 }),
        (some, changes) => {
          const frame = frameOf(...some);
          for (const { at, value } of changes) {
            const place = FRAME_HEADER_BYTES + (at % (frame.length - FRAME_HEADER_BYTES));
            frame[place] = value;
          }
          let read: Frame | undefined;
          try {
            read = readFrame(sealed(frame), USD);
          } catch (error) {
            expect(error).toBeInstanceOf(UnknownCommand);
            return;
          }
          for (const command of read?.commands ?? []) expectValid(command);
        },
      ),
      { numRuns: 5_000 },
    );
  });
});

function expectValid(command: Command): void {
  expect(parseCurrency(command.currency)).toBe(command.currency);
  if (command.kind === "open_ledger") return;
  if (command.kind === "open_account") {
    expect(parseAccount(command.account)).toBe(command.account);
    expectMoney(command.initial_balance, ZERO);
    return;
  }
  const { kind, from_account, to_account, amount } = command;
  expect(kind === "deposit" ? from_account === WORLD : parseAccount(from_account) === from_account).toBe(
    true,
  );
  expect(kind === "withdraw" ? to_account === WORLD : parseAccount(to_account) === to_account).toBe(true);
  expect(from_account).not.toBe(to_account);
  expectMoney(amount, money(1));
}

function expectMoney(value: Money, least: Money): void {
  expect(value >= least && value <= MAX_MONEY).toBe(true);
  expect(money(BigInt(value))).toBe(value);
}

describe("commands that do not fit into one message", () => {
  test("are cut between two of them, in order, into the fewest parts", () => {
    const sizes = fc.integer({ min: MAX_COMMAND_BYTES, max: 1_000 });
    fc.assert(
      fc.property(fc.array(requests, { minLength: 1, maxLength: 40 }), sizes, (some, maxBytes) => {
        const parts = splitCommands(encode(some), maxBytes);
        const back = parts.map((part) => readFrame(buildFrame(ORIGIN, 1, [part]), USD)?.commands ?? []);
        expect(back.flat()).toEqual(some);
        expect(parts.map(({ count }) => count)).toEqual(back.map(({ length }) => length));
        for (const [index, { bytes }] of parts.entries()) {
          expect(bytes.length).toBeLessThanOrEqual(maxBytes);
          const next = back[index + 1]?.[0];
          if (next) expect(bytes.length + encode([next]).bytes.length).toBeGreaterThan(maxBytes);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("tell their ids in order", () => {
    const all = Array.from({ length: 100 }, (_, number) => transfer("alice", "bob", 1, { id: id(number) }));
    expect([...transactionIds(encode(all))]).toEqual(all.map((one) => one.transaction_id));
  });
});

test("a command in the ledger's default currency may leave it out, and needs a ledger then", () => {
  const full = frameOf(transfer("alice", "bob", 20));
  const without = frameOf({ ...transfer("alice", "bob", 20), currency: "" as never });
  expect(without.length).toBe(full.length - 3);
  expect(readFrame(without, "EUR" as Currency)?.commands).toMatchObject([{ currency: "EUR" }]);
  expect(readFrame(without, undefined)).toBeUndefined();
  expect(readFrame(full, undefined)?.commands).toMatchObject([{ currency: "USD" }]);
});

test("names that were read lately are read as themselves", () => {
  const seen: string[] = [];
  fc.assert(
    fc.property(accounts, accounts, (from, to) => {
      fc.pre(from !== to);
      seen.push(from, to);
      expect(readFrame(frameOf(transfer(from, to, 1)), USD)?.commands).toMatchObject([
        { from_account: from, to_account: to },
      ]);
    }),
    { numRuns: 2_000 },
  );
  for (const name of seen.slice(0, 500)) {
    const other = name === "other" ? "another" : "other";
    expect(readFrame(frameOf(transfer(name, other, 1)), USD)?.commands).toMatchObject([
      { from_account: account(name) },
    ]);
  }
});
