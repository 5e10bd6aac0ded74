/** What users of the package see. */

export {
  type AccountOpening,
  type AccountOpeningOutcome,
  type Balance,
  type CallOptions,
  Coffer,
  type Deposit,
  type Ledger,
  type Withdrawal,
} from "./coffer.ts";
export {
  AccountExists,
  ClientClosed,
  CofferError,
  InvalidRequest,
  OutcomeUnknown,
  Overloaded,
  RequestFailed,
  TransactionIdConflict,
  Unavailable,
} from "./errors.ts";
export type { CofferOptions } from "./options.ts";
export type { Committed, Rejected, TransferOutcome } from "./outcomes.ts";
export { newTransactionId } from "./transaction-id.ts";
export type { Transfer } from "./values.ts";
