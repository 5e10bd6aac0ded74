/** Topic `changes` against a model that takes one change at a time, on random batches. */

import { expect, test } from "bun:test";
import { crc32 } from "node:zlib";
import type { BalanceChange } from "../../src/postgres/balance-changes.ts";
import { BalanceDatabase } from "../../tools/harness/balance-database.ts";
import { randomIntegers, SEED } from "../../tools/harness/seed.ts";
import { change, FIRST_AT, SequentialModel } from "../support/balance-changes.ts";

const HISTORIES = 60;
const BATCHES = 12;
const MAX_BATCH = 40;
const PARTITIONS = 3;
const MAX = 2n ** 63n - 1n;
const DAY_MS = 24 * 60 * 60 * 1_000;

const isOurs = (account: string) => crc32(account) % PARTITIONS === 0;
const names = Array.from({ length: 40 }, (_, index) => `account-${index}`);
const OURS = [...names.filter(isOurs).slice(0, 4), ...(isOurs("@world") ? ["@world"] : [])];
const OTHERS = names.filter((name) => !isOurs(name)).slice(0, 2);

type Draw = (below: number) => number;

/** Amounts of every size, so that small ones net out, and large ones meet the limit. */
function delta(draw: Draw): bigint {
  const sign = draw(2) === 0 ? 1n : -1n;
  switch (draw(8)) {
    case 0:
      return 0n;
    case 1:
      return sign * MAX;
    case 2:
      return sign * (MAX - BigInt(draw(50)));
    case 3:
      return sign * (MAX / 2n + BigInt(draw(3)));
    default:
      return sign * BigInt(1 + draw(100));
  }
}

function pick<T>(draw: Draw, values: readonly T[]): T {
  return values[draw(values.length)] as T;
}

function someBatch(draw: Draw, earlier: BalanceChange[], day: number): BalanceChange[] {
  const calm = draw(2) === 0; // mostly applied, so that sums on the way matter
  return Array.from({ length: 1 + draw(MAX_BATCH) }, () => {
    const roll = draw(20);
    const old = earlier.length > 0 && roll < 5 ? pick(draw, earlier) : undefined;
    const next = change(
      roll === 19 ? pick(draw, OTHERS) : pick(draw, OURS),
      calm && draw(3) > 0 ? BigInt(draw(200)) - 60n : delta(draw),
      {
        frozen: draw(3) === 0 ? 0n : calm ? BigInt(draw(60)) - 25n : delta(draw),
        currency: draw(4) === 0 ? "EUR" : "USD",
        atMs: FIRST_AT + day * DAY_MS + draw(1_000),
        ...(old && { id: old.eventId }),
      },
    );
    // The same id comes with the same content, with another, and on another partition.
    const repeat: BalanceChange = old && roll < 3 ? { ...old, offset: next.offset, atMs: next.atMs } : next;
    earlier.push(repeat);
    return repeat;
  });
}

test(`balances, logs and reasons are those of one change at a time (seed ${SEED})`, async () => {
  const draw = randomIntegers();
  const reasons = new Map<string | null, number>();
  const database = await BalanceDatabase.create("changes", { partitions: PARTITIONS });
  for (let history = 0; history < HISTORIES; history++) {
    const model = new SequentialModel(isOurs);
    const earlier: BalanceChange[] = [];
    for (let batch = 0; batch < BATCHES; batch++) {
      const changes = someBatch(draw, earlier, batch);
      const before = model.logs.length;
      for (const one of changes) model.take(one);
      const written = await database.write(changes);
      const added = model.logs.slice(before);
      const rejected = added.filter(({ status }) => status === "REJECTED").length;
      expect(written).toEqual({ applied: added.length - rejected, rejected });
    }
    expect(await database.balances()).toEqual(model.balances);
    expect(await database.logs()).toEqual(model.logs);
    for (const { reject_reason } of model.logs)
      reasons.set(reject_reason, (reasons.get(reject_reason) ?? 0) + 1);
    await database.connection.run("TRUNCATE account_balances, balance_change_logs, applied_events");
  }
  await database.close();
  for (const reason of [
    null,
    "WRONG_PARTITION",
    "EVENT_ID_CONFLICT",
    "INSUFFICIENT_BALANCE",
    "INSUFFICIENT_FROZEN",
    "OVERFLOW",
  ])
    expect(reasons.get(reason) ?? 0).toBeGreaterThan(100);
});
