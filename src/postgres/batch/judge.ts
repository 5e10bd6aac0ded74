/**
 * What a change does to a balance, in exact arithmetic. The database holds whole batches against these same
 * limits, as ranges that are staged; where a batch does not pass, changes are judged here, one by one.
 */

import { MAX_MONEY, MIN_MONEY } from "../../domain/amount.ts";
import { WORLD } from "../../domain/names.ts";
import type { BalanceChange } from "../balance-changes.ts";

/** Why a change is refused, in the order in which the reasons are checked. A closed set. */
export const REJECT_REASONS = [
  "WRONG_PARTITION",
  "EVENT_ID_CONFLICT",
  "INSUFFICIENT_BALANCE",
  "INSUFFICIENT_FROZEN",
  "OVERFLOW",
] as const;
export type RejectReason = (typeof REJECT_REASONS)[number];

export interface Holding {
  readonly available: bigint;
  readonly frozen: bigint;
}

export const NOTHING: Holding = { available: 0n, frozen: 0n };

export const MAX = BigInt(MAX_MONEY);
export const MIN = BigInt(MIN_MONEY);

/** The balance after `change`, or why it is refused. */
export function judge({ available, frozen }: Holding, change: BalanceChange): Holding | RejectReason {
  const after: Holding = {
    available: available + change.availableDelta,
    frozen: frozen + change.frozenDelta,
  };
  const mayOwe = change.account === WORLD;
  if (!mayOwe && after.available < 0n) return "INSUFFICIENT_BALANCE";
  if (!mayOwe && after.frozen < 0n) return "INSUFFICIENT_FROZEN";
  return isWithin(after.available) && isWithin(after.frozen) ? after : "OVERFLOW";
}

function isWithin(value: bigint): boolean {
  return value >= MIN && value <= MAX;
}

export function lowestBalance(account: string): bigint {
  return account === WORLD ? MIN : 0n;
}
