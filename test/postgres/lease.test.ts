/** A lease by its holder's own clock, on a connection whose answers come when the test says so. */

import { beforeEach, expect, test } from "bun:test";
import type { SqlConnection, SqlRow } from "../../src/ports/sql-connection.ts";
import { PostgresLeaderLock } from "../../src/postgres/leader-lock.ts";
import { Deposed, type Lease } from "../../src/postgres/leadership.ts";
import { ManualClock, quiet } from "../support/manual-clock.ts";

const LEASE_MS = 1_500;
const ROW = { fencing_token: 1n, commit_offset: 0n, crc: "00000000", ledger_id: null };

let clock: ManualClock;
/** The answers to questions that are open, in their order. */
let answers: ((rows: readonly SqlRow[]) => void)[];

beforeEach(() => {
  clock = new ManualClock();
  answers = [];
});

const connection: SqlConnection = {
  backendPid: 1,
  ended: new Promise(() => {}),
  query: async <Row extends object>() =>
    (await new Promise<readonly SqlRow[]>((resolve) => answers.push(resolve))) as readonly Row[],
  run: async () => {},
  copyIn: async () => {},
  close: async () => {},
};

/** Taken by a statement whose answer came after `answerMs`. */
async function take(answerMs: number, on = clock): Promise<Lease> {
  const settings = { topic: "ledger", partition: 0, serviceId: "a node" } as const;
  const lock = new PostgresLeaderLock(connection, on, { ...settings, leaseMs: LEASE_MS });
  const taking = lock.take(connection);
  await on.advance(answerMs);
  answers.shift()?.([ROW]);
  const lease = await taking;
  if (!lease) throw new Error("it was not taken");
  return lease;
}

async function whyLost(lease: Lease): Promise<string | undefined> {
  return await Promise.race([lease.lost, quiet().then(() => undefined)]);
}

test("counts from when it was asked for, not from when that was answered", async () => {
  const lease = await take(1_000);
  await clock.advance(499);
  expect(await whyLost(lease)).toBeUndefined();
  lease.assertHeld();
  await clock.advance(1);
  expect(await whyLost(lease)).toContain("could not be renewed in time");
});

test("counts from when a heartbeat was sent, not from when that was answered", async () => {
  const lease = await take(0);
  await clock.advance(1_400); // it was sent at 500
  answers.shift()?.([ROW]);
  await clock.advance(599);
  lease.assertHeld();
  await clock.advance(1);
  expect(await whyLost(lease)).toContain("could not be renewed in time");
});

test("is over as soon as its time is, also where no timer has told yet", async () => {
  class Late extends ManualClock {
    late = 0;
    override nowMs(): number {
      return super.nowMs() + this.late;
    }
  }
  const late = new Late();
  const lease = await take(0, late);
  late.late = LEASE_MS - 1;
  lease.assertHeld();
  late.late = LEASE_MS;
  expect(() => lease.assertHeld()).toThrow(Deposed);
});
