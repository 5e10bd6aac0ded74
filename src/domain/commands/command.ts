/** What a command's module says of it. */

import type { WalletEvent } from "../event-table.ts";
import type { TransactionFailed } from "../events.ts";
import type { FieldTypes } from "../fields.ts";
import type { TransactionKind } from "../kinds.ts";
import type { Content, LedgerView } from "../ledger.ts";
import type { AccountId, TransactionId } from "../names.ts";
import type { Committed, Opened, Refused } from "../outcomes.ts";
import type { Rejection } from "../rejections.ts";

/** An event of a command that can be rejected for these reasons alone. */
export type DecidedEvent<R extends Rejection> =
  | Exclude<WalletEvent, TransactionFailed>
  | (TransactionFailed & { readonly reason: R });

/** Something wrong with a command whose fields are all right. */
export interface Flaw {
  readonly field: string;
  readonly message: string;
}

/** Money that a command takes out of an account, and the field of a request that says so. */
export interface Debit {
  readonly account: AccountId;
  readonly field: string;
}

/** A field of a request for a command, as JSON. */
export interface RequestField {
  /** The command's field that it gives. */
  readonly gives: string;
  /** What the command has if the request leaves it out; absent if it must be there (or has a default of its own). */
  readonly ifAbsent?: unknown;
  /** For the published description; absent if the type's own says enough. */
  readonly description?: string;
  readonly example?: unknown;
}

/** A command that carries a transaction id, and is decided once. */
export interface CommandModule<
  C extends { readonly transaction_id: TransactionId },
  R extends Rejection = Rejection,
> {
  readonly kind: TransactionKind;
  /** Its fields in the order of a frame, the transaction id first. */
  readonly fields: FieldTypes;
  /** Its request as JSON, by the names of the fields, in the order in which they are checked. */
  readonly request: Readonly<Record<string, RequestField>>;
  /** Why it can be rejected, in the order in which the reasons are checked. */
  readonly rejections: readonly R[];
  /** What no field can say alone; undefined for a command that may be decided. */
  flaw?(command: C): Flaw | undefined;
  /** The events of a command under a new id; none if it changes nothing. Changes nothing itself. */
  execute(view: LedgerView, command: C): readonly DecidedEvent<R>[];
  /** The committed command that wrote these events; undefined if they are not of this kind. */
  writtenBy(events: readonly WalletEvent[]): C | undefined;
  /** What makes two commands under one id the same. */
  content(command: C): Content;
  /** The command with this content, of a rejection. */
  withContent(transaction_id: TransactionId, content: Content): C;
  /** Out of which accounts money goes: a key that is bound to accounts must cover all of them. */
  debits(command: C): readonly Debit[];
  /** What it came to when it is committed; balances are those of `view`. */
  outcome(view: LedgerView, command: C, seq: number, replayed: boolean): Committed | Opened;
  /** What it came to when it changed nothing although its id is new. Absent if it always writes events. */
  unchanged?(view: LedgerView, command: C): Opened | Refused;
}
