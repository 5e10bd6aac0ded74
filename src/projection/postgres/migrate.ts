/**
 * Brings a database to the schema that this version writes: the migrations that are missing, in order, each
 * in a transaction of its own, under an advisory lock, so that nodes that start together do it once.
 */

import { TOPICS } from "../../ports/balance-changes.ts";
import type { SqlConnection } from "../../ports/sql-connection.ts";
import addPartitions from "./add-partitions.sql" with { type: "text" };
import fixedPartitions from "./fix-partitions.sql" with { type: "text" };
import lockSchema from "./lock-schema.sql" with { type: "text" };
import makeAppliedMigrations from "./make-applied-migrations.sql" with { type: "text" };
import { MIGRATIONS } from "./migrations.ts";
import recordMigration from "./record-migration.sql" with { type: "text" };
import versionQuery from "./schema-version.sql" with { type: "text" };
import unlockSchema from "./unlock-schema.sql" with { type: "text" };

/** The database cannot be written by this version, or with these settings; the message says why. */
export class SchemaRefused extends Error {
  override readonly name = "SchemaRefused";
}

/** Any number that nobody else locks: "coffer" in ASCII. */
const ADVISORY_LOCK = 0x636f66666572n;

/** Returns the numbers of the migrations that it has applied. Throws SchemaRefused. */
export async function migrate(connection: SqlConnection, partitions: number): Promise<readonly number[]> {
  await connection.query(lockSchema, [ADVISORY_LOCK]);
  try {
    await connection.run(makeAppliedMigrations);
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
        await connection.query(recordMigration, [number]);
      });
      applied.push(number);
    }
    await fixPartitions(connection, partitions);
    return applied;
  } finally {
    await connection.query(unlockSchema, [ADVISORY_LOCK]);
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
  const [row] = await connection.query<{ version: number }>(versionQuery);
  return row?.version ?? 0;
}

/** The number of partitions is drawn once, for it decides where an account's rows are. */
async function fixPartitions(connection: SqlConnection, partitions: number): Promise<void> {
  await inTransaction(connection, async () => {
    const [row] = await connection.query<{ partitions: number }>(fixedPartitions, [partitions]);
    if (row?.partitions !== partitions) {
      throw new SchemaRefused(
        `the database was made with ${row?.partitions} partitions, not ${partitions}: this cannot be changed later`,
      );
    }
    await connection.query(addPartitions, [TOPICS, partitions]);
  });
}
