/** The ledger's topic in PostgreSQL, without a node: a log, writers that follow it, and what must come out. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { SQL } from "bun";
import { DiskFolder } from "../../src/eventlog/disk.ts";
import { DurableLogFeed } from "../../src/eventlog/feed.ts";
import type { AppendFile } from "../../src/ports/append-file.ts";
import type { SqlConnect } from "../../src/ports/sql-connection.ts";
import type { ChangeWriter } from "../../src/postgres/balance-changes.ts";
import { PostgresLeaderLock } from "../../src/postgres/leader-lock.ts";
import { LedgerSource } from "../../src/postgres/ledger-source.ts";
import { partitionOf } from "../../src/postgres/partition-of.ts";
import { PostgresWriter } from "../../src/postgres/postgres-writer.ts";
import { systemClock } from "../../src/runtime/system-clock.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import { markOf, place, someCommands, type WrittenLog, writeLog } from "./log-files.ts";

export const LEASE_MS = 1_500;

/** A folder with the log of some commands, whole and marked. */
export async function ledgerFolder(
  count: number,
  draw: (below: number) => number,
): Promise<{ folder: string; log: WrittenLog }> {
  const folder = temporaryFolder();
  const log = await writeLog(place(someCommands(count, draw)));
  writeFileSync(join(folder, "events.log"), log.bytes);
  writeFileSync(join(folder, "events.mark"), await markOf(log.ends.at(-1)!));
  return { folder, log };
}

/** A log on disk, which is durable up to wherever a test says. */
export class FollowedLog {
  readonly feed: DurableLogFeed;
  #command: number;

  constructor(
    folder: string,
    private readonly log: WrittenLog,
    command = log.ends.length - 1,
  ) {
    this.#command = command;
    const file = new DiskFolder(folder, false).open("events.log", false) as AppendFile;
    this.feed = new DurableLogFeed(file, () => this.log.ends[this.#command]!);
  }

  get seq(): number {
    return this.feed.durable.seq;
  }

  growTo(command: number): void {
    this.#command = Math.min(command, this.log.ends.length - 1);
    this.feed.grown();
  }
}

export interface WriterOptions {
  readonly partitions?: number;
  readonly name?: string;
  readonly leaseMs?: number;
  readonly writer?: ChangeWriter;
  readonly report?: (line: string) => void;
}

/** A writer of topic ledger. */
export function ledgerWriter(
  connect: SqlConnect,
  feed: DurableLogFeed,
  { partitions = 1, name = "a node", leaseMs = LEASE_MS, writer, report = () => {} }: WriterOptions = {},
): PostgresWriter {
  return new PostgresWriter(
    {
      connect,
      lock: (connection, topic, partition) =>
        new PostgresLeaderLock(connection, systemClock, {
          topic,
          partition,
          serviceId: name,
          leaseMs,
        }),
      source: (topic, partition) =>
        topic === "ledger" ? new LedgerSource(feed, systemClock, partition, partitions) : undefined,
      clock: systemClock,
      report: (level, message, facts) => report(JSON.stringify({ level, message, ...facts })),
    },
    { postgresPartitions: partitions, postgresLeaseMs: leaseMs },
    ...(writer ? [writer] : []),
  );
}

/** What a test asks the database, on a connection of its own. */
export class Asking {
  readonly sql: SQL;

  constructor(readonly url: string) {
    this.sql = new SQL({ url, max: 2, bigint: true });
  }

  async offset(): Promise<number> {
    // There is no table before the first migration.
    const [there] = await this.sql`SELECT to_regclass('topic_commit_offsets') IS NOT NULL AS there`;
    if (!there.there) return 0;
    const [row] = await this.sql`SELECT commit_offset FROM topic_commit_offsets WHERE topic = 'ledger'`;
    return Number(row?.commit_offset ?? 0);
  }

  async lock(partition = 0): Promise<{
    leader_svc_id: string | null;
    fencing_token: bigint;
    commit_offset: bigint;
    backend_pid: number;
    expires_ms: number;
  }> {
    const [row] = await this.sql`
      SELECT *, (extract(epoch FROM expires_at) * 1000)::float8 AS expires_ms
      FROM partition_leader_locks WHERE topic = 'ledger' AND partition = ${partition}`;
    return row;
  }

  async reached(seq: number): Promise<void> {
    await eventually(`seq ${seq} is written`, async () => (await this.offset()) >= seq);
  }

  /** Every balance is that of the log, by the documentation of its format alone; and each change is there once. */
  async mustEqual(logPath: string, partitions = 1): Promise<void> {
    const expected = new Map<string, string>();
    const { balances, lines } = replayIndependently(logPath);
    for (const [key, { available, frozen }] of balances) expected.set(key, `${available},${frozen}`);
    const found = new Map<string, string>();
    for (const { account_id, currency_code, available, frozen, shard_id } of await this
      .sql`SELECT * FROM account_balances WHERE topic = 'ledger'`) {
      found.set(`${account_id},${currency_code}`, `${available},${frozen}`);
      if (shard_id !== partitionOf(account_id, partitions))
        throw new Error(`${account_id} is in ${shard_id}`);
    }
    for (const [key, balance] of expected) {
      if (found.get(key) !== balance) throw new Error(`${key} is ${found.get(key)}, the log says ${balance}`);
    }
    if (found.size !== expected.size)
      throw new Error(`there are ${found.size} balances, not ${expected.size}`);
    const changes = lines.reduce((sum, { type }) => sum + (CHANGES[type] ?? 0), 0);
    const [logged] = await this.sql`
      SELECT count(*)::int AS changes, count(DISTINCT (change_offset, account_id))::int AS different
      FROM balance_change_logs WHERE topic = 'ledger' AND status = 'APPLIED'`;
    if (logged.changes !== changes || logged.different !== changes)
      throw new Error(`${logged.changes} changes are logged, ${logged.different} different, not ${changes}`);
  }

  close(): Promise<void> {
    return this.sql.close();
  }
}

/** How many balances an event changes. */
const CHANGES: Readonly<Record<string, number>> = { AccountOpened: 2, MoneyDeducted: 1, MoneyCredited: 1 };
