/** The fast path of a transfer that has nothing special; execute() and apply() say what it must come to. */

import type { Money } from "./amount.ts";
import type { Balance } from "./balances.ts";

/**
 * Moves a safe integer between two open balances of one currency, neither of them `@world`'s. Returns false and
 * changes nothing if it may be rejected, or if a number would not be exact: then execute() decides.
 */
export function moveFast(payer: Balance, receiver: Balance, amount: number): boolean {
  if (!isExact(payer) || !isExact(receiver)) return false;
  const left = payer.available;
  const sum = receiver.available + amount;
  if (left < amount || sum + receiver.frozen > Number.MAX_SAFE_INTEGER) return false;
  payer.available = (left - amount) as Money & number;
  receiver.available = sum as Money & number;
  return true;
}

/** Whether doubles hold exactly what the account has: available, frozen and both together. */
export function isExact(
  balance: Balance,
): balance is Balance & { available: Money & number; frozen: Money & number } {
  const { available, frozen } = balance;
  return (
    typeof available === "number" &&
    typeof frozen === "number" &&
    available + frozen <= Number.MAX_SAFE_INTEGER
  );
}
