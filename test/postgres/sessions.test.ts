/** Sessions that cannot outlive a lease: what the server itself ends, whatever the database's defaults are. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { SQL } from "bun";
import { type SqlConnection, SqlError } from "../../src/ports/sql-connection.ts";
import { connectTo } from "../../src/runtime/bun-postgres.ts";
import { PostgresServer } from "../../tools/harness/postgres.ts";

let server: PostgresServer;
let connection: SqlConnection;

beforeAll(async () => {
  server = await PostgresServer.start();
  const url = await server.createDatabase();
  const owner = new SQL({ url, max: 1 });
  await owner.unsafe(`ALTER DATABASE test_1 SET default_transaction_isolation = 'serializable'`);
  await owner.unsafe(`ALTER DATABASE test_1 SET statement_timeout = 0`);
  await owner.close();
  connection = await connectTo(url)({ applicationName: "coffer writer ledger/0", timeoutMs: 200 });
});

afterAll(async () => {
  await connection.close();
});

test("it bears its name, and reads what is committed while it waits", async () => {
  await connection.run("BEGIN");
  const [row] = await connection.query(
    "SELECT current_setting('transaction_isolation') AS isolation, application_name AS name FROM pg_stat_activity WHERE pid = $1",
    [connection.backendPid],
  );
  await connection.run("ROLLBACK");
  expect(row).toEqual({ isolation: "read committed", name: "coffer writer ledger/0" });
});

test("a statement that takes too long is ended", async () => {
  const error = await connection.query("SELECT pg_sleep(0.6)").catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(SqlError);
  expect((error as SqlError).state).toBe("57014");
});

test("a transaction that nobody goes on with is ended, and its session with it", async () => {
  await connection.run("BEGIN");
  expect(await connection.ended).toContain("idle-in-transaction timeout");
});
