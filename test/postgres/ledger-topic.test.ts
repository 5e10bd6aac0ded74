/** Topic ledger: PostgreSQL comes to hold what the log says, whatever happens to either of them. */

import { beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LogPosition } from "../../src/ports/log-position.ts";
import { connectTo } from "../../src/runtime/bun-postgres.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { PostgresServer } from "../../tools/harness/postgres.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { Asking, FollowedLog, ledgerFolder, ledgerWriter } from "../support/ledger-in-postgres.ts";
import type { WrittenLog } from "../support/log-files.ts";

const draw = randomIntegers();
const SHORT = { leaseMs: 400 };

let server: PostgresServer;
let folder: string;
let log: WrittenLog;
let path: string;

beforeAll(async () => {
  server = await PostgresServer.start();
  ({ folder, log } = await ledgerFolder(12_000, draw));
  path = join(folder, "events.log");
});

function end(command: number): LogPosition {
  return log.ends[command]!;
}

test("an empty database is filled from the log, and follows it as it grows", async () => {
  const asking = new Asking(await server.createDatabase());
  const followed = new FollowedLog(folder, log, 9_000);
  const writer = ledgerWriter(connectTo(asking.url), followed.feed);
  writer.start();
  await asking.reached(followed.seq);
  // Nothing that is not on disk: the rest of the log is there, but does not count yet.
  const part = join(temporaryFolder(), "events.log");
  writeFileSync(part, log.bytes.subarray(0, end(9_000).bytes));
  await asking.mustEqual(part);
  for (let command = 9_000; command < log.ends.length; command += 1 + draw(300)) followed.growTo(command);
  followed.growTo(log.ends.length - 1);
  await asking.reached(followed.seq);
  await writer.stop();
  await asking.mustEqual(path);
  expect(await asking.lock()).toMatchObject({ commit_offset: BigInt(followed.seq), fencing_token: 1n });
  await asking.close();
});

test("three partitions have a leader each; a view says how far all of them are", async () => {
  const asking = new Asking(await server.createDatabase());
  const { url } = asking;
  const followed = new FollowedLog(folder, log);
  const names = ["a", "b"];
  const nodes = names.map((name) =>
    ledgerWriter(connectTo(url), followed.feed, { partitions: 3, name, ...SHORT }),
  );
  for (const node of nodes) node.start();
  await asking.reached(followed.seq);
  await asking.mustEqual(path, 3);
  const locks = await Promise.all([0, 1, 2].map((partition) => asking.lock(partition)));
  // The offset moves on also where a command did not concern the partition.
  expect(locks.map(({ commit_offset }) => commit_offset)).toEqual(Array(3).fill(BigInt(followed.seq)));
  // One of them goes: the other leads everything.
  await nodes[0]?.stop();
  await eventually("one node leads all", async () => {
    const leaders = await Promise.all([0, 1, 2].map((partition) => asking.lock(partition)));
    return leaders.every(({ leader_svc_id }) => leader_svc_id === "b");
  });
  await nodes[1]?.stop();
  await asking.mustEqual(path, 3);
  await asking.close();
});

test("a node whose log is behind does not lead, until it has caught up", async () => {
  const asking = new Asking(await server.createDatabase());
  const { url } = asking;
  const ahead = new FollowedLog(folder, log, 500);
  const first = ledgerWriter(connectTo(url), ahead.feed, SHORT);
  first.start();
  await asking.reached(ahead.seq);
  await first.stop();
  const behind = new FollowedLog(folder, log, 400);
  const second = ledgerWriter(connectTo(url), behind.feed, { ...SHORT, name: "behind" });
  second.start();
  await eventually("it stands by", () => second.progress[0]?.is === "standing by");
  await new Promise((resolve) => setTimeout(resolve, 2 * SHORT.leaseMs));
  expect(second.progress[0]?.is).toBe("standing by");
  behind.growTo(600);
  await asking.reached(behind.seq);
  expect(await asking.lock()).toMatchObject({ leader_svc_id: "behind", fencing_token: 2n });
  await second.stop();
  await asking.close();
});

