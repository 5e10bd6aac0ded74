/** One partition's writer beside a lock and connections that do what the test says. */

import { expect, test } from "bun:test";
import type { Clock } from "../../src/ports/clock.ts";
import { type SqlConnection, type SqlConnectOptions, SqlError } from "../../src/ports/sql-connection.ts";
import { Divergence } from "../../src/postgres/balance-changes.ts";
import { newEventRows, sortEvents } from "../../src/postgres/batch/known-events.ts";
import type { ChangeSet } from "../../src/postgres/change-source.ts";
import type { Lease, LockState } from "../../src/postgres/leadership.ts";
import { PartitionWriter } from "../../src/postgres/partition-writer.ts";
import { systemClock } from "../../src/runtime/system-clock.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { change } from "../support/balance-changes.ts";
import { ManualClock } from "../support/manual-clock.ts";

const SETTINGS = { topic: "ledger", partition: 0, leaseMs: 1_500 } as const;
const START = { offset: 0, crc: "00000000", ledgerId: null };
const SET: ChangeSet = { changes: [], end: { ...START, offset: 1 } };

interface Told {
  /** What writing a batch does. */
  write(): Promise<never>;
  isCurrent: boolean;
  /** The lock as it is looked at; by default it is taken once, at once. */
  look?(taken: boolean): Promise<LockState>;
  clock?: Clock;
  report?(facts: Readonly<Record<string, unknown>>): void;
}

const LOCK: LockState = { free: true, position: START, topicOffset: 0, generation: "first" };

function start({
  write,
  isCurrent,
  look = async (taken) => ({ ...LOCK, free: !taken }),
  clock = systemClock,
  report = () => {},
}: Told) {
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
        look: () => look(taken),
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
      clock,
      report: (_level, _message, facts) => report(facts),
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

test("a halted writer goes on after a rebuild, and not because others hold the lock or move the offset", async () => {
  const clock = new ManualClock();
  const events: unknown[] = [];
  let lock = LOCK;
  let looks = 0;
  let away = false;
  const told = start({
    write: diverge,
    isCurrent: true,
    clock,
    look: async () => {
      looks++;
      if (away) throw new SqlError("the server is away", undefined);
      return lock;
    },
    report: ({ event }) => void (/halted|resumed/.test(String(event)) && events.push(event)),
  });
  const halted = (times: number) => events.filter((event) => event === "postgres_halted").length === times;
  const lookAgain = async () => {
    const before = looks;
    await clock.advance(2_000);
    await eventually("it looks", () => looks > before);
  };
  await eventually("it halts", () => halted(1));
  // Another node leads from the same place, moves on, and gives the lock back; the server goes and comes.
  lock = { ...LOCK, free: false };
  await lookAgain();
  lock = { ...LOCK, position: { ...START, offset: 7 }, topicOffset: 7 };
  await lookAgain();
  away = true;
  await lookAgain();
  away = false;
  await lookAgain();
  expect([told.writer.progress.is, events]).toEqual(["halted", ["postgres_halted"]]);
  // A true divergence is found once more for each rebuild.
  for (const generation of ["second", "third"]) {
    lock = { ...LOCK, generation };
    await lookAgain();
    await eventually("it has judged again", () => halted(generation === "second" ? 2 : 3));
    await lookAgain();
  }
  expect(events).toEqual([
    "postgres_halted",
    ...["postgres_resumed", "postgres_halted"],
    ...["postgres_resumed", "postgres_halted"],
  ]);
  await told.stop();
  const looking = told.connects.filter(({ applicationName }) => applicationName === "coffer lock ledger/0");
  expect(told.closed.filter((name) => name === "coffer lock ledger/0")).toHaveLength(looking.length);
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
