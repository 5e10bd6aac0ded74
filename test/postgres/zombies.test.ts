/** Leaders that are stopped, or cut off, in the middle of a batch: nothing is lost, doubled or overwritten. */

import { beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import process from "node:process";
import { connectTo } from "../../src/runtime/bun-postgres.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { PostgresServer } from "../../tools/harness/postgres.ts";
import { TestProcess } from "../../tools/harness/processes.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { Asking, FollowedLog, LEASE_MS, ledgerFolder, ledgerWriter } from "../support/ledger-in-postgres.ts";
import type { WrittenLog } from "../support/log-files.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { ACTIVITIES, disturb, POINTS } from "../support/writing-points.ts";

const ZOMBIE = join(import.meta.dir, "..", "support", "zombie-writer.ts");
/** How long after the lease's end an heir may take to lead. */
const TAKE_OVER_MS = 2_000;

let server: PostgresServer;
let folder: string;
let log: WrittenLog;
let path: string;

beforeAll(async () => {
  server = await PostgresServer.start();
  ({ folder, log } = await ledgerFolder(2_000, randomIntegers()));
  path = join(folder, "events.log");
});

describe("a leader that is stopped past its lease, and continued", () => {
  test.concurrent.each(POINTS)("%s", async (point) => {
    const url = await server.createDatabase();
    const asking = new Asking(url);
    await asking.offset(); // it is connected: there is little time later on
    const zombie = new TestProcess(process.execPath, [ZOMBIE, url, folder, point]);
    await zombie.line(new RegExp(`^stopped ${point}$`));
    await eventually("it is stopped there", async () => {
      const [activity] = await asking.sql`
        SELECT state, query FROM pg_stat_activity
        WHERE application_name = 'coffer writer ledger/0' AND datname = current_database()`;
      const [state, query] = ACTIVITIES[point];
      return activity?.state === state && activity.query.startsWith(query);
    });
    const deposed = await asking.lock();
    expect(deposed.leader_svc_id).toBe("zombie");
    expect(deposed.fencing_token).toBe(1n);

    const followed = new FollowedLog(folder, log);
    const heir = ledgerWriter(connectTo(url), followed.feed, { name: "heir" });
    heir.start();
    const [taken] = await Promise.all([
      (async () => {
        await eventually("the heir leads", async () => (await asking.lock()).leader_svc_id === "heir");
        return await asking.lock();
      })(),
    ]);
    expect(taken.fencing_token).toBe(2n);
    expect(taken.expires_ms - LEASE_MS - deposed.expires_ms).toBeLessThan(TAKE_OVER_MS);
    await asking.reached(followed.seq);

    zombie.kill("SIGCONT");
    await zombie.line(/"postgres_leadership_lost"/);
    await zombie.line(/"postgres_waiting"/);
    await asking.mustEqual(path);
    expect(await asking.lock()).toMatchObject({ leader_svc_id: "heir", fencing_token: 2n });

    // It stands by, and leads when it is its turn.
    await heir.stop();
    await eventually("it leads again", async () => (await asking.lock()).leader_svc_id === "zombie");
    expect(await zombie.stop()).toBe(0);
    await asking.mustEqual(path);
    await asking.close();
  });
});

describe("a leader whose connection is cut", () => {
  test.concurrent.each(POINTS)("%s", async (point) => {
    // Here the server asks for the rows, and never gets them.
    const isCopying = point === "within COPY";
    await survives(point, (proxy) => (isCopying ? proxy.cutAtAnswer() : proxy.cut()));
    if (isCopying) expect(server.log.join("\n")).toContain("ERROR:  unexpected EOF on client connection");
  });
});

test.concurrent("a COMMIT whose answer is lost loses and doubles nothing", async () => {
  await survives("before the guarded update and COMMIT are sent", (proxy, asking) => {
    proxy.holdAnswers();
    void eventually("it is committed", async () => {
      const { backend_pid } = await asking.lock();
      const [backend] = await asking.sql`SELECT state FROM pg_stat_activity WHERE pid = ${backend_pid}`;
      return backend?.state === "idle";
    }).then(() => proxy.cut());
  });
});

test.concurrent("a server that falls silent in the middle of a batch is given up", async () => {
  await survives("after the statement", (proxy) => proxy.holdRequests());
});

/** A writer over a proxy, which `what` disturbs in the third batch, writes everything all the same. */
async function survives(
  point: (typeof POINTS)[number],
  what: (proxy: TcpProxy, asking: Asking) => void,
): Promise<void> {
  const url = await server.createDatabase();
  const asking = new Asking(url);
  const proxy = await TcpProxy.start(server.port);
  const proxied = new URL(url);
  proxied.port = String(proxy.port);
  const followed = new FollowedLog(folder, log);
  const reports: string[] = [];
  const { connect, writer } = disturb(connectTo(proxied.href), point, () => what(proxy, asking));
  const running = ledgerWriter(connect, followed.feed, { writer, report: (line) => reports.push(line) });
  running.start();
  await asking.reached(followed.seq);
  expect(reports.filter((line) => line.includes('"postgres_leadership_lost"'))).toHaveLength(1);
  await running.stop();
  proxy.stop();
  expect((await asking.lock()).fencing_token).toBe(2n);
  await asking.mustEqual(path);
  await asking.close();
}
