/**
 * Writes a batch of balance changes into an open transaction: the balances, key by key, and a row a change in
 * balance_change_logs.
 *
 * The result is what one change at a time, in their order, would give. Only the tenure that holds the
 * partition's lock can commit (the fence is its caller's), so no other writer changes these keys meanwhile.
 */

import {
  type BalanceChange,
  type ChangeWriter,
  Divergence,
  type Tenure,
  type WrittenChanges,
} from "../../../ports/balance-changes.ts";
import type { SqlConnection } from "../../../ports/sql-connection.ts";
import { partitionOf } from "../partition-of.ts";
import { type DecidedChange, logRows } from "./copy-text.ts";
import { type Holding, judge, type RejectReason } from "./judge.ts";
import { sortEvents } from "./known-events.ts";
import { monthStarts } from "./months.ts";
import { type NetChange, net } from "./netting.ts";
import { makeRoom, prepareStaging, writeKeys } from "./staged-balances.ts";
import writeLogs from "./write-logs.sql" with { type: "text" };

const NONE: WrittenChanges = { applied: 0, rejected: 0 };

/** For a database with so many partitions. */
export function batchWriter(partitions: number): ChangeWriter {
  return {
    prepare: prepareStaging,
    write: async (tx, tenure, changes) => {
      if (changes.length === 0) return NONE;
      await makeRoom(tx, tenure, monthStarts(changes));
      const isOurs = ({ account }: BalanceChange) => partitionOf(account, partitions) === tenure.partition;
      const write = tenure.topic === "ledger" ? writeLedger : writeJudged;
      return await write(tx, tenure, changes, isOurs);
    },
  };
}

/** The ledger has decided: whatever does not fit is a difference between it and the database. */
async function writeLedger(
  tx: SqlConnection,
  tenure: Tenure,
  changes: readonly BalanceChange[],
  isOurs: (change: BalanceChange) => boolean,
): Promise<WrittenChanges> {
  const stray = changes.find((change) => !isOurs(change));
  if (stray) throw new Error(`${stray.account} is not of partition ${tenure.partition}`);
  const keys = net(changes);
  const writing = writeKeys(tx, tenure, keys);
  const rows = logRows(
    tenure,
    changes.map((change) => ({ change, reason: undefined })),
  ); // while the database works
  for (const [key, { available, frozen }] of await writing) {
    const [first, last] = [keys.get(key)?.changes[0], keys.get(key)?.changes.at(-1)];
    throw new Divergence(
      `the database has ${available} available and ${frozen} frozen for ${key}; the ledger's events ${first?.offset} to ${last?.offset} do not fit that`,
    );
  }
  await tx.copyIn(writeLogs, rows);
  return { applied: changes.length, rejected: 0 };
}

/** The database decides. What repeats a known event is left out. */
async function writeJudged(
  tx: SqlConnection,
  tenure: Tenure,
  changes: readonly BalanceChange[],
  isOurs: (change: BalanceChange) => boolean,
): Promise<WrittenChanges> {
  const reasons = new Map<BalanceChange, RejectReason | undefined>();
  const { fresh, conflicting } = await sortEvents(tx, tenure.partition, changes.filter(isOurs));
  for (const change of fresh) reasons.set(change, undefined);
  for (const change of conflicting) reasons.set(change, "EVENT_ID_CONFLICT");
  const keys = net(fresh);
  const refused = await writeKeys(tx, tenure, keys);
  if (refused.size > 0) {
    const accepted: BalanceChange[] = [];
    for (const [key, holding] of refused) {
      for (const [change, reason] of oneByOne(holding, keys.get(key))) {
        reasons.set(change, reason);
        if (reason === undefined) accepted.push(change);
      }
    }
    const again = await writeKeys(tx, tenure, net(accepted));
    if (again.size > 0) throw new Error(`changes of ${[...again.keys()]} fit one by one, but not together`);
  }
  const decided: DecidedChange[] = [];
  let rejected = 0;
  for (const change of changes) {
    const reason = isOurs(change) ? reasons.get(change) : "WRONG_PARTITION";
    if (reason === undefined && !reasons.has(change)) continue;
    decided.push({ change, reason });
    if (reason !== undefined) rejected++;
  }
  await tx.copyIn(writeLogs, logRows(tenure, decided));
  return { applied: decided.length - rejected, rejected };
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
