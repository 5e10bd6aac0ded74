/**
 * A tenure's staging table: one row a key, from which one statement writes the balances.
 *
 * It is the tenure's own, so that a writer that was stopped and goes on has no part in its heir's. Between
 * transactions it is empty, so that it loses nothing when it is lost in a crash of the server.
 */

import { setImmediate as turn } from "node:timers/promises";
import type { SqlConnection } from "../../ports/sql-connection.ts";
import type { BalanceChange, Tenure } from "../balance-changes.ts";
import beginBatch from "./begin-batch.sql" with { type: "text" };
import { stagedRows } from "./copy-text.ts";
import { type Holding, NOTHING } from "./judge.ts";
import makeStaging from "./make-staging.sql" with { type: "text" };
import { keyOf, type NetChange, net } from "./netting.ts";
import prepareSession from "./prepare-session.sql" with { type: "text" };
import stageBalances from "./stage-balances.sql" with { type: "text" };
import writeBalances from "./write-balances.sql" with { type: "text" };

/** What write-balances.sql returns: its counts, beside each key that did not pass. */
interface WrittenRow {
  readonly updated_rows: bigint;
  readonly inserted_rows: bigint;
  readonly error_rows: bigint;
  /** Null where all have passed. */
  readonly account_id: string | null;
  readonly currency_code: string | null;
  /** Null where there is no such balance yet. */
  readonly available: bigint | null;
  readonly frozen: bigint | null;
}

/** Makes the tenure's own staging, and drops that of earlier ones of its partition. */
export async function prepareStaging(connection: SqlConnection, tenure: Tenure): Promise<void> {
  await connection.run(prepareSession);
  const { topic, partition, token } = tenure;
  const [row] = await connection.query<{ name: string }>(makeStaging, [topic, partition, token]);
  if (row?.name !== stagingOf(tenure)) throw new Error(`staging is called ${row?.name}`);
}

/** Makes room for a batch, whose changes happened in the months that begin at these times (ms since 1970). */
export async function makeRoom(tx: SqlConnection, tenure: Tenure, months: readonly number[]): Promise<void> {
  await tx.query(beginBatch, [stagingOf(tenure), months]);
}

/** Does `work` while the database works. */
export async function during<T, W>(statement: Promise<T>, work: () => W): Promise<readonly [T, W]> {
  return await Promise.all([statement, turn().then(work)]); // a statement is sent when the event loop turns
}

/** Keys that are ready to be written. */
export interface StagedKeys {
  /** Under keyOf(). */
  readonly keys: ReadonlyMap<string, NetChange>;
  readonly rows: Uint8Array;
}

export function stage(changes: readonly BalanceChange[]): StagedKeys {
  const keys = net(changes);
  // As the primary key has them: what is found one after the other then lies on the same pages.
  const inOrder = [...keys.values()].sort((a, b) => (a.account < b.account ? -1 : 1));
  return { keys, rows: stagedRows(inOrder) };
}

/**
 * Writes each key as a whole, or not at all. Returns what those hold that did not pass, under keyOf(): they are
 * unchanged. `meanwhile` is done while the database works.
 */
export async function writeKeys(
  tx: SqlConnection,
  tenure: Tenure,
  staged: StagedKeys,
  meanwhile: () => void,
): Promise<ReadonlyMap<string, Holding>> {
  const { keys } = staged;
  if (keys.size === 0) {
    meanwhile();
    return new Map();
  }
  await tx.copyIn(forTenure(stageBalances, tenure), staged.rows);
  const [rows] = await during(
    tx.query<WrittenRow>(forTenure(writeBalances, tenure), [tenure.topic, tenure.partition]),
    meanwhile,
  );
  const refused = new Map<string, Holding>();
  for (const { account_id, currency_code, available, frozen } of rows) {
    if (account_id === null || currency_code === null) continue;
    const holding = available === null || frozen === null ? NOTHING : { available, frozen };
    refused.set(keyOf({ account: account_id, currency: currency_code }), holding);
  }
  assertCounts(rows[0], keys.size, refused.size);
  return refused;
}

function assertCounts(counts: WrittenRow | undefined, keys: number, refused: number): void {
  if (!counts) throw new Error("the statement returned no counts");
  const { updated_rows, inserted_rows, error_rows } = counts;
  if (Number(error_rows) !== refused || Number(updated_rows + inserted_rows + error_rows) !== keys)
    throw new Error(
      `of ${keys} keys ${updated_rows} were updated, ${inserted_rows} inserted and ${error_rows} (${refused}) refused`,
    );
}

function forTenure(sql: string, tenure: Tenure): string {
  return sql.replaceAll("staged_balances", stagingOf(tenure));
}

/** As make_staging() calls it. */
function stagingOf({ topic, partition, token }: Tenure): string {
  return `staged_balances_${topic}_${partition}_${token}`;
}
