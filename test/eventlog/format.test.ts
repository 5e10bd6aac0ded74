/** The bytes of events.log, held against the text of its format, and reading them back. */

import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import type { WalletEvent } from "../../src/domain/events.ts";
import { REJECTIONS } from "../../src/domain/rejections.ts";
import { WalletEngine } from "../../src/engine/wallet-engine.ts";
import { DiskFolder } from "../../src/eventlog/disk.ts";
import { LogEncoder } from "../../src/eventlog/encoder.ts";
import { readLog } from "../../src/eventlog/reader.ts";
import type { AppendFile } from "../../src/ports/append-file.ts";
import { EMPTY_LOG, type LogPosition } from "../../src/ports/log-position.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import {
  accountOpened,
  currency,
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
  withdraw,
} from "../support/ledger-specs.ts";
import { collector, HandwrittenLog, place, someCommands, writeLog } from "../support/log-files.ts";

const AT = 1_795_243_425_437;
const ID = "0190b5c0-0000-7000-8000-00000000000a";
const more = { id: id(10) };
const euro = { ...more, currency: "EUR" };

/** A log that is open with USD, and has 6 events. */
const BEFORE: LogPosition = {
  ...EMPTY_LOG,
  seq: 6,
  bytes: 1_000,
  sequence: 3,
  index: 0,
  crc: 0x0badcafe,
  at: AT - 5,
};

/** The lines of one command, up to its crc, which is checked on the way. */
function linesOf(events: readonly WalletEvent[], before = BEFORE): string {
  const encoder = new LogEncoder(before, before === EMPTY_LOG ? undefined : currency("USD"));
  encoder.append(events, AT, 4, 0);
  const text = Buffer.from(encoder.take()?.lines ?? []).toString("latin1");
  const body = text.slice(0, text.lastIndexOf(',"crc":"'));
  const crc = crc32(body, before.crc);
  expect(text).toBe(`${body},"crc":"${crc.toString(16).padStart(8, "0")}"}\n`);
  expect(encoder.position).toEqual({
    seq: before.seq + events.length,
    bytes: before.bytes + text.length,
    sequence: 4,
    index: 0,
    crc,
    at: AT,
    ledgerId: before === EMPTY_LOG ? ledgerOpened().ledger_id : before.ledgerId,
  });
  return body;
}

describe("the lines of", () => {
  test("an opening of the ledger", () => {
    expect(linesOf([ledgerOpened()], EMPTY_LOG)).toBe(
      `{"seq":1,"type":"LedgerOpened","format":1,"ledger_id":"4f1a2b3c-0000-4000-8000-00000000c0fe","currency":"USD","strict":false,"at":${AT},"command":"4.0"`,
    );
    expect(linesOf([ledgerOpened({ strict: true, currency: "COINS" })], EMPTY_LOG)).toBe(
      `{"seq":1,"type":"LedgerOpened","format":1,"ledger_id":"4f1a2b3c-0000-4000-8000-00000000c0fe","currency":"COINS","strict":true,"at":${AT},"command":"4.0"`,
    );
  });

  test("an opening of an account", () => {
    expect(linesOf([accountOpened("alice", 100, more)])).toBe(
      `{"seq":7,"type":"AccountOpened","transaction_id":"${ID}","account":"alice","initial_balance":100,"at":${AT},"command":"4.0"`,
    );
    expect(linesOf([accountOpened("alice", 0, euro)])).toBe(
      `{"seq":7,"type":"AccountOpened","transaction_id":"${ID}","account":"alice","currency":"EUR","initial_balance":0,"at":${AT},"command":"4.0"`,
    );
  });

  test("a transfer", () => {
    expect(linesOf(moved("alice", "bob", 20, more))).toBe(
      `{"seq":7,"type":"MoneyDeducted","transaction_id":"${ID}","account":"alice","amount":20}\n` +
        `{"seq":8,"type":"MoneyCredited","transaction_id":"${ID}","account":"bob","amount":20,"at":${AT},"command":"4.0"`,
    );
    expect(linesOf(moved("alice", "bob", MAX, euro))).toBe(
      `{"seq":7,"type":"MoneyDeducted","transaction_id":"${ID}","account":"alice","amount":9223372036854775807,"currency":"EUR"}\n` +
        `{"seq":8,"type":"MoneyCredited","transaction_id":"${ID}","account":"bob","amount":9223372036854775807,"currency":"EUR","at":${AT},"command":"4.0"`,
    );
  });

  test("a deposit and a withdrawal", () => {
    expect(linesOf(moved("@world", "a", 2n ** 53n + 1n, more))).toBe(
      `{"seq":7,"type":"MoneyDeducted","transaction_id":"${ID}","account":"@world","amount":9007199254740993}\n` +
        `{"seq":8,"type":"MoneyCredited","transaction_id":"${ID}","account":"a","amount":9007199254740993,"at":${AT},"command":"4.0"`,
    );
    expect(linesOf(moved("a", "@world", 1, more))).toBe(
      `{"seq":7,"type":"MoneyDeducted","transaction_id":"${ID}","account":"a","amount":1}\n` +
        `{"seq":8,"type":"MoneyCredited","transaction_id":"${ID}","account":"@world","amount":1,"at":${AT},"command":"4.0"`,
    );
  });

  test("a rejection, of every kind and for every reason", () => {
    for (const reason of REJECTIONS) {
      expect(linesOf([failed(reason, transfer("alice", "bob", 20, more))])).toBe(
        `{"seq":7,"type":"TransactionFailed","transaction_id":"${ID}","from_account":"alice","reason":"${reason}","kind":"transfer","to_account":"bob","amount":20,"at":${AT},"command":"4.0"`,
      );
    }
    for (const [command, kind, from, to] of [
      [deposit("alice", MAX, euro), "deposit", "@world", "alice"],
      [withdraw("alice", MAX, euro), "withdraw", "alice", "@world"],
      [openAccount("alice", MAX, euro), "open_account", "@world", "alice"],
    ] as const) {
      expect(linesOf([failed("balance_overflow", command)])).toBe(
        `{"seq":7,"type":"TransactionFailed","transaction_id":"${ID}","from_account":"${from}","reason":"balance_overflow","kind":"${kind}","to_account":"${to}","amount":${MAX},"currency":"EUR","at":${AT},"command":"4.0"`,
      );
    }
  });
});

