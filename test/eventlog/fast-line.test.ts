/** Lines that are read without JSON.parse, beside line.ts: every type of event, every bit of it, every cut. */

import { describe, expect, test } from "bun:test";
import { WalletEngine } from "../../src/engine/wallet-engine.ts";
import { LogEncoder } from "../../src/eventlog/encoder.ts";
import { readFastLine } from "../../src/eventlog/fast-line.ts";
import { parseLine } from "../../src/eventlog/line.ts";
import { EMPTY_LOG } from "../../src/ports/log-position.ts";
import {
  currency,
  deposit,
  MAX,
  openAccount,
  openLedger,
  transfer,
  withdraw,
} from "../support/ledger-specs.ts";
import { FIRST_AT } from "../support/log-files.ts";

const USD = currency("USD");
const euro = { currency: "EUR" };

const COMMANDS = [
  openAccount("a"),
  openAccount("x".repeat(64), 999_999_999_999_999, euro),
  deposit("c.d:e@f+g-h_i", 1_000),
  deposit("a", 5, euro),
  withdraw("c.d:e@f+g-h_i", 10),
  transfer("c.d:e@f+g-h_i", "B", 20),
  transfer("a", "b", 3, euro),
  transfer("a", "b", 1_000_000),
  transfer("a", "b", 1_000_000, euro),
  withdraw("a", 7),
];

/** The lines of these commands, of which each comes to an event. */
function linesOf(commands: typeof COMMANDS): string[] {
  const engine = new WalletEngine();
  const encoder = new LogEncoder(EMPTY_LOG, undefined);
  for (const [index, command] of [openLedger(), ...commands].entries()) {
    const events = engine.execute(command);
    if (events.length > 0) engine.apply(events);
    encoder.append(events, FIRST_AT, 12_345, index);
  }
  return Buffer.from(encoder.take()?.lines ?? [])
    .toString("latin1")
    .split("\n")
    .slice(1, -1);
}

describe.each(linesOf(COMMANDS))("%s", (line) => {
  test("is plain, and the same", () => {
    expect(readFastLine(line, USD)).toEqual(parseLine(line, USD));
    expect(readFastLine(line, undefined)).toBeUndefined();
  });

  test("is the same with any bit flipped, wherever it is cut, and with any character twice, or not plain", () => {
    for (let at = 0; at < line.length; at++) {
      const changed = [line.slice(0, at), line.slice(at), line.slice(0, at + 1) + line.slice(at)];
      for (let bit = 0; bit < 8; bit++) {
        const flipped = String.fromCharCode(line.charCodeAt(at) ^ (1 << bit));
        changed.push(line.slice(0, at) + flipped + line.slice(at + 1));
      }
      for (const text of changed) {
        const plain = readFastLine(text, USD);
        // parseLine() throws what it would not take.
        if (plain) expect(plain).toEqual(parseLine(text, USD));
      }
    }
  });
});

test("a ledger's opening, and numbers that a double may not hold, are not plain", () => {
  for (const commands of [[openAccount("a", MAX)], [deposit("a", 10n ** 15n)]])
    expect(readFastLine(linesOf(commands)[0] as string, USD)).toBeUndefined();
  const opening = `{"seq":1,"type":"LedgerOpened","format":1}`;
  expect(readFastLine(opening, USD)).toBeUndefined();
});
