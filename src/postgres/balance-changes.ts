/** Changes of balances on their way to PostgreSQL, and under whose tenure they are written. */

import type { SqlConnection } from "../ports/sql-connection.ts";

export const TOPICS = ["ledger", "changes"] as const;
export type Topic = (typeof TOPICS)[number];

/** One change of one balance. */
export interface BalanceChange {
  /** Topic `ledger`: the event's seq; `changes`: the message's number in its stream. */
  readonly offset: number;
  readonly eventId: string;
  readonly account: string;
  readonly currency: string;
  readonly availableDelta: bigint;
  readonly frozenDelta: bigint;
  /** When it happened, ms since 1970. */
  readonly atMs: number;
}

/** The time in which one node leads one partition; the token grows with each. */
export interface Tenure {
  readonly topic: Topic;
  readonly partition: number;
  readonly token: bigint;
}

/** How many changes were taken, and how many the database refused. */
export interface WrittenChanges {
  readonly applied: number;
  readonly rejected: number;
}

/** Writes changes into a transaction that is open, and that its caller ends. */
export interface ChangeWriter {
  /** Once a tenure, before its first write and outside a transaction. */
  prepare(connection: SqlConnection, tenure: Tenure): Promise<void>;
  write(
    connection: SqlConnection,
    tenure: Tenure,
    changes: readonly BalanceChange[],
  ): Promise<WrittenChanges>;
}

/** The database does not hold what the ledger says: nothing more may be written to it. */
export class Divergence extends Error {
  override readonly name = "Divergence";
}
