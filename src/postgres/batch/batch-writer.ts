/**
 * Writes a batch of balance changes into an open transaction: the balances, key by key, and a row a change in
 * balance_change_logs.
 *
 * The result is what one change at a time, in their order, would give. Only the tenure that holds the
 * partition's lock can commit (the fence is its caller's), so no other writer changes these keys meanwhile.
 */

import type { SqlConnection } from "../../ports/sql-connection.ts";
import {
  type BalanceChange,
  type ChangeWriter,
  Divergence,
  type Tenure,
  type WrittenChanges,
} from "../balance-changes.ts";
import { partitionOf } from "../partition-of.ts";
import { type DecidedChange, logRows } from "./copy-text.ts";
import { type Holding, judge, type RejectReason } from "./judge.ts";
import { newEventRows, recordNew, sortEvents } from "./known-events.ts";
import { monthStarts } from "./months.ts";
import type { NetChange } from "./netting.ts";
import { during, makeRoom, prepareStaging, type StagedKeys, stage, writeKeys } from "./staged-balances.ts";
import writeLogs from "./write-logs.sql" with { type: "text" };

interface Batch {
  readonly changes: readonly BalanceChange[];
  readonly isOurs: (change: BalanceChange) => boolean;
  /** Those of this partition. */
  readonly ours: readonly BalanceChange[];
  readonly staged: StagedKeys;
}

const NONE: WrittenChanges = { applied: 0, rejected: 0 };
const NO_ROWS: Uint8Array = new Uint8Array();

/** For a database with so many partitions. */
export function batchWriter(partitions: number): ChangeWriter {
  return {
    prepare: prepareStaging,
    write: async (tx, tenure, changes) => {
      if (changes.length === 0) return NONE;
      const isOurs = ({ account }: BalanceChange) => partitionOf(account, partitions) === tenure.partition;
      const [, batch] = await during(makeRoom(tx, tenure, monthStarts(changes)), () => {
        const ours = changes.filter(isOurs);
        return { changes, isOurs, ours, staged: stage(ours) };
      });
      const write = tenure.topic === "ledger" ? writeLedger : writeJudged;
      return await write(tx, tenure, batch);
    },
  };
}

/** The ledger has decided: whatever does not fit is a difference between it and the database. */
async function writeLedger(
  tx: SqlConnection,
  tenure: Tenure,
  { changes, isOurs, ours, staged }: Batch,
): Promise<WrittenChanges> {
  const stray = changes.length === ours.length ? undefined : changes.find((change) => !isOurs(change));
  if (stray) throw new Error(`${stray.account} does not belong to partition ${tenure.partition}`);
  let rows = NO_ROWS;
  const refused = await writeKeys(tx, tenure, staged, () => {
    rows = logRows(tenure, changes.map(applied));
  });
  for (const [key, { available, frozen }] of refused) {
    const of = staged.keys.get(key)?.changes;
    const [first, last] = [of?.[0], of?.at(-1)];
    throw new Divergence(
      `the database has ${available} available and ${frozen} frozen for ${key}; the ledger's events ${first?.offset} to ${last?.offset} do not match that`,
    );
  }
  await tx.copyIn(writeLogs, rows);
  return { applied: changes.length, rejected: 0 };
}

/**
 * The database decides. What repeats a known event is left out: mostly there is none, so all are written as new,
 * and where one is known after all, once more without it.
 */
async function writeJudged(
  tx: SqlConnection,
  tenure: Tenure,
  { changes, isOurs, ours, staged }: Batch,
): Promise<WrittenChanges> {
  let kept = changes;
  let events = NO_ROWS;
  let rows = NO_ROWS;
  await tx.run("SAVEPOINT before_changes");
  let refused = await writeNew(tx, tenure, staged, () => {
    events = newEventRows(tenure.partition, ours);
    rows = logRows(tenure, changes.map(applied));
  });
  if (!(await recordNew(tx, events))) {
    await tx.run("ROLLBACK TO SAVEPOINT before_changes");
    const { fresh, conflicting } = await sortEvents(tx, tenure.partition, ours);
    refused = await writeNew(tx, tenure, stage(fresh), () => {});
    for (const change of conflicting) refused.set(change, "EVENT_ID_CONFLICT");
    const asked = new Set([...fresh, ...conflicting]);
    kept = changes.filter((change) => asked.has(change) || !isOurs(change));
  }
  const rejected = refused.size + changes.length - ours.length;
  if (rejected > 0 || kept !== changes) {
    rows = logRows(
      tenure,
      kept.map((change) => ({
        change,
        reason: isOurs(change) ? refused.get(change) : "WRONG_PARTITION",
      })),
    );
  }
  await tx.copyIn(writeLogs, rows);
  return { applied: kept.length - rejected, rejected };
}

/** Writes changes whose events are new, and tells why those are refused that are. */
async function writeNew(
  tx: SqlConnection,
  tenure: Tenure,
  staged: StagedKeys,
  meanwhile: () => void,
): Promise<Map<BalanceChange, RejectReason>> {
  const reasons = new Map<BalanceChange, RejectReason>();
  const refused = await writeKeys(tx, tenure, staged, meanwhile);
  if (refused.size === 0) return reasons;
  const accepted: BalanceChange[] = [];
  for (const [key, holding] of refused) {
    for (const [change, reason] of oneByOne(holding, staged.keys.get(key))) {
      if (reason === undefined) accepted.push(change);
      else reasons.set(change, reason);
    }
  }
  const again = await writeKeys(tx, tenure, stage(accepted), () => {});
  if (again.size > 0) throw new Error(`changes of ${[...again.keys()]} match one by one, but not together`);
  return reasons;
}

function applied(change: BalanceChange): DecidedChange {
  return { change, reason: undefined };
}

/** The changes of one key, each with why it is refused, or undefined. */
function oneByOne(
  holding: Holding,
  key: NetChange | undefined,
): readonly (readonly [BalanceChange, RejectReason | undefined])[] {
  let current = holding;
  return (key?.changes ?? []).map((change) => {
    const after = judge(current, change);
    if (typeof after === "string") return [change, after];
    current = after;
    return [change, undefined];
  });
}
