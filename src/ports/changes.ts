/** What happened, as the engine hands it on: in the order of the log. */

import type { WalletEvent } from "../domain/events.ts";
import type { AccountId, Currency } from "../domain/names.ts";
import type { LogPosition } from "./log-position.ts";
import type { FrameOutcome } from "./outcomes.ts";

/**
 * Committed transfers in one currency, of amounts that are safe integers: two events each. Accounts are
 * numbers; the same number is the same account for ever.
 */
export class Transfers {
  constructor(
    readonly currency: Currency,
    readonly nameOf: (account: number) => AccountId,
    readonly payers: ArrayLike<number>,
    readonly receivers: ArrayLike<number>,
    readonly amounts: ArrayLike<number>,
  ) {}
}

export type Change = WalletEvent | Transfers;

/** What one batch did: told when it is on disk. */
export interface Committed {
  readonly position: LogPosition;
  readonly changes: readonly Change[];
  readonly outcomes: readonly FrameOutcome[];
}

/** Transfers that are still being decided. */
export class TransfersBuilder {
  readonly #payers: number[] = [];
  readonly #receivers: number[] = [];
  readonly #amounts: number[] = [];
  readonly transfers: Transfers;

  constructor(currency: Currency, nameOf: (account: number) => AccountId) {
    this.transfers = new Transfers(currency, nameOf, this.#payers, this.#receivers, this.#amounts);
  }

  add(payer: number, receiver: number, amount: number): void {
    this.#payers.push(payer);
    this.#receivers.push(receiver);
    this.#amounts.push(amount);
  }
}
