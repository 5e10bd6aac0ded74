/** What happened, as the engine hands it on: in the order of the log. */

import type { WalletEvent } from "../domain/events.ts";
import type { AccountId, Currency } from "../domain/names.ts";
import type { Outcome } from "../domain/outcomes.ts";
import type { FrameName } from "./command-queue.ts";
import type { LogPosition } from "./log-position.ts";

/** What a balance's number stands for. */
export interface BalanceName {
  readonly account: AccountId;
  readonly currency: Currency;
}

/**
 * CommittedBatch transfers of amounts that are safe integers: two events each. Payers and receivers are numbers of
 * balances; the same number is the same balance for ever.
 */
export interface Transfers {
  readonly balanceOf: (number: number) => BalanceName;
  readonly payers: ArrayLike<number>;
  readonly receivers: ArrayLike<number>;
  readonly amounts: ArrayLike<number>;
}

/** All events of a command, or transfers. */
export type Change = readonly WalletEvent[] | Transfers;

/** What a frame's commands came to, in their order. */
export interface FrameOutcome {
  /** The frame's, at its gateway. */
  readonly number: number;
  readonly outcomes: readonly Outcome[];
}

/** What one batch did: told when it is on disk. */
export interface CommittedBatch {
  readonly position: LogPosition;
  readonly changes: readonly Change[];
  /** Of frames that name gateways of this node. */
  readonly outcomes: readonly (FrameOutcome & FrameName)[];
}
