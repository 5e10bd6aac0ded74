/** What happened, as the engine hands it on: in the order of the log. */

import type { WalletEvent } from "../domain/events.ts";
import type { AccountId, Currency } from "../domain/names.ts";

/**
 * Committed transfers in one currency, of amounts that are safe integers: two events each. Accounts are
 * numbers; the same number is the same account for ever.
 */
export class Transfers {
  readonly payers: number[] = [];
  readonly receivers: number[] = [];
  readonly amounts: number[] = [];

  constructor(
    readonly currency: Currency,
    readonly nameOf: (account: number) => AccountId,
  ) {}

  add(payer: number, receiver: number, amount: number): void {
    this.payers.push(payer);
    this.receivers.push(receiver);
    this.amounts.push(amount);
  }
}

export type Change = WalletEvent | Transfers;
