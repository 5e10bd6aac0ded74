/** What became of a movement of money. */

export interface Committed {
  readonly status: "committed";
  readonly transactionId: string;
  /**
   * The log's sequence number at or before which the movement stands: whatever shows this `seq` or a higher
   * one (`balance()`, `ledger()`) shows the movement too.
   */
  readonly seq: number;
  /**
   * Whether an earlier call had moved the money under this id. Always false for an id that was made here;
   * undefined where it cannot be told: a batch's answer says only how many of it were repeats, and after an
   * attempt without an answer the earlier one may have been this call's own. Either way the money has moved
   * once.
   */
  readonly replayed: boolean | undefined;
}

/** Nothing was moved, and under this id nothing ever will be. */
export interface Rejected {
  readonly status: "rejected";
  readonly transactionId: string;
  /** `insufficient_funds`, `balance_overflow`, or, in a strict ledger, `account_not_found`. */
  readonly code: string;
}

export type TransferOutcome = Committed | Rejected;