describe("the chain", () => {
  test("goes from command to command, whatever batch they are in", () => {
    const commands = [
      [ledgerOpened()],
      moved("@world", "alice", 5),
      moved("alice", "bob", 2),
      [accountOpened("c")],
    ];
    const texts: string[] = [];
    for (const batches of [1, 2, 4]) {
      const encoder = new LogEncoder(EMPTY_LOG, undefined);
      const parts: Buffer[] = [];
      const take = () => {
        const batch = encoder.take();
        if (batch) parts.push(Buffer.from(batch.lines));
      };
      for (const [number, events] of commands.entries()) {
        encoder.append(events, AT + number, 1, number);
        if ((number + 1) % (4 / batches) === 0) take();
      }
      take();
      expect(encoder.take()).toBeUndefined();
      texts.push(Buffer.concat(parts).toString("latin1"));
    }
    expect(texts[1]).toBe(texts[0] as string);
    expect(texts[2]).toBe(texts[0] as string);
    let crc = 0;
    for (const command of (texts[0] as string).split(/(?<="crc":"[0-9a-f]{8}"\}\n)/)) {
      const [body, stated] = command.split(',"crc":"') as [string, string];
      crc = crc32(body, crc);
      expect(stated).toBe(`${crc.toString(16).padStart(8, "0")}"}\n`);
    }
  });

  test("a batch says where the log ends before it and with it", () => {
    const encoder = new LogEncoder(BEFORE, currency("USD"));
    encoder.append([moneyDeducted("@world", 1), moneyCredited("alice", 1)], AT, 4, 0);
    const first = encoder.take();
    encoder.append([failed("insufficient_funds", transfer("alice", "bob", 9))], AT + 1, 4, 3);
    const second = encoder.take();
    expect(first?.start).toEqual(BEFORE);
    expect(second?.start).toEqual(first?.end as LogPosition);
    expect(second?.end).toEqual(encoder.position);
    expect(second?.end).toMatchObject({ seq: 9, sequence: 4, index: 3, at: AT + 1 });
  });

  test("holds in a batch that is larger than the first buffer, and in those after it", () => {
    const encoder = new LogEncoder(BEFORE, currency("USD"));
    const before: string[] = [];
    for (const commands of [3, 12_000, 3]) {
      for (let number = 0; number < commands; number++)
        encoder.append(moved("@world", "x".repeat(64), 1), AT, 4, number);
      before.push(Buffer.from(encoder.take()?.lines ?? []).toString("latin1"));
    }
    expect((before[1] as string).length).toBeGreaterThan(3 << 20);
    let crc = BEFORE.crc;
    for (const command of before.join("").split(/(?<="crc":"[0-9a-f]{8}"\}\n)/)) {
      const [body, stated] = command.split(',"crc":"') as [string, string];
      crc = crc32(body, crc);
      if (stated !== `${crc.toString(16).padStart(8, "0")}"}\n`)
        throw new Error(`the chain breaks at ${command}`);
    }
    expect(crc).toBe(encoder.position.crc);
  });
});

