/**
 * The engine alone: reads frames, decides their transfers and encodes the lines, without queue, disk and HTTP.
 * Plain transfers beside transfers in another currency, and between accounts with frozen money, in alternating
 * rounds; prints medians and their ratios. Run by `bun bench/engine-paths.ts`.
 */

import type { Money } from "../src/domain/amount.ts";
import type { Command, Transfer } from "../src/domain/commands/commands.ts";
import type { AccountId, Currency, TransactionId } from "../src/domain/names.ts";
import { PREPARED_TRANSFERS, WalletEngine } from "../src/engine/wallet-engine.ts";
import { LogEncoder } from "../src/eventlog/encoder.ts";
import { EMPTY_LOG } from "../src/ports/log-position.ts";
import { buildFrame, CommandWriter } from "../src/wire/frame.ts";
import { readMessage } from "../src/wire/messages.ts";

const ACCOUNTS = 1_000;
const FRAMES = 200;
const FRAME_TRANSFERS = 1_000;
const ROUNDS = 15;
const USD = "USD" as Currency;

interface Shape {
  readonly name: string;
  readonly currency: Currency;
  readonly frozen: number;
}

const SHAPES: readonly Shape[] = [
  { name: "plain", currency: USD, frozen: 0 },
  { name: "another currency", currency: "EUR" as Currency, frozen: 0 },
  { name: "frozen money", currency: USD, frozen: 500 },
];

let nextId = 1;

function id(): TransactionId {
  const digits = (nextId++).toString(16).padStart(12, "0");
  return `0190b5c0-0000-7000-8000-${digits}` as TransactionId;
}

function frames({ currency }: Shape): Uint8Array[] {
  return Array.from({ length: FRAMES }, (_, number) => {
    const writer = new CommandWriter();
    for (let index = 0; index < FRAME_TRANSFERS; index++) {
      const from = (number * 7 + index * 13) % ACCOUNTS;
      const command: Transfer = {
        kind: "transfer",
        transaction_id: id(),
        from_account: `account-${from}` as AccountId,
        to_account: `account-${(from + 1 + (index % 17)) % ACCOUNTS}` as AccountId,
        amount: 1 as Money,
        currency,
      };
      writer.add(command);
    }
    return buildFrame(new Uint8Array(16), number + 1, [writer.take()]);
  });
}

/** Microseconds of processor time a transfer. */
function round(shape: Shape): number {
  const engine = new WalletEngine([1, 2]);
  const encoder = new LogEncoder(EMPTY_LOG, undefined);
  const opening: Command = {
    kind: "open_ledger",
    format: 1,
    ledger_id: id(),
    currency: USD,
    strict: false,
  };
  const opened = engine.execute(opening);
  engine.apply(opened);
  encoder.append(opened, 1, 1, 0);
  for (let account = 0; account < ACCOUNTS; account++)
    engine.ledger.balances.restore(
      `account-${account}` as AccountId,
      shape.currency,
      1_000_000 as Money,
      shape.frozen as Money,
    );
  const messages = frames(shape);
  const before = process.cpuUsage();
  let sequence = 2;
  for (const data of messages) {
    const content = readMessage(data, USD, engine.balances);
    if (content.from !== "gateway") throw new Error("a frame is not read");
    const { commands } = content;
    for (let index = 0; index < commands.length; index++) {
      const prepared = index % PREPARED_TRANSFERS;
      if (prepared === 0) engine.prepare(data, commands, index);
      const command = commands[index];
      if (command?.kind !== "fast_transfer" || !engine.transfer(command, prepared))
        throw new Error(`${shape.name}: a transfer that is not fast`);
      encoder.appendTransfer(data, command.at, command.amount, 1, sequence, index);
    }
    encoder.take();
    sequence++;
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / (FRAMES * FRAME_TRANSFERS);
}

const times = new Map<string, number[]>(SHAPES.map(({ name }) => [name, []]));
for (let number = 0; number <= ROUNDS; number++)
  for (const shape of SHAPES) {
    const time = round(shape);
    if (number > 0) times.get(shape.name)?.push(time); // the first compiles
  }
const medians = SHAPES.map(({ name }) => {
  const sorted = (times.get(name) ?? []).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] as number;
});
for (const [index, { name }] of SHAPES.entries())
  console.log(
    `${name.padEnd(18)} ${(medians[index] as number).toFixed(3)} us a transfer, ${((medians[index] as number) / (medians[0] as number)).toFixed(2)} x plain`,
  );
