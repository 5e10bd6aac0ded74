/** The kinds of commands that carry a transaction id and are decided once. */

import { byNumber } from "./numbered.ts";

/** Their numbers in frames and in records of transactions, which they keep for ever. 0 is `open_ledger`. */
export const KIND_NUMBERS = { transfer: 1, deposit: 2, withdraw: 3, open_account: 4 } as const;
export type TransactionKind = keyof typeof KIND_NUMBERS;

export const TRANSACTION_KINDS = Object.keys(KIND_NUMBERS) as readonly TransactionKind[];
export const KINDS_BY_NUMBER = byNumber(KIND_NUMBERS);
