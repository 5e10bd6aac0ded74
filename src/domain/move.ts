/** The short way of a transfer that has nothing special; execute() and apply() say what it must come to. */

import { type Money, ZERO } from "./amount.ts";
import type { Balance } from "./balances.ts";

/**
 * Moves a safe integer between two open balances of one currency, neither of them `@world`'s. Returns false,
 * and changes nothing, where it may be rejected or a number would not be exact: then execute() decides.
 */
export function move(payer: Balance, receiver: Balance, amount: number): boolean {
  if (!isPlain(payer) || !isPlain(receiver)) return false;
  const left = payer.available;
  const held = receiver.available;
  const sum = held + amount;
  if (left < amount || sum > Number.MAX_SAFE_INTEGER) return false;
  payer.available = (left - amount) as Money & number;
  receiver.available = sum as Money & number;
  return true;
}

/** Whether nothing of the balance is frozen, and the rest is a safe integer. */
export function isPlain(balance: Balance): balance is Balance & { available: Money & number } {
  return typeof balance.available === "number" && balance.frozen === ZERO;
}