describe("the fast encoder, held against plain text", () => {
  test("writes numbers of every length to the digit", () => {
    const numbers = [0, 1, 9, 2 ** 31 - 1, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER - 1];
    for (let power = 1; power <= 15; power++) numbers.push(10 ** power - 1, 10 ** power, 10 ** power + 1);
    for (const number of numbers) {
      const before = { ...BEFORE, seq: number };
      const encoder = new LogEncoder(before, currency("USD"));
      const [deduction, credit] = moved("@world", "alice", number + 1, more) as [WalletEvent, WalletEvent];
      encoder.append([deduction], number, number + 1, number);
      encoder.append([credit], number, number + 2, 0);
      const text = Buffer.from(encoder.take()?.lines ?? []).toString("latin1");
      expect(text.replace(/"crc":"[0-9a-f]{8}"/g, "crc")).toBe(
        `{"seq":${number + 1},"type":"MoneyDeducted","transaction_id":"${ID}","account":"@world","amount":${number + 1},"at":${number},"command":"${number + 1}.${number}",crc}\n` +
          `{"seq":${BigInt(number) + 2n},"type":"MoneyCredited","transaction_id":"${ID}","account":"alice","amount":${number + 1},"at":${number},"command":"${BigInt(number) + 2n}.0",crc}\n`,
      );
    }
  });

  test("writes random commands as anyone would who has only the documentation", () => {
    const draw = randomIntegers();
    const engine = new WalletEngine();
    const encoder = new LogEncoder(EMPTY_LOG, undefined);
    const plain = new HandwrittenLog();
    for (const { command, at, sequence, index } of place(someCommands(2_000, draw))) {
      const events = engine.execute(command);
      if (events.length > 0) engine.apply(events);
      if (events.length === 0) continue;
      encoder.append(events, at, sequence, index);
      plain.command(events.map(fieldsOf), at, `${sequence}.${index}`);
    }
    expect(Buffer.from(encoder.take()?.lines ?? []).toString("latin1") === plain.text).toBe(true);
    expect(encoder.position).toEqual(plain.end);
  });
});

/** The fields of the table of the format, in its order, with the default currency left out. */
const FIELDS: Readonly<Record<WalletEvent["type"], readonly string[]>> = {
  LedgerOpened: ["format", "ledger_id", "currency", "strict"],
  AccountOpened: ["transaction_id", "account", "currency?", "initial_balance"],
  MoneyDeducted: ["transaction_id", "account", "amount", "currency?"],
  MoneyCredited: ["transaction_id", "account", "amount", "currency?"],
  TransactionFailed: [
    "transaction_id",
    "from_account",
    "reason",
    "kind",
    "to_account",
    "amount",
    "currency?",
  ],
};

function fieldsOf(event: WalletEvent): Record<string, unknown> {
  const fields = new Map<string, unknown>(Object.entries(event));
  const names = FIELDS[event.type].filter((name) => name !== "currency?" || event.currency !== "USD");
  return {
    type: event.type,
    ...Object.fromEntries(names.map((name) => [name.replace("?", ""), fields.get(name.replace("?", ""))])),
  };
}

describe("reading back", () => {
  test("gives the events that were written, and where each command ends", async () => {
    const { bytes, ends, commands } = await writeLog(place(someCommands(3_000, randomIntegers())));
    const folder = temporaryFolder();
    writeFileSync(join(folder, "events.log"), bytes);
    const read = collector();
    const reading = await readLog(
      new DiskFolder(folder, false).open("events.log", false) as AppendFile,
      read,
    );
    expect(reading).toEqual({ position: ends.at(-1) as LogPosition, size: bytes.length, break: undefined });
    expect(read.commands.map(({ end }) => end)).toEqual([...ends]);

    // The same bytes again, from what was read.
    const encoder = new LogEncoder(EMPTY_LOG, undefined);
    for (const { events, end } of read.commands) encoder.append(events, end.at, end.sequence, end.index);
    expect(Buffer.compare(encoder.take()?.lines ?? Buffer.alloc(0), bytes)).toBe(0);

    // And someone who has only the documentation reads the same.
    const independent = replayIndependently(join(folder, "events.log"));
    expect(independent.events).toBe(read.events.length);
    expect(independent.commands).toBe(ends.length);
    expect(commands.length).toBeGreaterThan(ends.length);
  });

  test("a log of several chunks is read across their borders", async () => {
    const { bytes, ends } = await writeLog(place(someCommands(14_000, randomIntegers()), 100));
    expect(bytes.length).toBeGreaterThan(3 << 20);
    const folder = temporaryFolder();
    writeFileSync(join(folder, "events.log"), bytes);
    const read = collector();
    const progress: number[] = [];
    const file = new DiskFolder(folder, false).open("events.log", false) as AppendFile;
    const reading = await readLog(file, read, (at) => progress.push(at));
    expect(reading.break).toBeUndefined();
    expect(read.commands.map(({ end }) => end.crc)).toEqual(ends.map(({ crc }) => crc));
    expect(progress.length).toBeGreaterThan(2);
    expect(progress.at(-1)).toBe(bytes.length);
  });
});
