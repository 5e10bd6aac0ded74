/** Compares every balance of topic `ledger` with the log, each partition as of its own commit_offset. */

import type { LoggedCommand } from "../ports/log-feed.ts";
import { crcText } from "../ports/log-position.ts";
import type { SqlConnection } from "../ports/sql-connection.ts";
import { keyOf } from "./batch/netting.ts";
import everyBalance from "./every-balance.sql" with { type: "text" };
import fetchBalances from "./fetch-balances.sql" with { type: "text" };
import { changesOf } from "./ledger-source.ts";
import { inTransaction } from "./migrate.ts";
import { partitionOf } from "./partition-of.ts";
import { type PartitionState, partitionStates } from "./state.ts";

export type Comparison =
  | { readonly difference: string }
  /** `offset`: the lowest of the partitions; `written`: whether any of them was ever written. */
  | { readonly balances: number; readonly offset: number; readonly written: boolean };

interface Holding {
  available: bigint;
  frozen: bigint;
}

interface BalanceRow {
  readonly account_id: string;
  readonly currency_code: string;
  readonly available: bigint;
  readonly frozen: bigint;
}

/** `read` gives every committed command of the log, in order. Changes nothing. */
export async function compareBalances(
  connection: SqlConnection,
  read: (visit: (command: LoggedCommand) => void) => Promise<void>,
): Promise<Comparison> {
  return await inTransaction(
    connection,
    async () => {
      const partitions = (await partitionStates(connection)).partitions.filter(
        ({ topic }) => topic === "ledger",
      );
      const log = await balancesAt(partitions, read);
      if ("difference" in log) return log;
      const balances = log.size;
      const difference = await firstDifference(connection, log);
      if (difference !== undefined) return { difference };
      const offsets = partitions.map(({ offset }) => offset);
      return { balances, offset: Math.min(...offsets), written: Math.max(...offsets) > 0 };
    },
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
  );
}

/** The log's balances, where each partition stands. */
async function balancesAt(
  partitions: readonly PartitionState[],
  read: (visit: (command: LoggedCommand) => void) => Promise<void>,
): Promise<Map<string, Holding> | { readonly difference: string }> {
  const holdings = new Map<string, Holding>();
  const unmet = new Map(partitions.map((state) => [state.partition, state]));
  for (const { partition, offset } of partitions) if (offset === 0) unmet.delete(partition);
  const differences: string[] = [];
  let lastSeq = 0;
  await read((command) => {
    const { seq, crc } = command.end;
    lastSeq = seq;
    for (const change of changesOf(command)) {
      const state = partitions[partitionOf(change.account, partitions.length)];
      if (!state || seq > state.offset) continue;
      const key = keyOf(change);
      const holding = holdings.get(key) ?? { available: 0n, frozen: 0n };
      holding.available += change.availableDelta;
      holding.frozen += change.frozenDelta;
      holdings.set(key, holding);
    }
    for (const { partition, offset, crc: committed } of unmet.values()) {
      if (seq < offset) continue;
      unmet.delete(partition);
      const here = seq === offset ? crcText(crc) : "no command that ends at that position";
      if (here !== committed)
        differences.push(
          `partition ${partition} has crc ${committed} at seq ${offset}, but the log has ${here}`,
        );
    }
  });
  for (const { partition, offset } of unmet.values())
    differences.push(`partition ${partition} is written up to seq ${offset}, but the log ends at ${lastSeq}`);
  return differences[0] === undefined ? holdings : { difference: differences[0] };
}

async function firstDifference(
  connection: SqlConnection,
  log: Map<string, Holding>,
): Promise<string | undefined> {
  await connection.run(everyBalance);
  for (;;) {
    const rows = await connection.query<BalanceRow>(fetchBalances);
    if (rows.length === 0) break;
    for (const { account_id, currency_code, available, frozen } of rows) {
      const key = keyOf({ account: account_id, currency: currency_code });
      const holding = log.get(key);
      if (!holding) return `${key}: the database has a balance, but the log has none`;
      if (holding.available !== available || holding.frozen !== frozen)
        return `${key}: the database has ${available} available and ${frozen} frozen, but the log has ${holding.available} and ${holding.frozen}`;
      log.delete(key);
    }
  }
  const [missing] = log.keys();
  return missing === undefined ? undefined : `${missing}: the log has a balance, but the database has none`;
}
