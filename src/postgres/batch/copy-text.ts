/** Rows as `COPY … FROM STDIN` takes them in its text format: a line a row, tabs between values. */

import type { BalanceChange, Tenure } from "../balance-changes.ts";
import { lowestBalance, MAX, MIN, type RejectReason } from "./judge.ts";
import type { NetChange, RunningSum } from "./netting.ts";

/** A change, and why it was refused; undefined where it was applied. */
export interface DecidedChange {
  readonly change: BalanceChange;
  readonly reason: RejectReason | undefined;
}

const encoder = new TextEncoder();
const MAX_TEXT = String(MAX);
/** No balance fits what leads further up than this. */
const WHOLE_RANGE = MAX - MIN;

export function stagedRows(keys: Iterable<NetChange>): Uint8Array {
  let rows = "";
  for (const { account, currency, available, frozen, updatedMs } of keys) {
    const lowest = lowestBalance(account);
    rows += `${text(account)}\t${text(currency)}\t${fitting(available, lowest)}\t${fitting(frozen, lowest)}\t${updatedMs}\n`;
  }
  return encoder.encode(rows);
}

/**
 * A sum, and from which to which balance it fits. It fits an allowed balance unless the way leads down or up;
 * where no balance would do, the range is empty.
 */
function fitting({ net, low, high }: RunningSum, lowest: bigint): string {
  const from = low < 0n ? lowest - low : lowest;
  const to = high > 0n ? String(MAX - high) : MAX_TEXT;
  return from > MAX || high > WHOLE_RANGE ? `${net}\t1\t0` : `${net}\t${from}\t${to}`;
}

export function logRows({ topic, partition }: Tenure, decided: readonly DecidedChange[]): Uint8Array {
  let rows = "";
  for (const { change, reason } of decided) {
    const { offset, eventId, account, currency, availableDelta, frozenDelta, atMs } = change;
    const status = reason === undefined ? "APPLIED\t\\N" : `REJECTED\t${reason}`;
    rows += `${topic}\t${partition}\t${offset}\t${text(eventId)}\t${text(account)}\t${text(currency)}\t${availableDelta}\t${frozenDelta}\t${atMs}\t${status}\n`;
  }
  return encoder.encode(rows);
}

/** `hash` in hex. */
export function eventRows(
  partition: number,
  events: readonly { readonly change: BalanceChange; readonly hash: string }[],
): Uint8Array {
  let rows = "";
  for (const { change, hash } of events)
    rows += `${text(change.eventId)}\t\\\\x${hash}\t${partition}\t${change.offset}\n`;
  return encoder.encode(rows);
}

const SPECIAL = /[\\\t\n\r]/;
const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r" };

function text(value: string): string {
  return SPECIAL.test(value) ? value.replace(/[\\\t\n\r]/g, (character) => ESCAPES[character] ?? "") : value;
}
