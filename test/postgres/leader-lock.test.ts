/** The leader lock and its fence, against a real server. */

import { afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import type { SqlConnection } from "../../src/ports/sql-connection.ts";
import { PostgresLeaderLock } from "../../src/postgres/leader-lock.ts";
import { Deposed, type Lease } from "../../src/postgres/leadership.ts";
import { inTransaction, migrate } from "../../src/postgres/migrate.ts";
import { connectTo } from "../../src/runtime/bun-postgres.ts";
import { systemClock } from "../../src/runtime/system-clock.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { PostgresServer } from "../../tools/harness/postgres.ts";

const LEDGER_ID = "0190b5c0-0000-7000-8000-000000000001";

let server: PostgresServer;
let url: string;
let open: SqlConnection[] = [];

beforeAll(async () => {
  server = await PostgresServer.start();
});

beforeEach(async () => {
  url = await server.createDatabase();
  await migrate(await connection(), 1);
});

afterEach(async () => {
  await Promise.all(open.map((each) => each.close()));
  open = [];
});

async function connection(applicationName = "a test"): Promise<SqlConnection> {
  const each = await connectTo(url)({ applicationName, timeoutMs: 5_000 });
  open.push(each);
  return each;
}

async function lockOf(serviceId: string, leaseMs = 1_500): Promise<PostgresLeaderLock> {
  const settings = { topic: "ledger", partition: 0, serviceId, leaseMs } as const;
  return new PostgresLeaderLock(await connection(), systemClock, settings);
}

async function take(lock: PostgresLeaderLock, writing: SqlConnection): Promise<Lease> {
  const lease = await lock.take(writing);
  if (!lease) throw new Error("the lock is held");
  return lease;
}

/** Lets the lease in the database run out, whoever holds it. */
async function expire(): Promise<void> {
  await (await connection()).query("UPDATE partition_leader_locks SET expires_at = '-infinity'");
}

const at = (offset: number) => ({ offset, crc: offset.toString(16).padStart(8, "0"), ledgerId: LEDGER_ID });

async function commit(lease: Lease, writing: SqlConnection, value: number, offset: number): Promise<void> {
  await writing.run("BEGIN");
  await writing.query("INSERT INTO written VALUES ($1)", [value]);
  await lease.commit(at(offset));
}

async function written(): Promise<unknown[]> {
  const rows = await (await connection()).query("SELECT value FROM written ORDER BY value");
  return rows.map(({ value }) => value);
}

describe("the lock", () => {
  test("is one's alone, until it is given back; each tenure has a higher token", async () => {
    const [one, two] = [await lockOf("one"), await lockOf("two")];
    const first = await take(one, await connection());
    expect(first.tenure).toEqual({ topic: "ledger", partition: 0, token: 1n });
    expect((await two.look()).free).toBe(false);
    expect(await two.take(await connection())).toBeUndefined();
    await first.release();
    expect((await two.look()).free).toBe(true);
    const second = await take(two, await connection());
    expect(second.tenure.token).toBe(2n);
    await second.release();
  });

  test("of many that reach for it at once, one gets it", async () => {
    const locks = await Promise.all(Array.from({ length: 8 }, (_, number) => lockOf(`node ${number}`)));
    const leases = await Promise.all(locks.map(async (lock) => lock.take(await connection())));
    const [held, ...more] = leases.filter((lease) => lease !== undefined);
    expect([held?.tenure.token, more]).toEqual([1n, []]);
    await held?.release();
  });

  test("is held beyond its lease by heartbeats", async () => {
    const [one, two] = [await lockOf("one"), await lockOf("two")];
    const lease = await take(one, await connection());
    const writing = await connection();
    const from = performance.now();
    await eventually("two leases have passed", async () => {
      expect(await two.take(writing)).toBeUndefined();
      return performance.now() - from > 3_000;
    });
    lease.assertHeld();
    await lease.release();
  });

  test("is lost at once when another has it, and when its connections are over", async () => {
    const lease = await take(await lockOf("one"), await connection());
    const two = await lockOf("two");
    let heir: Lease | undefined;
    // A heartbeat may come in between, and renew it.
    await eventually("another has taken it", async () => {
      await expire();
      heir = await two.take(await connection());
      return heir !== undefined;
    });
    expect(await lease.lost).toContain("another node");
    expect(() => lease.assertHeld()).toThrow(Deposed);
    await heir?.release();

    const writing = await connection();
    const cut = await take(await lockOf("three"), writing);
    await writing.close();
    expect(await cut.lost).toContain("the connection of the writer was closed");
    await cut.release();
  });

  test("is given up by the holder's own clock when it cannot be renewed", async () => {
    const lease = await take(await lockOf("one", 200), await connection());
    const blocker = await connection();
    await blocker.run("BEGIN");
    await blocker.query("SELECT 1 FROM partition_leader_locks FOR UPDATE");
    expect(await lease.lost).toContain("could not be renewed in time");
    expect(() => lease.assertHeld()).toThrow(Deposed);
    await blocker.run("ROLLBACK");
  });

  test("an heir ends the process of the leader before it, and no other", async () => {
    const deposed = await connection("coffer writer ledger/0");
    const bystander = await connection("coffer writer ledger/1");
    await take(await lockOf("one"), deposed);
    await expire();
    const heir = await take(await lockOf("two"), await connection("coffer writer ledger/0"));
    expect(await deposed.ended).toContain("administrator");
    expect(await bystander.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
    await heir.release();
  });
});

test("where the leader before it is a mightier user's, an heir takes the lock all the same", async () => {
  const owner = await connection();
  await owner.run(`
    DROP ROLE IF EXISTS heir;
    CREATE ROLE heir LOGIN PASSWORD 'throw-away';
    GRANT ALL ON ALL TABLES IN SCHEMA public TO heir`);
  await take(await lockOf("one"), await connection("coffer writer ledger/0"));
  await expire();
  url = url.replace("//coffer:", "//heir:");
  const heir = await take(await lockOf("two"), await connection("coffer writer ledger/0"));
  expect(heir.tenure.token).toBe(2n);
  await heir.release();
  await owner.run("DROP OWNED BY heir; DROP ROLE heir");
});

describe("the fence", () => {
  beforeEach(async () => {
    await (await connection()).run("CREATE TABLE written (value integer)");
  });

  test("moves the offset with the data, or neither", async () => {
    const lock = await lockOf("one");
    const writing = await connection();
    const lease = await take(lock, writing);
    await commit(lease, writing, 1, 10);
    expect([lease.position, await lease.isCurrent()]).toEqual([at(10), true]);
    expect((await lock.look()).position).toEqual(at(10));
    // Somebody has moved it: what is written next must not count.
    await (await connection()).query(
      "UPDATE partition_leader_locks SET commit_offset = 11 WHERE topic = 'ledger'",
    );
    await expect(commit(lease, writing, 2, 20)).rejects.toThrow(Deposed);
    await lease.lost;
    await writing.run("ROLLBACK");
    expect([await written(), await lease.isCurrent()]).toEqual([[1], false]);
    await lease.release();
  });

  test("nothing of a deposed leader is written, however late it is told", async () => {
    const writing = await connection();
    const lease = await take(await lockOf("one", 60_000), writing);
    await writing.run("BEGIN");
    await writing.query("INSERT INTO written VALUES (1)");
    await expire();
    // Which has written nothing yet: it is the token alone that tells.
    const heir = await take(await lockOf("two"), await connection());
    await expect(lease.commit(at(10))).rejects.toThrow(Deposed);
    await lease.lost;
    await writing.run("ROLLBACK");
    expect(await written()).toEqual([]);
    await heir.release();
  });

  /**
   * The trap of READ COMMITTED: a statement that waits for a row goes on with the row as it is then, but its
   * subqueries still see what was there when it began. Here the old token's fence waits while the new token
   * is being taken.
   */
  test("of two batches that race with an old and a new token, one is written", async () => {
    const writing = await connection();
    const old = await take(await lockOf("old", 60_000), writing);
    const heirs = await connection();
    await expire();
    await writing.run("BEGIN");
    await writing.query("INSERT INTO written VALUES (1)");
    // The heir takes the lock, and holds the row, while the old leader's fence is on its way.
    const racing = await inTransaction(heirs, async () => {
      const [row] = await heirs.query<{ fencing_token: bigint }>(
        "SELECT fencing_token FROM take_leader_lock('ledger', 0, 'heir', $1, 60000)",
        [heirs.backendPid],
      );
      expect(row?.fencing_token).toBe(2n);
      const late = old.commit(at(10)).then(
        () => "written",
        (error: unknown) => (error instanceof Deposed ? "deposed" : error),
      );
      await eventually("the old leader waits for the row", async () => {
        const watching = await (await connection()).query(
          "SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'",
          [writing.backendPid],
        );
        return watching.length === 1;
      });
      // The heir does not move the offset: it is the token alone that tells.
      await heirs.query("INSERT INTO written VALUES (2)");
      return { late };
    });
    expect(await racing.late).toBe("deposed");
    await writing.run("ROLLBACK");
    expect(await written()).toEqual([2]);
  });
});
