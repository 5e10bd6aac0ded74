/**
 * The most memory that a node takes, as docs/overload.md states it: what it takes at rest, which is
 * measured, and beside it only what its settings and its ledger allow, while no accounts are opened.
 */

import { MAX_WAITING_COMMANDS } from "../src/gateway/admission.ts";
import { SMALL_BODY_BYTES } from "../src/gateway/bodies.ts";
import { MAX_UNTAKEN_BYTES } from "../src/link/backlog.ts";
import { MAX_BODIES_BYTES } from "../src/node/gateways.ts";

/** What a transaction takes in the ledger: its record, and its place in a table that is about to grow. */
const TRANSACTION_BYTES = 64;
/** What a command takes while it waits: in its frame, as the engine reads it, in the log's buffer and as an outcome. */
const WAITING_BYTES = 1 << 10;
/** What was read is garbage for a while, and what goes over a link goes both ways. */
const TWICE = 2;

/** Of a node with default settings and one gateway thread. */
export interface MemoryUse {
  /** What it took at rest, in bytes. */
  readonly restBytes: number;
  /** Transactions that came to the ledger since then. */
  readonly transactions: number;
  readonly connections: number;
}

/** In bytes. */
export function memoryBound({ restBytes, transactions, connections }: MemoryUse): number {
  return (
    restBytes +
    transactions * TRANSACTION_BYTES +
    TWICE * MAX_BODIES_BYTES +
    TWICE * MAX_UNTAKEN_BYTES +
    MAX_WAITING_COMMANDS * WAITING_BYTES +
    connections * SMALL_BODY_BYTES
  );
}
