/** The short way of transfers in a log beside the long one: verdict by verdict, place by place, balance by balance. */

import { expect, test } from "bun:test";
import { crc32 } from "node:zlib";
import type { Command } from "../../src/domain/commands/commands.ts";
import { Replay } from "../../src/engine/replay.ts";
import { WalletEngine } from "../../src/engine/wallet-engine.ts";
import { LogEncoder } from "../../src/eventlog/encoder.ts";
import { inspectLog } from "../../src/eventlog/recovery.ts";
import type { ReadableFile } from "../../src/ports/append-file.ts";
import { EMPTY_LOG, type LogPosition } from "../../src/ports/log-position.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { deposit, id, openAccount, openLedger, transfer, withdraw } from "../support/ledger-specs.ts";
import { FIRST_AT } from "../support/log-files.ts";

type Draw = (below: number) => number;

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);
const MAX = 2n ** 63n - 1n;
const NAMES = [
  "a",
  "b",
  "rich",
  "x".repeat(64),
  "y".repeat(63),
  "c.d:e@f+g-h_i",
  "B",
  "abc",
  "abcd",
  "abcde",
];

/** A log in memory, of which at most `most()` bytes are read at once. */
class MemoryLog implements ReadableFile {
  constructor(
    private readonly bytes: Buffer,
    private readonly most: () => number = () => Number.POSITIVE_INFINITY,
  ) {}

  size(): number {
    return this.bytes.length;
  }

  read(into: Uint8Array, at: number): number {
    const length = Math.max(0, Math.min(into.length, this.bytes.length - at, this.most()));
    into.set(this.bytes.subarray(at, at + length));
    return length;
  }
}

/** All that reading the log comes to. `short` is how many transfers went the short way. */
async function read(file: ReadableFile, mark: LogPosition | undefined, shortWay: boolean) {
  const engine = new WalletEngine();
  const replay = new Replay(engine);
  let short = 0;
  const transfers: Replay["transfers"] = (logged) => {
    const taken = replay.transfers(logged);
    short += taken;
    return taken;
  };
  const finding = await inspectLog(file, mark, {
    command: replay.command,
    ...(shortWay && { begins: replay.begins, transfers }),
  }).catch((error: Error) => `${error.name}: ${error.message}`);
  const last = replay.lastEvents();
  const { ledger } = engine;
  const balances = [...ledger.balances]
    .map(({ account, currency, available, frozen, initial }) => [
      account,
      currency,
      available,
      frozen,
      initial,
    ])
    .sort((a, b) => (String(a) < String(b) ? -1 : 1));
  const decided = Array.from({ length: 120 }, (_, number) => ledger.transactions.find(id(number)));
  const { commands } = replay;
  const size = ledger.transactions.size;
  return { short, came: { finding, last, commands, balances, decided, size, seq: ledger.seq } };
}

/** Expects that both ways come to the same; returns how many transfers went the short way, and the verdict. */
async function expectSame(bytes: Buffer, mark?: LogPosition, most?: () => number) {
  const long = await read(new MemoryLog(bytes), mark, false);
  const { short, came } = await read(new MemoryLog(bytes, most), mark, true);
  if (!Bun.deepEquals(came, long.came))
    expect({ log: bytes.toString("latin1"), ...came }).toEqual({
      log: bytes.toString("latin1"),
      ...long.came,
    });
  const { finding } = came;
  return { short, state: typeof finding === "string" ? "thrown" : finding.state };
}

function someAmount(draw: Draw): bigint {
  if (draw(3) > 0) return BigInt(1 + draw(draw(2) === 0 ? 60 : 2_000_000_000));
  const around = [100n, 999_999_999n, 2n ** 31n, 2n ** 32n, 10n ** 15n, MAX_SAFE, MAX - 2n][
    draw(7)
  ] as bigint;
  return around + BigInt(draw(5)) - 2n;
}

function someCommand(draw: Draw, number: number): Command {
  const more = {
    id: id(draw(15) === 0 ? 1 + draw(number) : number),
    currency: draw(12) === 0 ? "EUR" : "USD",
  };
  const from = draw(NAMES.length);
  const payer = NAMES[from] as string;
  const receiver = NAMES[(from + 1 + draw(NAMES.length - 1)) % NAMES.length] as string;
  const kind = draw(12);
  if (kind === 0) return openAccount(receiver, someAmount(draw), more);
  if (kind === 1) return deposit(receiver, someAmount(draw), more);
  if (kind === 2) return withdraw(payer, someAmount(draw), more);
  return transfer(payer, receiver, someAmount(draw), more);
}

interface Written {
  readonly bytes: Buffer;
  readonly ends: readonly LogPosition[];
}

