/**
 * Replays a log by the documentation of its format alone. Shares no code with src/, on purpose: it is what
 * anyone could write who has only that page.
 *
 * It believes nothing: a seq, crc, time or command that does not fit, a balance below zero, or money that
 * was made or lost, throws. What follows the last committed command is left out.
 */

import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { crc32 } from "node:zlib";

// biome-ignore lint/suspicious/noExplicitAny: lines are looked at field by field
export type LogLine = any;

export interface IndependentBalance {
  available: bigint;
  frozen: bigint;
}

export interface IndependentReplay {
  readonly digest: string;
  /** Under `account,currency`. */
  readonly balances: ReadonlyMap<string, IndependentBalance>;
  /** Amounts are strings. Empty where `visit` was given. */
  readonly lines: readonly LogLine[];
  /** How many committed lines there are. */
  readonly events: number;
  readonly commands: number;
}

/** `visit` is given the lines of each committed command; without it all are kept. */
export function replayIndependently(
  path: string,
  visit?: (lines: readonly LogLine[]) => void,
): IndependentReplay {
  const balances = new Map<string, IndependentBalance>();
  const kept: LogLine[] = [];
  let usual = "";
  const change = (account: string, currency = usual, available: bigint, frozen: bigint) => {
    const key = `${account},${currency}`;
    const balance = balances.get(key) ?? { available: 0n, frozen: 0n };
    balances.set(key, balance);
    balance.available += available;
    balance.frozen += frozen;
    if (account !== "@world" && (balance.available < 0n || balance.frozen < 0n))
      throw new Error(`${key} went below zero`);
    return available + frozen;
  };
  const apply = (line: LogLine): bigint => {
    const { type, account, currency } = line;
    const amount = BigInt(line.amount ?? line.initial_balance ?? 0);
    switch (type) {
      case "LedgerOpened":
        usual = currency;
        return 0n;
      case "AccountOpened":
        return change(account, currency, amount, 0n) + change("@world", currency, -amount, 0n);
      case "MoneyDeducted":
        return change(account, currency, -amount, 0n);
      case "MoneyCredited":
        return change(account, currency, amount, 0n);
      case "TransactionFailed":
        return 0n;
      case "FundsHeld":
        return change(account, currency, -amount, amount);
      case "HoldCaptured":
        return change(account, currency, 0n, -amount);
      case "HoldReleased":
        return change(account, currency, amount, -amount);
      default:
        throw new Error(`${type} is not in the table`);
    }
  };

  let events = 0;
  let commands = 0;
  let crc = 0;
  let at = 0;
  let last: readonly [number, number] = [0, -1];
  let command: LogLine[] = [];
  let bytes = "";
  for (const row of rowsOf(path)) {
    // Amounts may not fit a double: take them as text.
    const line = JSON.parse(row.replace(/"(amount|initial_balance)":([0-9]+)/g, '"$1":"$2"'));
    command.push(line);
    if (line.seq !== events + command.length)
      throw new Error(`line ${events + command.length} has seq ${line.seq}`);
    if ((line.type === "LedgerOpened") !== (line.seq === 1))
      throw new Error("a log begins with LedgerOpened, and has no other");
    if (line.crc === undefined) {
      bytes += `${row}\n`;
      continue;
    }
    bytes += row.slice(0, row.lastIndexOf(',"crc":'));
    crc = crc32(bytes, crc);
    if (line.crc !== crc.toString(16).padStart(8, "0"))
      throw new Error(`the crc at seq ${line.seq} is wrong`);
    const [message, index] = line.command.split(".").map(Number) as [number, number];
    if (message < last[0] || (message === last[0] && index <= last[1]))
      throw new Error(`command ${line.command} at seq ${line.seq} comes after ${last.join(".")}`);
    if (line.at < at) throw new Error(`time runs backwards at seq ${line.seq}`);
    let sum = 0n;
    for (const event of command) sum += apply(event);
    if (sum !== 0n) throw new Error(`the command that ends at seq ${line.seq} made ${sum}`);
    if (visit) visit(command);
    else kept.push(...command);
    [last, at] = [[message, index], line.at];
    events += command.length;
    commands++;
    command = [];
    bytes = "";
  }

  const sums = new Map<string, bigint>();
  for (const [key, { available, frozen }] of balances) {
    const currency = key.split(",")[1]!;
    sums.set(currency, (sums.get(currency) ?? 0n) + available + frozen);
  }
  for (const [currency, sum] of sums) if (sum !== 0n) throw new Error(`all ${currency} adds up to ${sum}`);

  const hash = createHash("sha256");
  const keys = [...balances.keys()].sort((a, b) => {
    const [left, right] = [a.split(","), b.split(",")] as [string[], string[]];
    return (
      Buffer.compare(Buffer.from(left[0]!), Buffer.from(right[0]!)) ||
      Buffer.compare(Buffer.from(left[1]!), Buffer.from(right[1]!))
    );
  });
  for (const key of keys) {
    const { available, frozen } = balances.get(key)!;
    hash.update(`${key},${available},${frozen}\n`);
  }
  return { digest: hash.digest("hex"), balances, lines: kept, events, commands };
}

/** The whole lines of a file; what follows the last line end is left out. */
function* rowsOf(path: string): Generator<string> {
  const file = openSync(path, "r");
  try {
    const chunk = Buffer.alloc(1 << 20);
    let rest = "";
    for (let read = readSync(file, chunk); read > 0; read = readSync(file, chunk)) {
      const rows = (rest + chunk.toString("latin1", 0, read)).split("\n");
      rest = rows.pop()!;
      yield* rows;
    }
  } finally {
    closeSync(file);
  }
}
