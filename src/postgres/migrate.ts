/**
 * Brings a database to the schema that this version writes: the migrations that are missing, in order, each
 * in a transaction of its own, under an advisory lock, so that nodes that start together do it once. Where
 * none is missing the lock is left alone.
 */

import { type SqlConnect, type SqlConnection, SqlError } from "../ports/sql-connection.ts";
import addPartitions from "./add-partitions.sql" with { type: "text" };
import { TOPICS } from "./balance-changes.ts";
import fixPartitions from "./fix-partitions.sql" with { type: "text" };
import lockSchema from "./lock-schema.sql" with { type: "text" };
import lookAtSchema from "./look-at-schema.sql" with { type: "text" };
import makeAppliedMigrations from "./make-applied-migrations.sql" with { type: "text" };
import { MIGRATIONS } from "./migrations.ts";
import partitionsQuery from "./partitions.sql" with { type: "text" };
import prepareMigration from "./prepare-migration.sql" with { type: "text" };
import recordMigration from "./record-migration.sql" with { type: "text" };
import versionQuery from "./schema-version.sql" with { type: "text" };
import unlockSchema from "./unlock-schema.sql" with { type: "text" };

/** The database cannot be written by this version, or with these settings; the message says why. */
export class SchemaRefused extends Error {
  override readonly name = "SchemaRefused";
}

/** Any number that nobody else locks: "coffer" in ASCII. */
const ADVISORY_LOCK = 0x636f66666572n;

/** The SQLSTATE of a lock that was waited for too long. */
const LOCK_NOT_AVAILABLE = "55P03";
const LOOK_TIMEOUT_MS = 5_000;

/**
 * On connections of its own, which end when `signal` says so. Returns the numbers of the migrations that it
 * has applied. Throws SchemaRefused.
 */
export async function migrateWith(
  connect: SqlConnect,
  partitions: number,
  signal?: AbortSignal,
): Promise<readonly number[]> {
  const on = async <T>(timeoutMs: number, work: (connection: SqlConnection) => Promise<T>) => {
    signal?.throwIfAborted();
    const connection = await connect({ applicationName: "coffer migrate", timeoutMs });
    const close = () => void connection.close();
    signal?.addEventListener("abort", close);
    try {
      signal?.throwIfAborted();
      return await work(connection);
    } finally {
      signal?.removeEventListener("abort", close);
      await connection.close();
    }
  };
  if (await on(LOOK_TIMEOUT_MS, (connection) => isMigrated(connection, partitions))) return [];
  return await on(0, async (connection) => {
    await connection.run(prepareMigration);
    return await migrate(connection, partitions);
  });
}

/** Returns the numbers of the migrations that it has applied. Throws SchemaRefused. */
export async function migrate(connection: SqlConnection, partitions: number): Promise<readonly number[]> {
  await lock(connection);
  try {
    const applied: number[] = [];
    if (await isMigrated(connection, partitions)) return applied;
    await connection.run(makeAppliedMigrations);
    const version = await schemaVersion(connection);
    for (const [index, migration] of MIGRATIONS.entries()) {
      const number = index + 1;
      if (number <= version) continue;
      await inTransaction(connection, async () => {
        await connection.run(migration);
        await connection.query(recordMigration, [number]);
      });
      applied.push(number);
    }
    // The number of partitions is drawn once, for it decides where an account's rows are.
    await inTransaction(connection, async () => {
      await connection.query(fixPartitions, [partitions]);
      await arePartitionsFixed(connection, partitions);
      await connection.query(addPartitions, [TOPICS, partitions]);
    });
    return applied;
  } finally {
    await connection.query(unlockSchema, [ADVISORY_LOCK]);
  }
}

async function lock(connection: SqlConnection): Promise<void> {
  try {
    await connection.query(lockSchema, [ADVISORY_LOCK]);
  } catch (error) {
    if (!(error instanceof SqlError) || error.state !== LOCK_NOT_AVAILABLE) throw error;
    throw new SqlError("another node is migrating the database", error.state);
  }
}

/** Whether nothing is left to do. Throws SchemaRefused where nothing can be done. */
async function isMigrated(connection: SqlConnection, partitions: number): Promise<boolean> {
  const [schema] = await connection.query<{ encoding: string; migrated: boolean }>(lookAtSchema);
  if (schema?.encoding !== "UTF8")
    throw new SchemaRefused(`the database's encoding is ${schema?.encoding}, not UTF8`);
  if (!schema.migrated) return false;
  const version = await schemaVersion(connection);
  if (version > MIGRATIONS.length) {
    throw new SchemaRefused(
      `the database has schema ${version}, but this version of Coffer supports ${MIGRATIONS.length}: it was migrated by a newer version`,
    );
  }
  return version === MIGRATIONS.length && (await arePartitionsFixed(connection, partitions));
}

/** Throws SchemaRefused where they are fixed to another number. */
async function arePartitionsFixed(connection: SqlConnection, partitions: number): Promise<boolean> {
  const [fixed] = await connection.query<{ partitions: number }>(partitionsQuery);
  if (!fixed) return false;
  if (fixed.partitions !== partitions) {
    throw new SchemaRefused(
      `the database was created with ${fixed.partitions} partitions, not ${partitions}: the number cannot be changed`,
    );
  }
  return true;
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
