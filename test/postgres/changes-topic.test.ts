/** Topic changes: what other systems publish on NATS is judged by the database, once each and in stream order. */

import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { type JetStreamManager, jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import {
  BALANCE_CHANGES,
  BalanceChangeSource,
  balanceChangesOf,
} from "../../src/postgres/balance-change-source.ts";
import { PostgresLeaderLock } from "../../src/postgres/leader-lock.ts";
import { partitionOf } from "../../src/postgres/partition-of.ts";
import { PostgresWriter } from "../../src/postgres/postgres-writer.ts";
import { NatsSession } from "../../src/queue/nats-session.ts";
import { connectTo } from "../../src/runtime/bun-postgres.ts";
import { systemClock } from "../../src/runtime/system-clock.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { NatsServer } from "../../tools/harness/nats.ts";
import { PostgresServer } from "../../tools/harness/postgres.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { Asking } from "../support/ledger-in-postgres.ts";
import { RawNats } from "../support/raw-nats.ts";

const draw = randomIntegers();
const LEASE_MS = 400;
const STREAM = BALANCE_CHANGES.stream;

let server: PostgresServer;
let nats: NatsServer;
let connection: NatsConnection;
let jsm: JetStreamManager;
let asking: Asking;

beforeAll(async () => {
  server = await PostgresServer.start();
});

/** Each test has a database, a NATS server and a stream of its own. */
beforeEach(async () => {
  await asking?.close();
  await nats?.stop();
  asking = new Asking(await server.createDatabase());
  nats = await NatsServer.start(temporaryFolder());
  await connect();
});

afterAll(async () => {
  await asking.close();
  await nats.stop();
});

async function connect(): Promise<void> {
  connection = await nats.connect();
  jsm = await jetstreamManager(connection);
}

interface Running {
  readonly writer: PostgresWriter;
  readonly reports: string[];
}

function start({
  partitions = 1,
  remakeLostChanges,
  name = "a node",
  leaseMs = LEASE_MS,
}: {
  partitions?: number;
  remakeLostChanges?: number;
  name?: string;
  leaseMs?: number;
} = {}): Running {
  const reports: string[] = [];
  const report = (level: string, message: string, facts: object) =>
    void reports.push(JSON.stringify({ level, message, ...facts }));
  const names = { names: balanceChangesOf(partitions), maxBytes: 64 << 20, replicas: 1 };
  const endpoint = { servers: nats.url };
  const writer = new PostgresWriter(
    {
      connect: connectTo(asking.url),
      lock: (sql, topic, partition) =>
        new PostgresLeaderLock(sql, systemClock, { topic, partition, serviceId: name, leaseMs }),
      source: (topic, partition) =>
        topic === "changes"
          ? new BalanceChangeSource(
              () => NatsSession.open(endpoint, name, names, () => {}),
              { partition, remakeLostChanges },
              systemClock,
              report,
            )
          : undefined,
      clock: systemClock,
      report,
    },
    { postgresPartitions: partitions, postgresLeaseMs: leaseMs },
  );
  writer.start();
  return { writer, reports };
}

const leads = (writers: readonly Running[]) =>
  eventually("one leads", () =>
    writers.some(({ writer }) => writer.progress.every((state) => state.is === "leading")),
  );

/** Returns the message's number. */
async function publish(change: object | string, partition = 0): Promise<number> {
  const text = typeof change === "string" ? change : JSON.stringify(change);
  const { seq } = await jetstream(connection).publish(`coffer.balance-changes.${partition}`, text);
  return seq;
}

function change(event_id: string, account_id: string, available_delta: number | string, frozen_delta = 0) {
  return { event_id, account_id, currency_code: "USD", available_delta, frozen_delta };
}

function accountOf(partition: number, partitions = 2): string {
  for (let number = 0; ; number++)
    if (partitionOf(`account-${number}`, partitions) === partition) return `account-${number}`;
}

async function committed(offset: number, partition = 0): Promise<void> {
  await eventually(`message ${offset} is written`, async () => {
    const [row] = await asking.sql`
      SELECT commit_offset FROM partition_leader_locks WHERE topic = 'changes' AND partition = ${partition}`;
    return Number(row.commit_offset) >= offset;
  });
}

async function balances(): Promise<Record<string, [available: bigint, frozen: bigint]>> {
  const rows = await asking.sql`SELECT * FROM account_balances WHERE topic = 'changes'`;
  return Object.fromEntries(
    rows.map(({ account_id, available, frozen }: Record<string, bigint | string>) => [
      account_id,
      [available, frozen],
    ]),
  );
}

async function statuses(): Promise<string[]> {
  const rows = await asking.sql`
    SELECT event_id, status, reject_reason FROM balance_change_logs WHERE topic = 'changes' ORDER BY change_offset`;
  return rows.map(
    ({ event_id, status, reject_reason }: Record<string, string>) =>
      `${event_id} ${status}${reject_reason ? ` ${reject_reason}` : ""}`,
  );
}

test("changes are applied or rejected, repeats are one, and what is malformed is passed over", async () => {
  const running = start();
  await leads([running]);
  await publish(change("e1", "alice", 100));
  await publish(change("e2", "alice", -30, 30));
  await publish("no JSON");
  await publish(change("e3", "alice", -71));
  await publish(change("e1", "alice", 100));
  await publish(change("e1", "alice", 101));
  await publish({ ...change("e4", "alice", 1), currency_code: "dollars" });
  await publish(change("e5", "@world", 5));
  await publish(change("e6", "alice", "9223372036854775807"));
  await publish(change("e7", "bob", 0, -1));
  await publish(change("e8", "alice", 1.5));
  await committed(await publish(change("e9", "bob", 9)));
  expect(await balances()).toEqual({ alice: [70n, 30n], bob: [9n, 0n] });
  expect(await statuses()).toEqual([
    "e1 APPLIED",
    "e2 APPLIED",
    "e3 REJECTED INSUFFICIENT_BALANCE",
    "e1 REJECTED EVENT_ID_CONFLICT",
    "e6 REJECTED OVERFLOW",
    "e7 REJECTED INSUFFICIENT_FROZEN",
    "e9 APPLIED",
  ]);
  expect(running.reports.filter((line) => line.includes("not a balance change"))).not.toEqual([]);
  // What is at its end malformed moves the offset all the same.
  await committed(await publish("{}"));
  await running.writer.stop();
});

test("a change counts whatever its headers and its reply are, as the last one before a restart too", async () => {
  const raw = await RawNats.open(nats.port);
  let running = start();
  await leads([running]);
  const heads = [
    "NATS/1.0\r\nbad name: x\r\n\r\n",
    "NATS/1.0\r\nb\u0001d: x\r\n\r\n",
    "NATS/1.0\r\nbäd: x\r\n\r\n",
    "100 Idle Heartbeat\r\nNats-Consumer-Stalled: coffer.commands.0\r\n\r\n",
    "NATS/1.0 100",
    "x",
  ];
  const subject = "coffer.balance-changes.0";
  for (const [index, head] of heads.entries()) {
    raw.publish({
      subject,
      head,
      reply: "$JS.FC.a.b.c",
      data: JSON.stringify(change(`p${index}`, "alice", 1)),
    });
    await raw.flush();
    await committed(index + 1);
    await running.writer.stop();
    running = start();
    await leads([running]);
  }
  expect(await balances()).toEqual({ alice: [BigInt(heads.length), 0n] });
  await committed(await publish(change("last", "alice", 1)));
  await running.writer.stop();
  raw.close();
});

test("each partition has its own subject; a change on the wrong one is rejected", async () => {
  const running = start({ partitions: 2 });
  await leads([running]);
  const accounts = Array.from({ length: 40 }, (_, number) => `account-${number}`);
  const last = [0, 0];
  for (const account of accounts) {
    const right = partitionOf(account, 2);
    last[right] = await publish(change(`right-${account}`, account, 5), right);
    last[1 - right] = await publish(change(`wrong-${account}`, account, 7), 1 - right);
  }
  await committed(last[0]!, 0);
  await committed(last[1]!, 1);
  expect(await balances()).toEqual(Object.fromEntries(accounts.map((account) => [account, [5n, 0n]])));
  const wrong = (await statuses()).filter((status) => status.startsWith("wrong-"));
  expect(wrong).toHaveLength(accounts.length);
  expect(wrong.every((status) => status.endsWith(" REJECTED WRONG_PARTITION"))).toBe(true);
  await running.writer.stop();
});

test("each change counts once, while leaders come and go and NATS is killed", async () => {
  const expected = new Map<string, number>();
  let last = 0;
  let number = 0;
  const more = async () => {
    for (let count = 0; count < 60; count++) {
      const account = `account-${draw(5)}`;
      const delta = 1 + draw(9);
      expected.set(account, (expected.get(account) ?? 0) + delta);
      const text = change(`event-${++number}`, account, delta);
      last = await publish(text);
      if (draw(5) === 0) last = await publish(text);
    }
  };
  let running = [start({ name: "one" }), start({ name: "two" })];
  await leads(running);
  for (let round = 0; round < 6; round++) {
    await more();
    if (round % 2 === 0) {
      const first = running.find(({ writer }) => writer.progress[0]?.is === "leading") ?? running[0]!;
      const stopping = first.writer.stop();
      await more();
      await stopping;
      running = [...running.filter((each) => each !== first), start({ name: `node ${round}` })];
    } else {
      await connection.close();
      await nats.crash();
      nats = await nats.restart();
      await connect();
    }
  }
  await committed(last);
  await Promise.all(running.map(({ writer }) => writer.stop()));
  expect(await balances()).toEqual(
    Object.fromEntries([...expected].map(([account, sum]) => [account, [BigInt(sum), 0n]])),
  );
  expect(await statuses()).toHaveLength(number);
});

test("what is written is dropped from the stream, but for the last message of it", async () => {
  const running = start();
  await leads([running]);
  for (let number = 0; number < 20; number++) await publish(change(`e${number}`, "alice", 1));
  await committed(20);
  await eventually("the stream is purged", async () => (await jsm.streams.info(STREAM)).state.messages === 1);
  await running.writer.stop();
  await publish(change("e20", "alice", 1));
  const again = start();
  await committed(21);
  expect(await balances()).toEqual({ alice: [21n, 0n] });
  await again.writer.stop();
});

test("a stream that is another is not read, unless it is told to be made anew", async () => {
  const first = start();
  await leads([first]);
  await committed(await publish(change("e1", "alice", 1)));
  await committed(await publish(change("e2", "alice", 1)));
  await first.writer.stop();
  await jsm.streams.delete(STREAM);
  await jsm.streams.add({ name: STREAM, subjects: [BALANCE_CHANGES.subjects] });
  for (let number = 3; number < 6; number++) await publish(change(`e${number}`, "alice", 1));

  const second = start();
  await eventually("it halts", () => second.writer.progress[0]?.is === "halted");
  expect(second.writer.progress[0]).toMatchObject({
    why: expect.stringMatching(/message 2 of the stream.*--remake-lost-changes=2 /),
  });
  await second.writer.stop();
  const other = start({ remakeLostChanges: 1 });
  await eventually("it halts too", () => other.writer.progress[0]?.is === "halted");
  await other.writer.stop();

  const third = start({ remakeLostChanges: 2 });
  await leads([third]);
  expect(await publish(change("e6", "alice", 1))).toBe(3);
  await committed(3);
  expect(await balances()).toEqual({ alice: [3n, 0n] });
  await third.writer.stop();
  // From now on it is the one that goes on behind what is written.
  const fourth = start();
  await committed(await publish(change("e7", "alice", 1)));
  expect(await balances()).toEqual({ alice: [4n, 0n] });
  await fourth.writer.stop();
});

test("a stream that is gone is not made again by a partition that has written nothing, while another has", async () => {
  const first = start({ partitions: 2 });
  await leads([first]);
  await committed(await publish(change("e1", accountOf(1), 1), 1), 1);
  await first.writer.stop();
  await jsm.streams.delete(STREAM);

  const second = start({ partitions: 2 });
  await eventually("both halt", () => second.writer.progress.every(({ is }) => is === "halted"));
  await second.writer.stop();
  expect(await jsm.streams.names().next()).toEqual([]);
});

test("who publishes for a partition that there is not is told so", async () => {
  const running = start({ partitions: 2 });
  await leads([running]);
  await committed(await publish(change("e1", accountOf(1), 1), 1), 1);
  await expect(publish(change("e2", accountOf(1), 1), 2)).rejects.toThrow(); // as where no stream takes the subject
  await running.writer.stop();
});

test("one partition of one node makes a lost stream anew; the others wait for it", async () => {
  const first = start({ partitions: 4 });
  await leads([first]);
  for (const partition of [0, 1, 2, 3])
    await committed(await publish(change(`e${partition}`, accountOf(partition, 4), 1), partition), partition);
  await first.writer.stop();
  await jsm.streams.delete(STREAM);
  await jsm.streams.add({ name: STREAM, subjects: [BALANCE_CHANGES.subjects] });

  const nodes = ["one", "two"].map((name) => start({ partitions: 4, remakeLostChanges: 4, name }));
  const remade = () =>
    nodes.flatMap(({ reports }) => reports).filter((line) => line.includes("changes_stream_recreated"));
  await eventually("it is made anew", () => remade().length > 0);
  for (const partition of [0, 1, 2, 3]) {
    const again = change(`again ${partition}`, accountOf(partition, 4), 1);
    await committed(await publish(again, partition), partition);
  }
  expect(remade()).toHaveLength(1);
  expect(Object.values(await balances())).toEqual(Array(4).fill([2n, 0n]));
  await Promise.all(nodes.map(({ writer }) => writer.stop()));
});

test("the lag is that of the partition's own messages, and known where it is read", async () => {
  const running = start({ partitions: 2, leaseMs: 10_000 });
  await leads([running]);
  const standby = start({ partitions: 2, name: "standby" });
  let last = 0;
  for (let number = 0; number < 20; number++) last = await publish(change(`e${number}`, accountOf(1), 1), 1);
  await committed(last, 1);
  const lags = ({ writer }: Running) => writer.progress.map(({ lag }) => lag);
  await Bun.sleep(1_100); // the stream is looked at every second
  expect(lags(running)).toEqual([0, 0]);
  await asking.sql.begin(async (sql) => {
    await sql`LOCK TABLE account_balances IN EXCLUSIVE MODE`;
    for (let number = 20; number < 25; number++) await publish(change(`e${number}`, accountOf(1), 1), 1);
    await eventually("it lags", () => lags(running)[1] === 5);
    expect(lags(running)).toEqual([0, 5]);
  });
  await eventually("it has caught up", () => lags(running)[1] === 0);
  expect(lags(standby)).toEqual([undefined, undefined]);
  await Promise.all([running.writer.stop(), standby.writer.stop()]);
});