test("a standby whose writing connection ends makes another", async () => {
  const asking = new Asking(await server.createDatabase());
  const followed = new FollowedLog(folder, log, 100);
  const reports: string[] = [];
  const leader = ledgerWriter(connectTo(asking.url), followed.feed, SHORT);
  leader.start();
  await asking.reached(followed.seq);
  const standby = ledgerWriter(connectTo(asking.url), followed.feed, {
    ...SHORT,
    report: (line) => reports.push(line),
  });
  standby.start();
  await eventually("it stands by", () => standby.progress[0]?.is === "standing by");
  const { backend_pid } = await asking.lock();
  await asking.sql`
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'coffer writer ledger/0' AND datname = current_database() AND pid <> ${backend_pid}`;
  await eventually("it is noticed", () => reports.some((line) => line.includes("postgres_waiting")));
  await eventually("it stands by again", () => standby.progress[0]?.is === "standing by");
  expect((await asking.lock()).fencing_token).toBe(1n);
  await Promise.all([leader.stop(), standby.stop()]);
  await asking.close();
});

test("a month's table that was detached stops the writing, with what to do, until that is done", async () => {
  const asking = new Asking(await server.createDatabase());
  const followed = new FollowedLog(folder, log, 100);
  const reports: string[] = [];
  const writer = ledgerWriter(connectTo(asking.url), followed.feed, {
    ...SHORT,
    report: (line) => reports.push(line),
  });
  writer.start();
  await asking.reached(followed.seq);
  const [month] = await asking.sql`SELECT inhrelid::regclass::text AS name FROM pg_inherits
    WHERE inhparent = 'balance_change_logs'::regclass`;
  await asking.sql.unsafe(`ALTER TABLE balance_change_logs DETACH PARTITION ${month.name}`);
  followed.growTo(200);
  await eventually("it is told", () =>
    reports.some((line) => line.includes(`${month.name} is not attached to balance_change_logs: rename it`)),
  );
  await asking.sql.unsafe(`ALTER TABLE ${month.name} RENAME TO archived`);
  await asking.reached(followed.seq);
  await writer.stop();
  await asking.close();
});

