/** What a batch of balance changes makes of the tables. */

import { afterEach, describe, expect, test } from "bun:test";
import { crc32 } from "node:zlib";
import { Divergence } from "../../src/postgres/balance-changes.ts";
import { BalanceDatabase, closeDatabases } from "../../tools/harness/balance-database.ts";
import { change, FIRST_AT } from "../support/balance-changes.ts";

afterEach(closeDatabases);

const MAX = 2n ** 63n - 1n;
const DAY_MS = 24 * 60 * 60 * 1_000;

async function holdings(database: BalanceDatabase): Promise<Record<string, [bigint, bigint]>> {
  const rows = [...(await database.balances())].sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(rows.map(([key, { available, frozen }]) => [key, [available, frozen]]));
}

async function verdicts(database: BalanceDatabase): Promise<(string | null)[]> {
  return (await database.logs()).map(({ reject_reason }) => reject_reason);
}

describe("topic ledger", () => {
  test("an opening with 0 makes a row; @world alone may owe", async () => {
    const database = await BalanceDatabase.create("ledger");
    await database.write([change("alice", 0), change("bob", 70), change("@world", 0), change("@world", -70)]);
    expect(await holdings(database)).toEqual({
      "@world,USD": [-70n, 0n],
      "alice,USD": [0n, 0n],
      "bob,USD": [70n, 0n],
    });
    expect((await database.logs()).length).toBe(4);
  });

  test("an empty batch writes nothing", async () => {
    const database = await BalanceDatabase.create("ledger");
    expect(await database.write([])).toEqual({ applied: 0, rejected: 0 });
  });

  test("held money moves from available to frozen, and leaves", async () => {
    const database = await BalanceDatabase.create("ledger");
    await database.write([change("alice", 100), change("alice", -40, { frozen: 40 })]);
    await database.write([change("alice", 0, { frozen: -15 }), change("alice", 25, { frozen: -25 })]);
    expect(await holdings(database)).toEqual({ "alice,USD": [85n, 0n] });
  });

  for (const [what, first, second] of [
    ["goes below zero, also where the batch would make it good", -60, 60],
    ["goes above the limit, also where the batch would make it good", MAX, -MAX],
  ] as const)
    test(`a change that ${what}, means divergence and writes nothing`, async () => {
      const database = await BalanceDatabase.create("ledger");
      await database.write([change("alice", 50), change("bob", 1)]);
      const batch = [change("bob", 1), change("alice", first), change("alice", second)];
      await expect(database.write(batch)).rejects.toBeInstanceOf(Divergence);
      expect(await holdings(database)).toEqual({ "alice,USD": [50n, 0n], "bob,USD": [1n, 0n] });
      expect((await database.logs()).length).toBe(2);
    });

  test("an account of another partition is not written", async () => {
    const partition = 1 - (crc32("alice") % 2);
    const database = await BalanceDatabase.create("ledger", { partitions: 2, partition });
    await expect(database.write([change("alice", 1)])).rejects.toThrow("does not belong to partition");
  });
});

describe("topic changes", () => {
  test("what does not fit is refused with its reason, and the rest of its key is applied", async () => {
    const database = await BalanceDatabase.create("changes");
    await database.write([change("alice", 50, { frozen: 10 })]);
    const written = await database.write([
      change("alice", -60),
      change("alice", 20),
      change("alice", MAX),
      change("alice", -70),
      change("alice", 1, { frozen: -11 }),
      change("bob", 5),
    ]);
    expect(written).toEqual({ applied: 3, rejected: 3 });
    expect(await holdings(database)).toEqual({ "alice,USD": [0n, 10n], "bob,USD": [5n, 0n] });
    expect(await verdicts(database)).toEqual([
      null,
      "INSUFFICIENT_BALANCE",
      null,
      "OVERFLOW",
      null,
      "INSUFFICIENT_FROZEN",
      null,
    ]);
  });

  test("a balance may be exactly 2^63−1, and a change of that size may go and come in one batch", async () => {
    const database = await BalanceDatabase.create("changes");
    await database.write([change("alice", MAX), change("alice", -MAX), change("alice", MAX)]);
    expect(await holdings(database)).toEqual({ "alice,USD": [MAX, 0n] });
    expect(await database.write([change("alice", 1)])).toEqual({ applied: 0, rejected: 1 });
    expect(await holdings(database)).toEqual({ "alice,USD": [MAX, 0n] });
  });

  test("an account whose changes are all refused gets no row", async () => {
    const database = await BalanceDatabase.create("changes");
    await database.write([change("alice", -1), change("alice", 1, { frozen: -1 })]);
    expect(await holdings(database)).toEqual({});
    expect(await verdicts(database)).toEqual(["INSUFFICIENT_BALANCE", "INSUFFICIENT_FROZEN"]);
  });

  test("an id that was refused is not decided again", async () => {
    const database = await BalanceDatabase.create("changes");
    await database.write([change("alice", -1, { id: "once" })]);
    await database.write([change("alice", 10)]);
    expect(await database.write([change("alice", -1, { id: "once" })])).toEqual({ applied: 0, rejected: 0 });
    expect(await holdings(database)).toEqual({ "alice,USD": [10n, 0n] });
  });

  test("an id counts once, in its batch and later; other content under it is refused each time", async () => {
    const database = await BalanceDatabase.create("changes");
    const once = { id: 'tab\t, line\n, back\\slash, "quoted", {brace}, NULL' };
    await database.write([change("alice", 1, once), change("alice", 1, once), change("bob", 1, once)]);
    await database.write([change("alice", 1, once), change("alice", 2, once)]);
    expect(await holdings(database)).toEqual({ "alice,USD": [1n, 0n] });
    expect(await verdicts(database)).toEqual([null, "EVENT_ID_CONFLICT", "EVENT_ID_CONFLICT"]);
    expect(new Set((await database.logs()).map(({ event_id }) => event_id))).toEqual(new Set([once.id]));
  });

  test("a change on the wrong partition is refused, and may still come on its own", async () => {
    const partition = crc32("alice") % 2;
    const right = await BalanceDatabase.create("changes", { partitions: 2, partition });
    const wrong = await right.next({ partition: 1 - partition });
    expect(await wrong.write([change("alice", 1, { id: "lost" })])).toEqual({ applied: 0, rejected: 1 });
    expect(await right.write([change("alice", 1, { id: "lost" })])).toEqual({ applied: 1, rejected: 0 });
    expect(await verdicts(right)).toEqual(["WRONG_PARTITION", null]);
  });

  test("an id that two partitions take at once is one's; the other waits, and refuses it", async () => {
    const [here, there] = [crc32("alice") % 2, 1 - (crc32("alice") % 2)];
    const other = ["bob", "carol", "dave", "erin"].find((name) => crc32(name) % 2 === there) as string;
    const first = await BalanceDatabase.create("changes", { partitions: 2, partition: here });
    const second = await first.next({ partition: there });
    await first.connection.run("BEGIN");
    await first.writeOpen([change("alice", 1, { id: "shared" })]);
    const waiting = second.write([change(other, 1, { id: "shared" })]);
    await first.connection.run("COMMIT");
    expect(await waiting).toEqual({ applied: 0, rejected: 1 });
    expect(await verdicts(first)).toEqual([null, "EVENT_ID_CONFLICT"]);
  });
});

