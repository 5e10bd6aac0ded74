/** Staging: a tenure's own, and worth nothing once a transaction is over. */

import { afterEach, expect, test } from "bun:test";
import { BalanceDatabase, closeDatabases } from "../../tools/harness/balance-database.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { PostgresServer } from "../../tools/harness/postgres.ts";
import { change } from "../support/balance-changes.ts";

afterEach(closeDatabases);

const available = async (database: BalanceDatabase) =>
  [...(await database.balances())].map(([key, balance]) => [key, balance.available]).sort();

async function stagingTables(database: BalanceDatabase): Promise<readonly string[]> {
  const rows = await database.connection.query<{ name: string }>(
    "SELECT relname || ' ' || relpersistence::text AS name FROM pg_class WHERE relname LIKE 'staged%' AND relkind = 'r' ORDER BY 1",
  );
  return rows.map(({ name }) => name);
}

async function rowsIn(database: BalanceDatabase, table: string): Promise<bigint> {
  const [row] = await database.connection.query<{ rows: bigint }>(`SELECT count(*) AS rows FROM ${table}`);
  return row?.rows ?? -1n;
}

test("a tenure drops the staging of earlier ones of its topic and partition, and no other", async () => {
  const first = await BalanceDatabase.create("changes", { partitions: 11, partition: 1 });
  await first.next({ partition: 10 });
  await first.next({ topic: "ledger" });
  const heir = await first.next({ token: 2n });
  expect(await stagingTables(heir)).toEqual([
    "staged_balances_changes_10_1 u",
    "staged_balances_changes_1_2 u",
    "staged_balances_ledger_1_1 u",
  ]);
});

test("it is empty after every batch, and does not grow", async () => {
  const database = await BalanceDatabase.create("ledger");
  const batch = () => Array.from({ length: 1_000 }, (_, index) => change(`account-${index}`, 1));
  const sizes: number[] = [];
  for (let round = 0; round < 40; round++) {
    await database.write(batch());
    const [row] = await database.connection.query<{ bytes: bigint }>(
      "SELECT pg_relation_size('staged_balances_ledger_0_1') AS bytes",
    );
    sizes.push(Number(row?.bytes));
  }
  expect(await rowsIn(database, "staged_balances_ledger_0_1")).toBe(0n);
  expect(Math.max(...sizes)).toBeLessThan(2 * 2 ** 20);
  expect((await database.balances()).get("account-7,USD")?.available).toBe(40n);
});

test("a crash of the server between batches, and one within a batch, lose and double nothing", async () => {
  const server = await PostgresServer.start();
  let database = await BalanceDatabase.create("changes", { server });
  const batches = Array.from({ length: 3 }, () => [
    change("alice", 10),
    change("bob", 5),
    change("alice", -4),
    change("bob", -50),
  ]);
  await database.write(batches[0] ?? []);
  const crash = async () => {
    const over = database.connection.ended;
    await server.crash();
    await over;
    await server.restart();
    database = await database.next();
  };
  await crash();
  expect(await rowsIn(database, "staged_balances_changes_0_1")).toBe(0n);
  await database.connection.run("BEGIN");
  await database.writeOpen(batches[1] ?? []);
  await crash();
  expect(await available(database)).toEqual([
    ["alice,USD", 6n],
    ["bob,USD", 5n],
  ]);
  for (const batch of batches) await database.write(batch);
  expect(await available(database)).toEqual([
    ["alice,USD", 18n],
    ["bob,USD", 15n],
  ]);
  expect((await database.logs()).length).toBe(12);
  await server.stop();
});

/** Starts the same batch in two sessions, ends the first with `outcome`, and returns what became of the second. */
async function race(outcome: "ROLLBACK" | "COMMIT") {
  const first = await BalanceDatabase.create("changes");
  const second = await first.next({ token: 0n });
  const watcher = await first.next({ topic: "ledger" });
  await first.write([change("old", 10)]);
  const batch = [change("old", -7), change("new", 7), change("old", 0, { frozen: 1 })];
  await first.connection.run("BEGIN");
  await first.writeOpen(batch);
  const again = batch.map((one) => ({ ...one, eventId: `${one.eventId} again` }));
  const waiting = second.write(again).catch((error: Error) => error);
  await eventually("the second waits for the first", async () => {
    const rows = await watcher.connection.query(
      "SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'",
      [second.connection.backendPid],
    );
    return rows.length === 1;
  });
  await first.connection.run(outcome);
  return { wrote: await waiting, balances: await available(second), logs: (await second.logs()).length };
}

test("a batch waits for another on the same keys; where that is rolled back, it counts alone", async () => {
  expect(await race("ROLLBACK")).toEqual({
    wrote: { applied: 3, rejected: 0 },
    balances: [
      ["new,USD", 7n],
      ["old,USD", 3n],
    ],
    logs: 4,
  });
});

test("where that is committed, which the fence forbids, its balances are not judged by what they were", async () => {
  const { wrote, ...left } = await race("COMMIT");
  expect(wrote).toBeInstanceOf(Error);
  expect(left).toEqual({
    balances: [
      ["new,USD", 7n],
      ["old,USD", 3n],
    ],
    logs: 4,
  });
});
