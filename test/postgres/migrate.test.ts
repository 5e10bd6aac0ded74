/** Bringing a database up to date: nodes that were stopped at it keep nobody else from starting. */

import { afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import type { SqlConnect, SqlConnection, SqlRow } from "../../src/ports/sql-connection.ts";
import { migrateWith, SchemaRefused } from "../../src/postgres/migrate.ts";
import { connectTo } from "../../src/runtime/bun-postgres.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { PostgresServer } from "../../tools/harness/postgres.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { Asking, FollowedLog, ledgerFolder, ledgerWriter } from "../support/ledger-in-postgres.ts";

const LOCK = "SELECT pg_advisory_lock(x'636f66666572'::bigint)";

let server: PostgresServer;
let connect: SqlConnect;
let asking: Asking;
let holder: SqlConnection;
let followed: FollowedLog;

beforeAll(async () => {
  server = await PostgresServer.start();
  const { folder, log } = await ledgerFolder(50, randomIntegers());
  followed = new FollowedLog(folder, log);
});

beforeEach(async () => {
  asking = new Asking(await server.createDatabase());
  connect = connectTo(asking.url);
  holder = await connect({ applicationName: "a test", timeoutMs: 0 });
});

afterEach(async () => {
  await holder.close();
  await asking.close();
});

test("a node that holds the migrations' lock keeps nobody from a database that is up to date", async () => {
  await migrateWith(connect, 1);
  await holder.query(LOCK);
  const writer = ledgerWriter(connect, followed.feed);
  writer.start();
  await asking.reached(followed.seq);
  await writer.stop();
});

test("where it is needed the lock is waited for, which is told, and a stop does not wait", async () => {
  await holder.query(LOCK);
  const reports: string[] = [];
  const waiting = ledgerWriter(connect, followed.feed, { report: (line) => reports.push(line) });
  const stopping = ledgerWriter(connect, followed.feed);
  waiting.start();
  stopping.start();
  await eventually("both wait", async () => {
    const [row] = await asking.sql`
      SELECT count(*)::int AS waiting FROM pg_stat_activity
      WHERE application_name = 'coffer migrate' AND wait_event_type = 'Lock' AND datname = current_database()`;
    return row.waiting === 2;
  });
  const fromMs = performance.now();
  await stopping.stop();
  expect(performance.now() - fromMs).toBeLessThan(1_000);
  await eventually("it is told", () => reports.some((line) => line.includes("another node is migrating")));
  await holder.close();
  await asking.reached(followed.seq);
  await waiting.stop();
});

test("a server that is away is asked again after pauses that grow", async () => {
  const pauses: number[] = [];
  const away = () => Promise.reject(new Error("nobody is there"));
  const writer = ledgerWriter(away, followed.feed, {
    report: (line) => pauses.push(JSON.parse(line).retryMs),
  });
  writer.start();
  await eventually("it has asked three times", () => pauses.length === 3);
  await writer.stop();
  expect(pauses).toEqual([100, 200, 400]);
});

test("a migration's session ends when its process is stopped", async () => {
  const settings: SqlRow[] = [];
  await migrateWith(async (options) => {
    const inner = await connect(options);
    return {
      backendPid: inner.backendPid,
      ended: inner.ended,
      query: (text, values) => inner.query(text, values),
      run: (text) => inner.run(text),
      copyIn: (text, rows) => inner.copyIn(text, rows),
      close: async () => {
        const shown = "SELECT name, setting FROM pg_settings WHERE name LIKE '%timeout' AND setting <> '0'";
        settings.push(
          Object.fromEntries((await inner.query(shown)).map(({ name, setting }) => [name, setting])),
        );
        await inner.close();
      },
    };
  }, 1);
  expect(settings.at(-1)).toMatchObject({
    lock_timeout: "5000",
    idle_session_timeout: "10000",
    idle_in_transaction_session_timeout: "10000",
  });
});

test("the schema's name may have capitals and spaces", async () => {
  await asking.sql.unsafe(`CREATE SCHEMA "Our Coffer"`);
  await asking.sql.unsafe(`ALTER DATABASE ${asking.url.replace(/.*\//, "")} SET search_path = "Our Coffer"`);
  const there = new Asking(asking.url);
  for (let tenure = 1n; tenure <= 2n; tenure++) {
    const writer = ledgerWriter(connect, followed.feed);
    writer.start();
    await eventually("it leads", () => writer.progress[0]?.is === "leading");
    await there.reached(followed.seq);
    await writer.stop();
    const staging = await there.sql`
      SELECT relname FROM pg_class WHERE relname LIKE 'staged%' AND relnamespace = '"Our Coffer"'::regnamespace`;
    expect([...staging]).toEqual([{ relname: `staged_balances_ledger_0_${tenure}` }]);
  }
  await there.close();
});

test("a database that is not in UTF-8 is refused, and so is another number of partitions", async () => {
  await asking.sql.unsafe("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
  const latin = connectTo(asking.url.replace(/[^/]*$/, "latin"));
  await expect(migrateWith(latin, 1)).rejects.toThrow("the database's encoding is LATIN1");
  await migrateWith(connect, 2);
  await expect(migrateWith(connect, 1)).rejects.toThrow(SchemaRefused);
  // As before a migration that is still to come.
  await asking.sql`DELETE FROM applied_migrations WHERE number >= 2`;
  await asking.sql`ALTER TABLE partition_leader_locks DROP COLUMN generation`;
  await asking.sql`DROP TABLE account_balances, balance_change_logs, applied_events`;
  await asking.sql`
    DROP FUNCTION is_balance_change_log, make_balance_change_logs, make_staging, shrink_staging`;
  await expect(migrateWith(connect, 3)).rejects.toThrow("2 partitions, not 3");
});
