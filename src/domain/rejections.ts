import { byNumber } from "./numbered.ts";

/**
 * Why a command can be rejected, in the order in which the reasons are checked: a closed set. The order is precedence
 * alone; in records of transactions a reason is its number, which it keeps for ever.
 */
const NUMBERS = {
  account_not_found: 1,
  hold_not_found: 2,
  hold_closed: 3,
  amount_exceeds_hold: 4,
  insufficient_funds: 5,
  balance_overflow: 6,
  batch_failed: 7,
} as const;

export type Rejection = keyof typeof NUMBERS;

export const REJECTIONS = Object.keys(NUMBERS) as readonly Rejection[];

/** The reasons in the places of their numbers. */
export const REJECTIONS_BY_NUMBER = byNumber(NUMBERS);

/** 0 for no reason. */
export function rejectionNumber(reason: Rejection | undefined): number {
  return reason === undefined ? 0 : NUMBERS[reason];
}