/** The log of these commands, in messages of a few each. */
function written(commands: readonly Command[], draw: Draw): Written {
  const engine = new WalletEngine();
  const encoder = new LogEncoder(EMPTY_LOG, undefined);
  const ends: LogPosition[] = [];
  let [at, sequence, index] = [FIRST_AT, 1, 0];
  for (const command of commands) {
    const events = engine.execute(command);
    if (events.length > 0) engine.apply(events);
    if (events.length > 0) {
      encoder.append(events, at, sequence, index);
      ends.push(encoder.position);
    }
    index++;
    if (draw(4) > 0) continue;
    [at, sequence, index] = [at + draw(9), sequence + 1 + draw(200), 0];
  }
  return { bytes: Buffer.from(encoder.take()?.lines ?? []), ends };
}

function someLog(draw: Draw, count: number, strict = false): Written {
  const rich = deposit("rich", MAX_SAFE / 2n, { id: id(119) });
  const opened = NAMES.slice(strict ? 0 : 3).map((name, index) =>
    openAccount(name, 2_000_000_000, { id: id(100 + index) }),
  );
  const opening = [openLedger({ strict }), ...opened, rich];
  const commands = Array.from({ length: count }, (_, number) => someCommand(draw, number + 1));
  return written([...opening, ...commands], draw);
}

const CRC = /,"crc":"[^"]*"\}$/;

