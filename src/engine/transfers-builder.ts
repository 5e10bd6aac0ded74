import type { BalanceName, Transfers } from "../ports/changes.ts";

/** Transfers that are still being decided. */
export class TransfersBuilder {
  readonly #payers: number[] = [];
  readonly #receivers: number[] = [];
  readonly #amounts: number[] = [];
  readonly transfers: Transfers;

  constructor(balanceOf: (number: number) => BalanceName) {
    this.transfers = {
      balanceOf,
      payers: this.#payers,
      receivers: this.#receivers,
      amounts: this.#amounts,
    };
  }

  add(payer: number, receiver: number, amount: number): void {
    this.#payers.push(payer);
    this.#receivers.push(receiver);
    this.#amounts.push(amount);
  }
}
