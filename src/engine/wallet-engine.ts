/** The ledger in memory: decides commands, applies events. One thread, no locks, no await. */

import type { Money } from "../domain/amount.ts";
import { apply } from "../domain/apply.ts";
import type { Command, Transfer } from "../domain/commands.ts";
import type { WalletEvent } from "../domain/events.ts";
import { execute } from "../domain/execute.ts";
import { Ledger } from "../domain/ledger.ts";
import { move } from "../domain/move.ts";
import type { Currency } from "../domain/names.ts";
import { type Committed, type Outcome, outcomeOf } from "../domain/outcomes.ts";
import { ID_AT, uuid } from "../wire/frame.ts";
import type { PlainTransfer } from "../wire/frame-reader.ts";
import { OpenAccounts } from "./open-accounts.ts";
import { type HashKey, TransactionIndex } from "./transaction-index.ts";

export class WalletEngine {
  readonly ledger: Ledger;
  readonly accounts: OpenAccounts;
  readonly #index: TransactionIndex;

  /** `hashKey` is random where strangers choose ids. */
  constructor(hashKey: HashKey = [0, 0]) {
    this.#index = new TransactionIndex(hashKey);
    this.ledger = new Ledger(this.#index);
    this.accounts = new OpenAccounts(this.ledger, (account) => this.#index.accountNumber(account));
  }

  /** The events that the command would write; none where it changes nothing. Mutates nothing. */
  execute(command: Command): readonly WalletEvent[] {
    return execute(this.ledger, command);
  }

  /** Throws ImpossibleState where the event cannot follow the ones before it. */
  apply(event: WalletEvent): void {
    apply(this.ledger, event);
  }

  /** What the command came to; called right after `events`, which execute() gave, were applied. */
  outcome(command: Command, events: readonly WalletEvent[]): Outcome {
    return outcomeOf(this.ledger, command, events);
  }

  /**
   * Hot path: decides and applies a transfer of the message at once, in the ledger's default `currency`. Comes
   * to what execute(), apply() and outcome() come to with plainCommand(), or to undefined and no change: then
   * they decide.
   */
  transfer(message: Uint8Array, plain: PlainTransfer, currency: Currency): Committed | undefined {
    const { at, payer, receiver, amount } = plain;
    const from = this.accounts.balance(payer);
    const to = this.accounts.balance(receiver);
    if (!this.#index.isNew(message, at + ID_AT) || !move(from, to, amount)) return undefined;
    const seq = this.ledger.seq + 2;
    this.ledger.seq = seq;
    this.#index.recordTransfer(payer, receiver, amount, currency, seq);
    return {
      status: "committed",
      seq,
      replayed: false,
      from_balance: from.available,
      to_balance: to.available,
    };
  }

  /** The command that a transfer of the message is. */
  plainCommand(
    message: Uint8Array,
    { at, payer, receiver, amount }: PlainTransfer,
    currency: Currency,
  ): Transfer {
    return {
      kind: "transfer",
      transaction_id: uuid(message, at + ID_AT),
      from_account: this.accounts.balance(payer).account,
      to_account: this.accounts.balance(receiver).account,
      amount: amount as Money,
      currency,
    };
  }
}
