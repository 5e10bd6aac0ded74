/** One partition's writer beside a lock and connections that do what the test says. */

import { expect, test } from "bun:test";
import { Divergence } from "../../../src/ports/balance-changes.ts";
import type { ChangeSet } from "../../../src/ports/change-source.ts";
import type { Lease } from "../../../src/ports/leadership.ts";
import type { SqlConnection, SqlConnectOptions } from "../../../src/ports/sql-connection.ts";
import { newEventRows, sortEvents } from "../../../src/projection/postgres/batch/known-events.ts";
import { PartitionWriter } from "../../../src/projection/postgres/partition-writer.ts";
import { systemClock } from "../../../src/system-clock.ts";
import { change } from "../../support/balance-changes.ts";
import { eventually } from "../../support/eventually.ts";

const SETTINGS = {
  topic: "ledger",
  partition: 0,
  leaseMs: 1_500,
  heartbeatMs: 10,
  batchSize: 200,
} as const;
const START = { offset: 0, crc: "00000000", ledgerId: null };
const SET: ChangeSet = { changes: [], end: { ...START, offset: 1 } };

interface Told {
  /** What writing a batch does. */
  write(): Promise<never>;
  isCurrent: boolean;
}

/** A writer that leads at once, and once. */
function start({ write, isCurrent }: Told) {
  const connects: SqlConnectOptions[] = [];
  const closed: string[] = [];
  const lost = Promise.withResolvers<string>();
  let taken = false;
  const lease: Lease = {
    tenure: { topic: "ledger", partition: 0, token: 1n },
    position: START,
    lost: lost.promise,
    assertHeld: () => {},
    commit: async () => {},
    isCurrent: async () => isCurrent,
    release: async () => {},
  };
  const writer = new PartitionWriter(
    {
      connect: async (options) => {
        connects.push(options);
        return connection(() => closed.push(options.applicationName));
      },
      lock: () => ({
        look: async () => ({ free: !taken, position: START, topicOffset: 0 }),
        take: async () => {
          taken = true;
          return lease;
        },
      }),
      source: {
        isCutOff: false,
        holds: async () => true,
        open: async () => ({
          over: undefined,
          take: () => SET,
          wait: async () => true,
          committed: () => {},
          close: () => {},
        }),
        lag: () => 0,
      },
      writer: { prepare: async () => {}, write },
      clock: systemClock,
      report: () => {},
    },
    SETTINGS,
  );
  const running = writer.run();
  const stop = async () => {
    writer.stop();
    await running;
  };
  return { writer, connects, closed, lose: lost.resolve, stop };
}

function connection(close: () => void): SqlConnection {
  return {
    backendPid: 1,
    ended: new Promise(() => {}),
    query: async () => [],
    run: async () => {},
    copyIn: async () => {},
    close: async () => close(),
  };
}

const diverge = () => Promise.reject(new Divergence("a misfit"));

test("a misfit halts the leader of today, and not one that was deposed: it saw its heir's rows", async () => {
  const current = start({ write: diverge, isCurrent: true });
  await eventually("it halts", () => current.writer.progress.is === "halted");
  await current.stop();
  const deposed = start({ write: diverge, isCurrent: false });
  await eventually("it stands by", () => deposed.connects.length >= 4);
  expect(deposed.writer.progress.is).not.toBe("halted");
  await deposed.stop();
});

test("a lost lease closes the writing connection at once, whatever is under way on it", async () => {
  const { promise, reject } = Promise.withResolvers<never>();
  let writing = false;
  const told = start({
    write: () => {
      writing = true;
      return promise;
    },
    isCurrent: false,
  });
  await eventually("it writes", () => writing);
  expect(told.closed).toEqual([]);
  told.lose("the lease could not be renewed in time");
  await eventually("it is closed", () => told.closed.includes("coffer writer ledger/0"));
  reject(new Error("the connection was closed"));
  await told.stop();
});

test("the server ends what takes nearly as long as a lease", async () => {
  const told = start({ write: diverge, isCurrent: true });
  await eventually("it has led", () => told.writer.progress.is === "halted");
  expect(told.connects).toEqual([
    { applicationName: "coffer lock ledger/0", timeoutMs: 1_000 },
    { applicationName: "coffer writer ledger/0", timeoutMs: 1_000 },
  ]);
  await told.stop();
});

test("all writers record event ids in one order, so that none waits for another that waits for it", async () => {
  const changes = ["c", "a", "b"].map((id) => change("alice", 1, { id }));
  const rows = new TextDecoder().decode(newEventRows(0, changes)).split("\n");
  expect(rows.map((row) => row.split("\t")[0])).toEqual(["a", "b", "c", ""]);

  const asked: unknown[] = [];
  const tx: SqlConnection = {
    ...connection(() => {}),
    query: async (_, [ids] = []) => {
      asked.push(ids);
      return [];
    },
  };
  await sortEvents(tx, 0, changes);
  expect(asked).toEqual([["a", "b", "c"]]);
});
