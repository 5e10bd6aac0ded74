/** Why a command can be rejected, in the order in which the reasons are checked. A closed set. */
export const REJECTIONS = [
  "account_not_found",
  "hold_not_found",
  "hold_closed",
  "amount_exceeds_hold",
  "insufficient_funds",
  "balance_overflow",
  "batch_failed",
] as const;
export type Rejection = (typeof REJECTIONS)[number];
