/**
 * Snapshots: the ledger as it stood at a place of its log, so that a start need not read the log up to there.
 *
 * Most of a ledger only grows: records of transactions, names, accounts that were opened. A snapshot writes
 * what is new of that, and every balance.
 */

import type { Money } from "../domain/amount.ts";
import type { LedgerOpened } from "../domain/events.ts";
import type { LogPosition } from "./log-position.ts";

/** How many there are of what only grows. */
export interface SnapshotCounts {
  /** Names of accounts, in the order of their numbers. */
  readonly accounts: number;
  /** Balances, in the order in which they were opened. */
  readonly balances: number;
  /** Records of transactions. */
  readonly transactions: number;
}

/** What comes behind that which is kept: it never changes. */
export interface SnapshotGrowth {
  /** How many there are with it. */
  readonly to: SnapshotCounts;
  /** The names, with a line end behind each. */
  readonly accounts: string;
  /** A line each: account, currency, initial balance, with spaces between them. */
  readonly balances: string;
  /** The records, as the id index keeps them: RECORD_INTS integers each. */
  readonly transactions: Int32Array<ArrayBuffer>;
}

/** What can change, as it stood at `position`. */
export interface SnapshotState {
  readonly position: LogPosition;
  readonly opened: LedgerOpened;
  readonly counts: SnapshotCounts;
  /** In the order of their numbers in the records. */
  readonly currencies: readonly string[];
  readonly available: Float64Array<ArrayBuffer>;
  readonly frozen: Float64Array<ArrayBuffer>;
  /** Those that a double does not hold exactly, by their place. */
  readonly large: readonly { readonly place: number; readonly available: Money; readonly frozen: Money }[];
}

/** A snapshot that was read, whole. */
export interface ReadSnapshot {
  readonly state: SnapshotState;
  readonly accounts: string;
  readonly balances: string;
  /** In parts, one behind the other. */
  readonly transactions: readonly Int32Array<ArrayBuffer>[];
}

/** Where snapshots are kept. */
export interface SnapshotStore {
  /** Up to where what only grows is kept. */
  readonly kept: SnapshotCounts;
  /** Resolves when it is on disk. */
  append(growth: SnapshotGrowth): Promise<void>;
  /** Resolves when it is on disk. Everything up to its counts was appended before, and the log is on disk so far. */
  write(state: SnapshotState): Promise<void>;
  /** Gives back the room of what no snapshot counts. */
  discard(): void;
}
