/** The readers of messages, in process: two ways to read that come to the same, and nothing read that cannot be. */

import { expect, test } from "bun:test";
import { isDeepStrictEqual } from "node:util";
import { ascii } from "../../src/wire/field-bytes.ts";
import { buildFrame, CommandWriter, UnknownCommand } from "../../src/wire/frame.ts";
import type { KnownBalances } from "../../src/wire/frame-reader.ts";
import { type Message, readMessage } from "../../src/wire/messages.ts";
import { parseCommand } from "../../src/wire/requests.ts";
import { InvalidInput } from "../../src/wire/strict-json.ts";
import { scanTransfer } from "../../src/wire/transfer-scanner.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { currency, id } from "../support/ledger-specs.ts";
import { FUZZ_TIMEOUT_MS, rounds } from "./budget.ts";
import { hostileMessage, isDamagedFrame } from "./hostile-messages.ts";

const USD = currency("USD");
const draw = randomIntegers();

const names = Array.from({ length: 10 }, (_, number) => `account-${number}`);
const currencies = ["", "EUR"];
const known: KnownBalances = {
  find(message, at, end, currencyAt, currencyEnd) {
    const name = names.indexOf(ascii(message, at, end));
    const code = currencies.indexOf(ascii(message, currencyAt, currencyEnd));
    return name < 0 || code < 0 ? undefined : 2 * name + code;
  },
};

function read<M>(reading: () => M): M | "stops the node" {
  try {
    return reading();
  } catch (error) {
    if (error instanceof UnknownCommand) return "stops the node";
    throw error;
  }
}

/** What is read with known balances, without the fast path. */
function plainly(data: Buffer): Message | "stops the node" {
  const message = read(() => readMessage(data, USD, known));
  if (message === "stops the node" || message.from !== "gateway") return message as Message;
  const commands = message.commands.map((command) => {
    if (command.kind !== "fast_transfer") return command;
    const id = data.toString("hex", command.at + 8, command.at + 24);
    return {
      kind: "transfer" as const,
      transaction_id: id.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"),
      from_account: names[command.payer >> 1],
      to_account: names[command.receiver >> 1],
      amount: command.amount,
      currency: currencies[command.payer & 1] || USD,
    };
  });
  return { ...message, commands } as Message;
}

test(
  "whatever is sent is read in one way, as commands that can be, or passed over",
  () => {
    const came = { gateway: 0, outside: 0, nobody: 0, stops: 0 };
    for (const _ of rounds(4_000)) {
      const data = hostileMessage(draw);
      const message = read(() => readMessage(data, USD));
      if (!isDeepStrictEqual(plainly(data), message))
        throw new Error(`read in two ways: ${data.toString("hex")}`);
      if (message === "stops the node") {
        expect(isDamagedFrame(data)).toBe(false);
        came.stops++;
        continue;
      }
      came[message.from]++;
      if (isDamagedFrame(data)) expect(message).toMatchObject({ from: "nobody" });
      if (message.from === "nobody") {
        expect(message.why.length).toBeLessThan(2_000);
        continue;
      }
      // What was read is what a gateway may write, and is read the same again.
      const writer = new CommandWriter();
      for (const command of message.commands) writer.add(command);
      const again = readMessage(buildFrame(new Uint8Array(16), 1, [writer.take()]), USD);
      expect(again).toMatchObject({ from: "gateway", commands: message.commands });
    }
    for (const count of Object.values(came)) expect(count).toBeGreaterThan(10);
  },
  FUZZ_TIMEOUT_MS,
);

test(
  "the scanner of requests reads nothing that the validator refuses",
  () => {
    let scanned = 0;
    for (const _ of rounds(10_000)) {
      const data = hostileMessage(draw);
      const plain = scanTransfer(data);
      if (!plain) continue;
      scanned++;
      const writer = new CommandWriter();
      if (plain.idAt >= 0) writer.addBytes(plain);
      else writer.addBytes(plain, Buffer.from(id(1)), 0);
      const frame = buildFrame(new Uint8Array(16), 1, [writer.take()]);
      const parsed = parsedOf(data);
      expect(readMessage(frame, USD)).toMatchObject({ from: "gateway", commands: [parsed] });
    }
    expect(scanned).toBeGreaterThan(5);
  },
  FUZZ_TIMEOUT_MS,
);

function parsedOf(data: Buffer) {
  try {
    return parseCommand("transfer", data, { currency: USD, newId: () => id(1) });
  } catch (error) {
    if (error instanceof InvalidInput) throw new Error(`the scanner read what is refused: ${data}`);
    throw error;
  }
}
