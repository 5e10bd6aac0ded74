/** What happened, as the engine hands it on: in the order of the log. */

import type { WalletEvent } from "../domain/events.ts";
import type { AccountId, Currency } from "../domain/names.ts";

/** An account, with the number that the engine gave its name; the same name has the same number for ever. */
export interface NumberedAccount {
  readonly name: AccountId;
  readonly number: number;
}

/** Committed transfers in one currency, of amounts that are safe integers: two events each. */
export class Transfers {
  readonly payers: NumberedAccount[] = [];
  readonly receivers: NumberedAccount[] = [];
  readonly amounts: number[] = [];

  constructor(readonly currency: Currency) {}

  add(payer: NumberedAccount, receiver: NumberedAccount, amount: number): void {
    this.payers.push(payer);
    this.receivers.push(receiver);
    this.amounts.push(amount);
  }
}

export type Change = WalletEvent | Transfers;
