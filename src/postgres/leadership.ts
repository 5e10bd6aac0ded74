/** Who may write to a partition: the leader lock as those see it who write under it. */

import type { SqlConnection } from "../ports/sql-connection.ts";
import type { Tenure } from "./balance-changes.ts";

/** Up to where a partition is written. */
export interface CommitPosition {
  /** 0 where nothing was ever written. */
  readonly offset: number;
  /** Of what ends at `offset`, 8 hex digits. */
  readonly crc: string;
  readonly ledgerId: string | null;
}

export interface LockState {
  /** Whether the lock may be taken now. */
  readonly free: boolean;
  readonly position: CommitPosition;
  /** The highest offset that any partition of the topic has committed. */
  readonly topicOffset: number;
  /** Differs after each rebuild of the partition. */
  readonly generation: string;
}

export interface LeaderLock {
  look(): Promise<LockState>;
  /** Takes it for the writer on `writing`; undefined where another was faster. */
  take(writing: SqlConnection): Promise<Lease | undefined>;
}

/** How often a leader renews its lease, and a standby looks whether it is free: two renewals may fail in a lease. */
export function heartbeatMs(leaseMs: number): number {
  return Math.floor(leaseMs / 3);
}

/** The lock, held by a heartbeat until it is released or lost. */
export interface Lease {
  readonly tenure: Tenure;
  /** Moves on with commit(). */
  readonly position: CommitPosition;
  /** Resolves with the reason as soon as this node may lead no more. */
  readonly lost: Promise<string>;
  /** Throws Deposed where the lease is not certain to be held. To be called before a batch is begun. */
  assertHeld(): void;
  /**
   * Ends the open transaction, with the fence as its last statement. Throws Deposed where another leads, or
   * the lease is not certain to be held: then nothing of it is written.
   */
  commit(to: CommitPosition): Promise<void>;
  /** Whether, by the database's word, nobody has led since, and nothing was written but by commit(). */
  isCurrent(): Promise<boolean>;
  /** Gives the lock back; throws where that cannot be told. To be called when the writer's connection is over. */
  release(): Promise<void>;
}

/** This node leads no more. */
export class Deposed extends Error {
  override readonly name = "Deposed";
}
