/**
 * Which changes of topic `changes` are new. An event id is decided once: what repeats it is dropped, what has
 * other content under it is refused.
 */

import { hash } from "node:crypto";
import type { BalanceChange } from "../../../ports/balance-changes.ts";
import type { SqlConnection } from "../../../ports/sql-connection.ts";
import knownEvents from "./known-events.sql" with { type: "text" };
import recordEvents from "./record-events.sql" with { type: "text" };

export interface SortedEvents {
  /** Never seen before, each id once, in their order; they are recorded. */
  readonly fresh: readonly BalanceChange[];
  /** Their id has another content. */
  readonly conflicting: readonly BalanceChange[];
}

/** Records the ids of `changes` in the open transaction, and tells which of them are new. */
export async function sortEvents(
  tx: SqlConnection,
  partition: number,
  changes: readonly BalanceChange[],
): Promise<SortedEvents> {
  const first = new Map<string, BalanceChange>();
  for (const change of changes) if (!first.has(change.eventId)) first.set(change.eventId, change);
  const hashes = new Map([...first].map(([id, change]) => [id, contentHash(change)]));
  const known = await tx.query<{ event_id: string }>(recordEvents, [
    [...first.keys()],
    [...hashes.values()].map((hash) => `\\x${hash}`),
    [...first.values()].map(({ offset }) => offset),
    partition,
  ]);
  if (known.length > 0) {
    const ids = known.map(({ event_id }) => event_id);
    const rows = await tx.query<{ event_id: string; content_hash: string }>(knownEvents, [ids]);
    if (rows.length !== ids.length) throw new Error("events that are recorded cannot be read");
    for (const { event_id, content_hash } of rows) {
      first.delete(event_id);
      hashes.set(event_id, content_hash);
    }
  }
  if (first.size === changes.length) return { fresh: changes, conflicting: [] };
  return {
    fresh: [...first.values()],
    conflicting: changes.filter(
      (change) => first.get(change.eventId) !== change && hashes.get(change.eventId) !== contentHash(change),
    ),
  };
}

/** SHA-256, in hex, of what a change says beside its id. */
function contentHash({ account, currency, availableDelta, frozenDelta }: BalanceChange): string {
  return hash("sha256", `${account}\n${currency}\n${availableDelta}\n${frozenDelta}`, "hex");
}
