/**
 * Brings a database to the schema that this version writes: the migrations that are missing, in order, each
 * in a transaction of its own, under an advisory lock, so that nodes that start together do it once.
 */

import { TOPICS } from "../../ports/balance-changes.ts";
import type { SqlConnection } from "../../ports/sql-connection.ts";
import addPartitions from "./add-partitions.sql" with { type: "text" };
import { MIGRATIONS } from "./migrations.ts";

/** The database cannot be written by this version, or with these settings; the message says why. */
export class SchemaRefused extends Error {
  override readonly name = "SchemaRefused";
}

/** Any number that nobody else locks: "coffer" in ASCII. */
const ADVISORY_LOCK = 0x636f66666572n;

/** Returns the numbers of the migrations that it has applied. Throws SchemaRefused. */
export async function migrate(connection: SqlConnection, partitions: number): Promise<readonly number[]> {
  await connection.query("SELECT pg_advisory_lock($1)", [ADVISORY_LOCK]);
  try {
    await connection.run(
      "CREATE TABLE IF NOT EXISTS applied_migrations (number integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())",
    );
    const version = await schemaVersion(connection);
    if (version > MIGRATIONS.length) {
      throw new SchemaRefused(
        `the database has schema ${version}, this version knows ${MIGRATIONS.length}: it was migrated by a newer Coffer`,
      );
    }
    const applied: number[] = [];
    for (const [index, migration] of MIGRATIONS.entries()) {
      const number = index + 1;
      if (number <= version) continue;
      await inTransaction(connection, async () => {
        await connection.run(migration);
        await connection.query("INSERT INTO applied_migrations (number) VALUES ($1)", [number]);
      });
      applied.push(number);
    }
    await fixPartitions(connection, partitions);
    return applied;
  } finally {
    await connection.query("SELECT pg_advisory_unlock($1)", [ADVISORY_LOCK]);
  }
}

/** Commits what `work` does, or nothing of it. */
export async function inTransaction<T>(
  connection: SqlConnection,
  work: () => Promise<T>,
  begin = "BEGIN",
): Promise<T> {
  await connection.run(begin);
  try {
    const result = await work();
    await connection.run("COMMIT");
    return result;
  } catch (error) {
    await connection.run("ROLLBACK").catch(() => {}); // a connection that is over has rolled back; the error tells
    throw error;
  }
}

async function schemaVersion(connection: SqlConnection): Promise<number> {
  const [row] = await connection.query<{ version: number }>(
    "SELECT coalesce(max(number), 0) AS version FROM applied_migrations",
  );
  return row?.version ?? 0;
}

/** The number of partitions is drawn once, for it decides where an account's rows are. */
async function fixPartitions(connection: SqlConnection, partitions: number): Promise<void> {
  await inTransaction(connection, async () => {
    await connection.query("INSERT INTO postgres_settings (partitions) VALUES ($1) ON CONFLICT DO NOTHING", [
      partitions,
    ]);
    const [row] = await connection.query<{ partitions: number }>("SELECT partitions FROM postgres_settings");
    if (row?.partitions !== partitions) {
      throw new SchemaRefused(
        `the database was made with ${row?.partitions} partitions, not ${partitions}: this cannot be changed later`,
      );
    }
    await connection.query(addPartitions, [TOPICS, partitions]);
  });
}
