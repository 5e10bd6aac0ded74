/**
 * Which changes of topic `changes` are new. An event id is decided once: what repeats it is dropped, what has
 * other content under it is refused.
 */

import { hash as hashOfText } from "node:crypto";
import { type SqlConnection, SqlError } from "../../ports/sql-connection.ts";
import type { BalanceChange } from "../balance-changes.ts";
import copyEvents from "./copy-events.sql" with { type: "text" };
import { eventRows } from "./copy-text.ts";
import knownEvents from "./known-events.sql" with { type: "text" };
import recordEvents from "./record-events.sql" with { type: "text" };

/** The SQLSTATE of a key that is there already. */
const UNIQUE_VIOLATION = "23505";

export interface SortedEvents {
  /** Never seen before, each id once, in their order; they are recorded. */
  readonly fresh: readonly BalanceChange[];
  /** Their id has another content. */
  readonly conflicting: readonly BalanceChange[];
}

interface NewEvent {
  readonly change: BalanceChange;
  /** SHA-256 of its content, in hex. */
  readonly hash: string;
}

/** The rows that record these events, for recordNew(). All writers record in one order: none waits in a circle. */
export function newEventRows(partition: number, changes: readonly BalanceChange[]): Uint8Array {
  return eventRows(partition, inOrder(changes.map(hashed)));
}

/**
 * Records events that are all new, as they mostly are: it takes a third of the time of sortEvents(). Returns false
 * where one is known; the transaction has failed then.
 */
export async function recordNew(tx: SqlConnection, rows: Uint8Array): Promise<boolean> {
  try {
    await tx.copyIn(copyEvents, rows);
    return true;
  } catch (error) {
    if (!(error instanceof SqlError) || error.state !== UNIQUE_VIOLATION) throw error;
    return false;
  }
}

/** Records the ids of `changes` in the open transaction, one by one, and tells which of them are new. */
export async function sortEvents(
  tx: SqlConnection,
  partition: number,
  changes: readonly BalanceChange[],
): Promise<SortedEvents> {
  const events = new Map<string, NewEvent>();
  for (const change of changes) if (!events.has(change.eventId)) events.set(change.eventId, hashed(change));
  const known = await record(tx, partition, inOrder([...events.values()]));
  const isFresh = (change: BalanceChange) =>
    !known.has(change.eventId) && events.get(change.eventId)?.change === change;
  const hashOf = ({ eventId }: BalanceChange) => known.get(eventId) ?? events.get(eventId)?.hash;
  return {
    fresh: changes.filter(isFresh),
    conflicting: changes.filter((change) => !isFresh(change) && hashOf(change) !== contentHash(change)),
  };
}

/** Records events; returns the contents' hashes of those that were known, under their ids. */
async function record(
  tx: SqlConnection,
  partition: number,
  events: readonly NewEvent[],
): Promise<ReadonlyMap<string, string>> {
  const repeated = await tx.query<{ event_id: string }>(recordEvents, [
    events.map(({ change }) => change.eventId),
    events.map(({ hash }) => `\\x${hash}`),
    events.map(({ change }) => change.offset),
    partition,
  ]);
  if (repeated.length === 0) return new Map();
  const ids = repeated.map(({ event_id }) => event_id);
  const known = await tx.query<{ event_id: string; content_hash: string }>(knownEvents, [ids]);
  if (known.length !== ids.length) throw new Error("recorded events cannot be read");
  return new Map(known.map(({ event_id, content_hash }) => [event_id, content_hash]));
}

function hashed(change: BalanceChange): NewEvent {
  return { change, hash: contentHash(change) };
}

function inOrder(events: NewEvent[]): readonly NewEvent[] {
  return events.sort((a, b) => (a.change.eventId < b.change.eventId ? -1 : 1));
}

/** SHA-256, in hex, of what a change says beside its id. */
function contentHash({ account, currency, availableDelta, frozenDelta }: BalanceChange): string {
  return hashOfText("sha256", `${account}\n${currency}\n${availableDelta}\n${frozenDelta}`, "hex");
}
