/**
 * Changes taken together by their key (account and currency): what they come to, and the lowest and highest
 * sums on the way. With those a database tells whether every change of a key fits, without looking at each.
 */

import type { BalanceChange } from "../balance-changes.ts";

/** The sum of a series of deltas, and the lowest and highest that it was after any of them. */
export interface RunningSum {
  net: bigint;
  low: bigint;
  high: bigint;
}

/** All changes of one key, in their order. */
export interface NetChange {
  readonly account: string;
  readonly currency: string;
  readonly available: RunningSum;
  readonly frozen: RunningSum;
  updatedMs: number;
  readonly changes: BalanceChange[];
}

export function keyOf({
  account,
  currency,
}: {
  readonly account: string;
  readonly currency: string;
}): string {
  return `${account},${currency}`;
}

/** One entry a key, under keyOf(). */
export function net(changes: readonly BalanceChange[]): Map<string, NetChange> {
  const keys = new Map<string, NetChange>();
  for (const change of changes) {
    const key = keyOf(change);
    const known = keys.get(key);
    if (!known) keys.set(key, firstOf(change));
    else addTo(known, change);
  }
  return keys;
}

function firstOf(change: BalanceChange): NetChange {
  const { account, currency, availableDelta, frozenDelta, atMs } = change;
  return {
    account,
    currency,
    available: { net: availableDelta, low: availableDelta, high: availableDelta },
    frozen: { net: frozenDelta, low: frozenDelta, high: frozenDelta },
    updatedMs: atMs,
    changes: [change],
  };
}

function addTo(known: NetChange, change: BalanceChange): void {
  addDelta(known.available, change.availableDelta);
  addDelta(known.frozen, change.frozenDelta);
  known.updatedMs = change.atMs;
  known.changes.push(change);
}

function addDelta(sum: RunningSum, delta: bigint): void {
  if (delta === 0n) return;
  sum.net += delta;
  if (sum.net < sum.low) sum.low = sum.net;
  else if (sum.net > sum.high) sum.high = sum.net;
}