describe("the tables", () => {
  test("each topic has balances of its own", async () => {
    const ledger = await BalanceDatabase.create("ledger");
    const changes = await ledger.next({ topic: "changes" });
    await ledger.write([change("alice", 1)]);
    await changes.write([change("alice", 2)]);
    expect(await holdings(ledger)).toEqual({ "alice,USD": [1n, 0n] });
    expect(await holdings(changes)).toEqual({ "alice,USD": [2n, 0n] });
  });

  test("the log has a table a month, and goes on when one was dropped", async () => {
    const database = await BalanceDatabase.create("ledger");
    const december = { atMs: FIRST_AT + DAY_MS };
    await database.write([change("alice", 1), change("alice", 2, december)]);
    const tables = () =>
      database.connection.query(
        "SELECT tableoid::regclass::text AS name, count(*) AS rows FROM balance_change_logs GROUP BY 1 ORDER BY 1",
      );
    expect(await tables()).toEqual([
      { name: "balance_change_logs_2026_11", rows: 1n },
      { name: "balance_change_logs_2026_12", rows: 1n },
    ]);
    await database.connection.run("DROP TABLE balance_change_logs_2026_11");
    await database.write([change("alice", 3, december), change("alice", 4)]);
    expect(await tables()).toEqual([
      { name: "balance_change_logs_2026_11", rows: 1n },
      { name: "balance_change_logs_2026_12", rows: 2n },
    ]);
  });

  test("a batch whose counts do not add up is not written", async () => {
    const database = await BalanceDatabase.create("ledger");
    await database.connection.run(
      "INSERT INTO staged_balances_ledger_0_1 VALUES ('mallory', 'USD', 1, 0, 9223372036854775807, 0, 0, 9223372036854775807, 0)",
    );
    await expect(database.write([change("alice", 1)])).rejects.toThrow("of 1 keys");
    expect(await holdings(database)).toEqual({});
  });

  test("a batch reads its own balances and no others, whatever the table was like when it was planned", async () => {
    const database = await BalanceDatabase.create("changes");
    const some = (first: number, count: number, step = 1) =>
      Array.from({ length: count }, (_, index) => change(`account-${first + index * step}`, 100));
    await database.write(some(0, 5_000));
    await database.write(some(5_000, 5_000));
    for (let batch = 0; batch < 10; batch++) await database.write(some(batch, 200, 50)); // a plan is kept after five
    const read = async () => {
      const [counts] = await database.connection.query<{ read: bigint }>(
        "SELECT seq_tup_read + idx_tup_fetch AS read FROM pg_stat_xact_user_tables WHERE relname = 'account_balances'",
      );
      return Number(counts?.read);
    };
    await database.connection.run("BEGIN");
    const before = await read();
    await database.writeOpen(some(0, 200, 50));
    expect((await read()) - before).toBe(200);
    await database.connection.run("COMMIT");
  });

  test("no balance but @world's can go below zero by any other way", async () => {
    const database = await BalanceDatabase.create("ledger");
    await database.write([change("alice", 1)]);
    await expect(database.connection.run("UPDATE account_balances SET available = -1")).rejects.toThrow(
      "check constraint",
    );
  });
});
