/**
 * Records golden streams that are missing: `bun test/golden/record.ts`. Existing ones are never replaced, for
 * they say what earlier versions decided.
 */

import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Command, Transfer } from "../../src/domain/commands/commands.ts";
import type { QueueMessage } from "../../src/ports/command-queue.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { foreign, frame, json, recordStream } from "../support/command-streams.ts";
import { deposit, id, openAccount, openLedger, transfer, withdraw } from "../support/ledger-specs.ts";
import { FIRST_AT } from "../support/log-files.ts";
import { consume } from "../support/recorded-stream.ts";
import { messagesText } from "./golden-streams.ts";

/** Transfers between open accounts in the default currency, most of them several a frame. */
function plain(): Uint8Array[] {
  const names = Array.from({ length: 8 }, (_, number) => `account-${number}`);
  let next = 1;
  const opened = names.map((name) => openAccount(name, 1_000_000, { id: id(next++) }));
  const transfers = Array.from({ length: 600 }, (_, number) =>
    transfer(
      names[number % 8] as string,
      names[(number * 5 + 1 + (number % 3)) % 8] as string,
      1 + number * 7,
      {
        id: id(next++),
      },
    ),
  ).filter(({ from_account, to_account }) => from_account !== to_account);
  return [frame([openLedger()]), frame(opened, 2), ...frames(transfers, 37)];
}

/** Openings, deposits and withdrawals in two currencies, amounts around the limits of doubles and int64. */
function moves(): Uint8Array[] {
  const commands: Command[] = [];
  let next = 1;
  const more = (currency: string) => ({ id: id(next++), currency });
  for (const currency of ["USD", "EUR"]) {
    for (const value of [0, 1, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 62n]) {
      commands.push(openAccount(`opened-${value}`, value, more(currency)));
      commands.push(openAccount(`opened-${value}`, value, more(currency)));
    }
    for (const value of [1, 99, 2n ** 53n - 1n, 2n ** 53n + 1n, 2n ** 62n, 2n ** 63n - 1n]) {
      commands.push(deposit("till", value, more(currency)));
      commands.push(withdraw("till", value, more(currency)));
      commands.push(withdraw("till", value, more(currency)));
      commands.push(transfer("opened-1", `to.${value}@x`, 1, more(currency)));
      commands.push(transfer(`opened-${2n ** 53n}`, "till", value, more(currency)));
    }
  }
  return [frame([openLedger({ strict: false })]), ...frames(commands, 5)];
}

/** A strict ledger whose frames repeat ids, with the same content and with other content, and JSON messages. */
function repeats(): Uint8Array[] {
  const first = [openAccount("a", 500, { id: id(1) }), openAccount("b", 0, { id: id(2) })];
  const moved = [
    transfer("a", "b", 100, { id: id(3) }),
    transfer("a", "b", 100, { id: id(3) }),
    transfer("a", "b", 101, { id: id(3) }),
    transfer("b", "a", 100, { id: id(3) }),
    transfer("a", "nobody", 1, { id: id(4) }),
    transfer("a", "nobody", 1, { id: id(4) }),
    transfer("a", "b", 9_999, { id: id(5) }),
    deposit("b", 9_999, { id: id(5) }),
    transfer("a", "b", 9_999, { id: id(5) }),
    openAccount("a", 500, { id: id(6) }),
    openAccount("a", 501, { id: id(7) }),
    openAccount("c", 7, { id: id(1) }),
    withdraw("b", 100, { id: id(8) }),
    withdraw("b", 100, { id: id(8) }),
  ];
  return [
    frame([openLedger({ strict: true, currency: "XAU" })]),
    frame(first, 2),
    frame(moved, 3),
    frame(moved, 4, 2),
    json(moved.filter((command): command is Transfer => command.kind === "transfer").map(foreign)),
    json(foreign(transfer("a", "b", 3, { id: id(9), currency: "XAU" }))),
    json({ not: "a transfer" }),
    frame([openLedger({ strict: false })], 5),
    frame([transfer("a", "b", 1, { id: id(10), currency: "XAU" })], 6),
  ];
}

function frames(commands: readonly Command[], size: number): Uint8Array[] {
  const made: Uint8Array[] = [];
  for (let from = 0; from < commands.length; from += size)
    made.push(frame(commands.slice(from, from + size), made.length + 10));
  return made;
}

function stream(messages: readonly Uint8Array[]): QueueMessage[] {
  return messages.map((data, number) => ({
    sequence: number + 1,
    at: FIRST_AT + 3 * number - (number % 5),
    data,
  }));
}

/** A mixture of everything, drawn once. */
function mixed(): QueueMessage[] {
  let state = 20_261_130;
  const draw = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
  return recordStream(150, draw);
}

const streams: Readonly<Record<string, () => QueueMessage[]>> = {
  plain: () => stream(plain()),
  moves: () => stream(moves()),
  repeats: () => stream(repeats()),
  mixed,
};

for (const [name, record] of Object.entries(streams)) {
  const path = join(import.meta.dir, `${name}.messages`);
  if (existsSync(path)) continue;
  const messages = record();
  const { bytes } = await consume(temporaryFolder(), messages);
  writeFileSync(path, messagesText(messages));
  writeFileSync(join(import.meta.dir, `${name}.log`), bytes);
  console.log(`${name}: ${messages.length} messages, ${bytes.length} bytes of log`);
}
