/** Where the changes of one partition come from. */

import type { BatchSource } from "../batching/batch-consumer.ts";
import type { BalanceChange } from "./balance-changes.ts";
import type { CommitPosition } from "./leadership.ts";

/** What is committed whole or not at all: a command of the ledger, or a message. */
export interface ChangeSet {
  /** None, where it does not concern the partition. */
  readonly changes: readonly BalanceChange[];
  readonly end: CommitPosition;
}

export interface ChangeSource {
  /** Nothing has reached it for so long that, when all it has is written, another node should lead. */
  readonly isCutOff: boolean;
  /**
   * Whether the source holds what ends at `position`, so that reading can go on there; false where it may
   * do so later. `topicOffset`: the highest that any partition of the topic has committed. Throws
   * Divergence where it holds something else.
   */
  holds(position: CommitPosition, topicOffset: number): Promise<boolean>;
  /** Throws where it does not hold what ends at `after`. */
  open(after: CommitPosition): Promise<ChangeStream>;
  /** How far the source is ahead of `offset`, in events or messages; undefined where it is not known here. */
  lag(offset: number): number | undefined;
}

export interface ChangeStream extends BatchSource<ChangeSet> {
  /** What was given up to `offset` is in the database. */
  committed(offset: number): void;
  /** Ends it, and whoever waits for it. */
  close(): void;
  /** Why it can give no more; undefined while it can. */
  readonly over: string | undefined;
}
