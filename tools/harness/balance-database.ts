/** A database with the writer's tables, and a writer's session in it. */

import type { SqlConnection } from "../../src/ports/sql-connection.ts";
import type { BalanceChange, Tenure, Topic, WrittenChanges } from "../../src/postgres/balance-changes.ts";
import { batchWriter } from "../../src/postgres/batch/batch-writer.ts";
import { inTransaction, migrate } from "../../src/postgres/migrate.ts";
import { connectTo } from "../../src/runtime/bun-postgres.ts";
import { PostgresServer } from "./postgres.ts";

let shared: Promise<PostgresServer> | undefined;

/** One cluster for all tests that do not stop it. */
export function sharedPostgres(): Promise<PostgresServer> {
  shared ??= PostgresServer.start();
  return shared;
}

export interface BalanceRow {
  readonly available: bigint;
  readonly frozen: bigint;
  readonly updated_msec: bigint;
}

export interface LogRow {
  readonly change_offset: bigint;
  readonly event_id: string;
  readonly status: "APPLIED" | "REJECTED";
  readonly reject_reason: string | null;
}

const open = new Set<BalanceDatabase>();

/** Ends every session: a cluster has room for a hundred. To be called after each test. */
export async function closeDatabases(): Promise<void> {
  await Promise.all([...open].map((database) => database.close()));
}

export class BalanceDatabase {
  private constructor(
    readonly url: string,
    readonly connection: SqlConnection,
    readonly tenure: Tenure,
    private readonly partitions: number,
  ) {
    open.add(this);
  }

  /** A new database, and a prepared tenure in it. */
  static async create(
    topic: Topic,
    {
      server,
      partition = 0,
      partitions = 1,
    }: { server?: PostgresServer; partition?: number; partitions?: number } = {},
  ): Promise<BalanceDatabase> {
    const url = await (server ?? (await sharedPostgres())).createDatabase();
    const connection = await connectTo(url)({ applicationName: "test", timeoutMs: 0 });
    await migrate(connection, partitions);
    const database = new BalanceDatabase(url, connection, { topic, partition, token: 1n }, partitions);
    await batchWriter(partitions).prepare(connection, database.tenure);
    return database;
  }

  /** Another session in the same database, as of a later tenure, or of the same one after a crash. */
  async next({ token, partition, topic }: Partial<Tenure> = {}): Promise<BalanceDatabase> {
    const connection = await connectTo(this.url)({ applicationName: "test", timeoutMs: 0 });
    const tenure: Tenure = {
      topic: topic ?? this.tenure.topic,
      partition: partition ?? this.tenure.partition,
      token: token ?? this.tenure.token,
    };
    const database = new BalanceDatabase(this.url, connection, tenure, this.partitions);
    await batchWriter(this.partitions).prepare(connection, tenure);
    return database;
  }

  /** Writes the batch in a transaction of its own. */
  write(changes: readonly BalanceChange[]): Promise<WrittenChanges> {
    return inTransaction(this.connection, () => this.writeOpen(changes));
  }

  /** Writes the batch into the transaction that is open. */
  writeOpen(changes: readonly BalanceChange[]): Promise<WrittenChanges> {
    return batchWriter(this.partitions).write(this.connection, this.tenure, changes);
  }

  /** Under `account,currency`. */
  async balances(): Promise<ReadonlyMap<string, BalanceRow>> {
    const rows = await this.connection.query<BalanceRow & { key: string }>(
      "SELECT account_id || ',' || currency_code AS key, available, frozen, updated_msec FROM account_balances WHERE topic = $1",
      [this.tenure.topic],
    );
    return new Map(rows.map(({ key, ...balance }) => [key, balance]));
  }

  logs(): Promise<readonly LogRow[]> {
    return this.connection.query<LogRow>(
      "SELECT change_offset, event_id, status, reject_reason FROM balance_change_logs WHERE topic = $1 ORDER BY change_offset",
      [this.tenure.topic],
    );
  }

  async close(): Promise<void> {
    open.delete(this);
    await this.connection.close();
  }
}
