import type { TransactionFailed } from "../events.ts";
import type { TransactionKind } from "../kinds.ts";
import type { Content } from "../ledger.ts";
import type { TransactionId } from "../names.ts";
import type { Rejection } from "../rejections.ts";

/** The event of a command that is rejected. */
export function failed<R extends Rejection>(
  reason: R,
  kind: TransactionKind,
  transaction_id: TransactionId,
  { from_account, to_account, amount, currency }: Content,
): TransactionFailed & { readonly reason: R } {
  return {
    type: "TransactionFailed",
    transaction_id,
    from_account,
    reason,
    kind,
    to_account,
    amount,
    currency,
  };
}