describe("nothing more is written", () => {
  /** Writes a part of the log, does `what`, and returns why a writer of `other` halts then. */
  async function haltsAfter(
    what: (asking: Asking) => Promise<unknown>,
    other?: FollowedLog,
  ): Promise<string> {
    const asking = new Asking(await server.createDatabase());
    const { url } = asking;
    const part = new FollowedLog(folder, log, 500);
    const first = ledgerWriter(connectTo(url), part.feed, SHORT);
    first.start();
    await asking.reached(part.seq);
    await first.stop();
    await what(asking);
    const before = await asking.sql`SELECT * FROM account_balances ORDER BY account_id, currency_code`;
    const second = ledgerWriter(connectTo(url), (other ?? new FollowedLog(folder, log)).feed, SHORT);
    second.start();
    await eventually("it halts", () => second.progress[0]?.is === "halted");
    const [state] = second.progress;
    await second.stop();
    expect([
      ...(await asking.sql`SELECT * FROM account_balances ORDER BY account_id, currency_code`),
    ]).toEqual([...before]);
    await asking.close();
    return state?.why ?? "";
  }

  test("where another log's crc stands at commit_offset", async () => {
    const { folder: folder2, log: log2 } = await ledgerFolder(2_000, draw);
    expect(await haltsAfter(async () => {}, new FollowedLog(folder2, log2))).toMatch(/the log has/);
  });

  test("where the database was written from another ledger", async () => {
    const why = await haltsAfter(
      ({ sql }) =>
        sql`UPDATE partition_leader_locks SET ledger_id = gen_random_uuid() WHERE topic = 'ledger'`,
    );
    expect(why).toContain("the database belongs to ledger");
  });

  test("by a standby, while another ledger's node leads", async () => {
    const asking = new Asking(await server.createDatabase());
    const followed = new FollowedLog(folder, log, 500);
    const [leader, standby] = [0, 1].map(() => ledgerWriter(connectTo(asking.url), followed.feed, SHORT));
    leader?.start();
    await asking.reached(followed.seq);
    await asking.sql`UPDATE partition_leader_locks SET ledger_id = gen_random_uuid() WHERE topic = 'ledger'`;
    standby?.start();
    await eventually("it halts", () => standby?.progress[0]?.is === "halted");
    expect(standby?.progress[0]?.why).toContain("the database belongs to ledger");
    expect(leader?.progress[0]?.is).toBe("leading");
    await Promise.all([leader?.stop(), standby?.stop()]);
    await asking.close();
  });

  test("where a balance was changed so that the ledger's next events do not fit", async () => {
    const why = await haltsAfter(
      ({ sql }) =>
        sql`UPDATE account_balances SET available = 0 WHERE topic = 'ledger' AND account_id <> '@world'`,
    );
    expect(why).toContain("do not match");
  });

  test("where the database was made with other partitions, or by a newer version", async () => {
    const asking = new Asking(await server.createDatabase());
    const { url } = asking;
    const followed = new FollowedLog(folder, log, 10);
    const first = ledgerWriter(connectTo(url), followed.feed, SHORT);
    first.start();
    await asking.reached(followed.seq);
    await first.stop();
    const others = ledgerWriter(connectTo(url), followed.feed, { ...SHORT, partitions: 2 });
    others.start();
    await eventually("it halts", () => others.progress[0]?.is === "halted");
    expect(others.progress[0]).toMatchObject({ why: expect.stringContaining("1 partitions, not 2") });
    await others.stop();
    await asking.sql`INSERT INTO applied_migrations (number) VALUES (1000)`;
    const older = ledgerWriter(connectTo(url), followed.feed, SHORT);
    older.start();
    await eventually("it halts", () => older.progress[0]?.is === "halted");
    expect(older.progress[0]).toMatchObject({ why: expect.stringContaining("newer version") });
    await older.stop();
    await asking.close();
  });
});

test("nodes that start together on an empty database migrate it once", async () => {
  const asking = new Asking(await server.createDatabase());
  const { url } = asking;
  const followed = new FollowedLog(folder, log, 300);
  const nodes = Array.from({ length: 5 }, (_, number) =>
    ledgerWriter(connectTo(url), followed.feed, { ...SHORT, name: `node ${number}` }),
  );
  for (const node of nodes) node.start();
  await asking.reached(followed.seq);
  await Promise.all(nodes.map((node) => node.stop()));
  const migrations = await asking.sql`SELECT number FROM applied_migrations ORDER BY number`;
  expect(migrations.map(({ number }: { number: number }) => number)).toEqual(
    migrations.map((_: unknown, index: number) => index + 1),
  );
  await asking.close();
});

describe("a server that goes away in the middle", () => {
  test.each(["stop", "crash"] as const)("%s, and is started again", async (how) => {
    const own = await PostgresServer.start();
    const followed = new FollowedLog(folder, log, 1_000);
    const writer = ledgerWriter(connectTo(own.url), followed.feed, SHORT);
    writer.start();
    let asking = new Asking(own.url);
    for (let round = 1; round <= 3; round++) {
      followed.growTo(1_000 + round * 3_000);
      const offset = await asking.offset();
      await eventually("it writes", async () => (await asking.offset()) > offset || round === 1);
      await asking.close();
      await own[how]();
      await own.restart();
      asking = new Asking(own.url);
    }
    followed.growTo(log.ends.length);
    await asking.reached(followed.seq);
    await writer.stop();
    await asking.mustEqual(path);
    await asking.close();
    await own.stop();
  });
});
