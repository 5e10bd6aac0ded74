/** What stands in the database about its own writing. */

import type { SqlConnection } from "../ports/sql-connection.ts";
import emptyLedgerScript from "./empty-ledger.sql" with { type: "text" };
import partitionsQuery from "./partition-states.sql" with { type: "text" };
import topicOffsets from "./topic-offsets.sql" with { type: "text" };

export interface PartitionState {
  readonly topic: string;
  readonly partition: number;
  /** Undefined where nobody leads. */
  readonly leader: string | undefined;
  readonly token: bigint;
  readonly offset: number;
  readonly crc: string;
  /** Undefined where nothing is written, and in topic `changes`. */
  readonly ledgerId: string | undefined;
}

/** Of every topic, the lowest offset of its partitions: up to there SQL is consistent. */
export interface TopicState {
  readonly topic: string;
  readonly offset: number;
}

export async function partitionStates(
  connection: SqlConnection,
): Promise<{ readonly partitions: readonly PartitionState[]; readonly topics: readonly TopicState[] }> {
  const rows = await connection.query<{
    topic: string;
    partition: number;
    leader: string | null;
    fencing_token: bigint;
    commit_offset: bigint;
    crc: string;
    ledger_id: string | null;
  }>(partitionsQuery);
  const topics = await connection.query<{ topic: string; commit_offset: bigint }>(topicOffsets);
  return {
    partitions: rows.map(({ topic, partition, leader, fencing_token, commit_offset, crc, ledger_id }) => ({
      topic,
      partition,
      leader: leader ?? undefined,
      token: fencing_token,
      offset: Number(commit_offset),
      crc,
      ledgerId: ledger_id ?? undefined,
    })),
    topics: topics.map(({ topic, commit_offset }) => ({ topic, offset: Number(commit_offset) })),
  };
}

/** Deletes what topic `ledger` holds and where it stands. Who leads is deposed. */
export async function emptyLedger(connection: SqlConnection): Promise<void> {
  await connection.run(emptyLedgerScript);
}
