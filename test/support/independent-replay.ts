/**
 * Replays a log by the table of its format alone. Shares no code with src/, on purpose: it is what anyone
 * could write who has only the documentation.
 */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

export interface IndependentReplay {
  readonly digest: string;
  readonly balances: ReadonlyMap<string, { available: bigint; frozen: bigint }>;
  // biome-ignore lint/suspicious/noExplicitAny: lines are looked at field by field
  readonly lines: readonly any[];
}

/** Balances are under `account,currency`. */
export function replayIndependently(path: string): IndependentReplay {
  const text = readFileSync(path, "utf8");
  const rows = text.slice(0, text.lastIndexOf("\n")).split("\n");
  const balances = new Map<string, { available: bigint; frozen: bigint }>();
  // Amounts may not fit a double: take them as bigints from the text itself.
  const lines = rows.map((row) =>
    JSON.parse(row.replace(/"(amount|initial_balance)":([0-9]+)/g, '"$1":"$2"')),
  );
  const usual = lines[0].currency;
  const change = (account: string, currency: string | undefined, available: bigint, frozen = 0n) => {
    const key = `${account},${currency ?? usual}`;
    const balance = balances.get(key) ?? { available: 0n, frozen: 0n };
    balances.set(key, { available: balance.available + available, frozen: balance.frozen + frozen });
  };
  for (const line of lines) {
    const amount = BigInt(line.amount ?? line.initial_balance ?? 0);
    if (line.type === "AccountOpened") {
      change(line.account, line.currency, amount);
      change("@world", line.currency, -amount);
    }
    if (line.type === "MoneyDeducted") change(line.account, line.currency, -amount);
    if (line.type === "MoneyCredited") change(line.account, line.currency, amount);
  }
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
  return { digest: hash.digest("hex"), balances, lines };
}