/** The lines with crcs that fit, and with their numbers in order where that is asked for. */
function sealed(text: string, numbered: boolean): Buffer {
  let crc = 0;
  let command = "";
  const lines = text.split("\n").map((line, index) => {
    const whole = numbered ? line.replace(/^\{"seq":[0-9]+/, `{"seq":${index + 1}`) : line;
    const covered = whole.replace(CRC, "");
    command += covered;
    if (covered === whole) {
      command += "\n";
      return whole;
    }
    crc = crc32(Buffer.from(command, "latin1"), crc);
    command = "";
    return `${covered},"crc":"${crc.toString(16).padStart(8, "0")}"}`;
  });
  return Buffer.from(lines.join("\n"), "latin1");
}

/** What someone may do to a line's text. */
const SPELLINGS: readonly [RegExp, (found: string, draw: Draw) => string][] = [
  [/"seq":/, () => '"seq":0'],
  [/"seq":/, () => '"seq": '],
  [/"amount":/, () => '"amount":0'],
  [/"amount":[0-9]+/, (_, draw) => `"amount":${someAmount(draw)}`],
  [/"amount":[0-9]+/, () => '"amount":0'],
  [/"amount":[0-9]+/, (found) => `${found}.0`],
  [/"amount":[0-9]+/, (found) => `${found}e0`],
  [/"amount":[0-9]+/, (found) => found.replace(":", ":-")],
  [/"amount":[0-9]+/, (found) => `${found},"note":"x"`],
  [/"amount":[0-9]+/, (found) => `${found},"currency":"USD"`],
  [/"amount":[0-9]+/, (found) => `${found},"currency":"EUR"`],
  [/"at":[0-9]+/, () => '"at":0'],
  [/"at":1/, () => '"at":01'],
  [/"at":1/, () => '"at":9007199254740991'],
  [/"at":[0-9]+/, (found, draw) => `"at":${Number(found.slice(5)) + draw(9) - 4}`],
  [/"command":"/, () => '"command":"0'],
  [/"command":"/, () => '"command":"123456789012345'],
  [/"command":"[0-9]+\./, (found) => `${found}0`],
  [/"command":"[0-9]+\.[0-9]+/, (found, draw) => found.replace(/[0-9]+$/, String(draw(4)))],
  [/"command":"[0-9]+\.[0-9]+/, (found) => found.replace(/[0-9]+$/, "9999999999")],
  [/"command":"[0-9]+\.[0-9]+/, (found) => found.replace(/[0-9]+$/, "10000000000")],
  [/"command":"[0-9]+/, (found, draw) => `"command":"${Number(found.slice(11)) + draw(5) - 2}`],
  [/"account":"./, () => '"account":"\\u0061'],
  [/"account":"[^"]*"/, (_, draw) => `"account":"${NAMES[draw(NAMES.length)]}"`],
  [/"account":"[^"]*"/, () => '"account":"@world"'],
  [/"account":"[^"]*"/, () => '"account":""'],
  [/"account":"[^"]*"/, () => `"account":"${"z".repeat(65)}"`],
  [/"transaction_id":"[^"]*"/, (found) => found.replace("b5c0", "B5C0")],
  [/"transaction_id":"[^"]*"/, (found) => found.replace("-7000", "07000")],
  [/"transaction_id":"[^"]*"/, (_, draw) => `"transaction_id":"${id(draw(60))}"`],
  [/"type":"MoneyDeducted"/, () => '"type":"MoneyCredited"'],
  [/"type":"MoneyCredited"/, () => '"type":"MoneyDeducted"'],
  [/"type":/, () => '"more":1,"type":'],
  [/$/, () => " "],
  [/$/, () => "\r"],
  [/^/, () => " "],
];

/** Changes the log's text in one place or a few. */
function damaged(text: string, draw: Draw): string {
  const lines = text.split("\n");
  const at = draw(lines.length - 1);
  const line = lines[at] as string;
  const byte = draw(text.length);
  switch (draw(8)) {
    case 0:
      return text.slice(0, byte) + String.fromCharCode(draw(256)) + text.slice(byte + 1);
    case 1:
      return text.slice(0, byte) + text.slice(byte + 1 + draw(3));
    case 2:
      return text.slice(0, byte) + text.slice(byte, byte + 40) + text.slice(byte);
    case 3: {
      const other = draw(lines.length - 1);
      [lines[at], lines[other]] = [lines[other] as string, line];
      return lines.join("\n");
    }
    case 4:
      // A command or a half of one, once more in another place.
      lines.splice(draw(lines.length), 0, ...lines.slice(at, at + 1 + draw(2)));
      return lines.join("\n");
    case 5:
      lines.splice(at, 1 + draw(2));
      return lines.join("\n");
    default: {
      const [pattern, change] = SPELLINGS[draw(SPELLINGS.length)] as (typeof SPELLINGS)[number];
      // Often in both lines of a transfer.
      for (const place of draw(2) === 0 ? [at] : [at, at + 1])
        lines[place] = (lines[place] ?? "").replace(pattern, (found) => change(found, draw));
      return lines.join("\n");
    }
  }
}

const draw = randomIntegers();

for (const strict of [false, true]) {
  test(`random logs come to the same, ${strict ? "strict" : "not strict"}`, async () => {
    let short = 0;
    for (let round = 0; round < 100; round++) {
      const { bytes, ends } = someLog(draw, 200, strict);
      const torn = draw(3) === 0 ? draw(300) : 0;
      const whole = await expectSame(bytes.subarray(0, bytes.length - torn), ends[draw(ends.length)]);
      short += whole.short;
    }
    expect(short).toBeGreaterThan(100 * 20); // the short way was taken
  }, 60_000);
}

test("wherever the log is read in pieces", async () => {
  const { bytes, ends } = someLog(draw, 60);
  for (const most of [1, 7, 100, 290, 1_000]) {
    const { state } = await expectSame(bytes, ends[30], () => 1 + draw(most));
    expect(state).toBe("whole");
  }
}, 60_000);

test("wherever the mark stands, and whatever it says", async () => {
  const { bytes, ends } = someLog(draw, 40);
  for (const end of ends) {
    expect((await expectSame(bytes, end)).state).toBe("whole");
    for (const mark of [
      { ...end, crc: end.crc ^ 1 },
      { ...end, seq: end.seq + 1 },
      { ...end, bytes: end.bytes - 1 },
    ])
      expect((await expectSame(bytes, mark)).state).toBe("damaged");
    await expectSame(bytes.subarray(0, end.bytes + draw(100)), end);
  }
});

test("with any bit of it flipped", async () => {
  const commands = [
    openLedger(),
    deposit("a", 1_000, { id: id(1) }),
    transfer("a", "b", 300, { id: id(2) }),
    transfer("a", "b", 20, { id: id(3) }),
  ];
  const { bytes, ends } = written(commands, () => 1);
  expect((await expectSame(bytes)).short).toBe(1);
  for (let at = 0; at < bytes.length; at++) {
    // Of the opening and the deposit, which are no transfers, one bit a byte is enough.
    for (const bit of at < ends[1]!.bytes ? [draw(8)] : [0, 1, 2, 3, 4, 5, 6, 7]) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] as number) ^ (1 << bit);
      const { state } = await expectSame(flipped);
      if (state === "whole") throw new Error(`bit ${bit} of byte ${at} flipped, and nobody saw it`);
      if (draw(3) === 0) await expectSame(sealed(flipped.toString("latin1"), false));
    }
  }
}, 60_000);

test("with bytes, lines and spellings changed, and crcs that fit", async () => {
  const states = new Map<string, number>();
  let short = 0;
  for (let round = 0; round < 2_500; round++) {
    const { bytes, ends } = someLog(draw, 4 + draw(20));
    let text = bytes.toString("latin1");
    for (let changes = 1 + draw(2); changes > 0; changes--) text = damaged(text, draw);
    const changed = draw(10) === 0 ? Buffer.from(text, "latin1") : sealed(text, draw(4) > 0);
    const came = await expectSame(changed, draw(3) === 0 ? ends[draw(ends.length)] : undefined);
    states.set(came.state, (states.get(came.state) ?? 0) + 1);
    short += came.short;
  }
  expect(short).toBeGreaterThan(2_500);
  for (const state of ["whole", "damaged", "torn"]) expect(states.get(state)).toBeGreaterThan(20);
}, 60_000);
