/** The ledger in memory: decides commands, applies events. One thread, no locks, no await. */

import type { Money } from "../domain/amount.ts";
import { apply } from "../domain/apply.ts";
import { total } from "../domain/balances.ts";
import type { Command, Transfer } from "../domain/commands/commands.ts";
import type { WalletEvent } from "../domain/events.ts";
import { execute } from "../domain/execute.ts";
import { isExact, moveFast } from "../domain/fast-transfer.ts";
import { Ledger } from "../domain/ledger.ts";
import { type Committed, type Outcome, outcomeOf } from "../domain/outcomes.ts";
import type { LoggedTransfers } from "../ports/logged-transfers.ts";
import { ID_AT, uuid } from "../wire/frame.ts";
import type { FastTransfer } from "../wire/frame-reader.ts";
import { OpenBalances } from "./open-balances.ts";
import { type HashKey, TransactionIndex } from "./transaction-index.ts";
import type { TransactionRecords } from "./transaction-records.ts";

/** For so many transfers transfer() is prepared at a time. */
export const PREPARED_TRANSFERS = 64;

/** Roughly: two lines of a transfer between names of usual length. */
const LOG_BYTES_A_TRANSACTION = 300;

export class WalletEngine {
  readonly ledger: Ledger;
  readonly balances: OpenBalances;
  readonly #index: TransactionIndex;
  /** Of the transfers that are being replayed. */
  #payers = new Int32Array(0);
  #receivers = new Int32Array(0);
  /** Of the transfers that are prepared: their ids, four big-endian integers each. */
  readonly #ids = new Int32Array(4 * PREPARED_TRANSFERS);

  /** `hashKey` is random where strangers choose ids. */
  constructor(hashKey: HashKey = [0, 0]) {
    this.#index = new TransactionIndex(hashKey);
    this.ledger = new Ledger(this.#index);
    this.balances = new OpenBalances(this.ledger, (account) => this.#index.accountNumber(account));
  }

  /** What was decided about every transaction. */
  get records(): TransactionRecords {
    return this.#index.records;
  }

  /** To be called after records were put there from outside. */
  indexAll(): void {
    this.#index.indexAll();
  }

  /** Tells how long the log is that will be replayed. */
  expectLog(bytes: number): void {
    this.#index.expect(bytes / LOG_BYTES_A_TRANSACTION);
  }

  /** The events that the command would write; none where it changes nothing. Mutates nothing. */
  execute(command: Command): readonly WalletEvent[] {
    return execute(this.ledger, command);
  }

  /** Applies all events of a command. Throws ImpossibleState if they cannot follow those before them. */
  apply(events: readonly WalletEvent[]): void {
    apply(this.ledger, events);
  }

  /** What the command came to; called right after `events`, which execute() gave, were applied. */
  outcome(command: Command, events: readonly WalletEvent[]): Outcome {
    return outcomeOf(this.ledger, command, events);
  }

  /**
   * Prepares for transfer() of those of the message's `commands` that are fast transfers, from `first` on,
   * PREPARED_TRANSFERS at most: one by one their ids would each wait for memory.
   */
  prepare(message: Uint8Array, commands: readonly (Command | FastTransfer)[], first: number): void {
    const ids = this.#ids;
    const most = Math.min(PREPARED_TRANSFERS, commands.length - first);
    let count = 0;
    for (let i = 0; i < most; i++) {
      const command = commands[first + i];
      if (command?.kind !== "fast_transfer") continue;
      count = i + 1;
      for (let part = 0; part < 4; part++) {
        const at = command.at + ID_AT + 4 * part;
        ids[4 * i + part] =
          ((message[at] as number) << 24) |
          ((message[at + 1] as number) << 16) |
          ((message[at + 2] as number) << 8) |
          (message[at + 3] as number);
      }
    }
    this.#index.look(ids, count);
  }

  /**
   * Hot path: decides and applies a transfer at once; it is the `number`-th of those that are prepared. Comes to
   * what execute(), apply() and outcome() come to with commandOf(), or to undefined and no change: then they decide.
   */
  transfer({ payer, receiver, amount }: FastTransfer, number: number): Committed | undefined {
    const { balances } = this;
    const from = balances.balance(payer);
    const to = balances.balance(receiver);
    if (!this.#index.isNew(this.#ids, number) || !moveFast(from, to, amount)) return undefined;
    const seq = this.ledger.seq + 2;
    this.ledger.seq = seq;
    this.#index.recordTransfer(
      balances.nameNumber(payer),
      balances.nameNumber(receiver),
      amount,
      from.currency,
      seq,
    );
    return {
      status: "committed",
      seq,
      replayed: false,
      from_balance: total(from),
      to_balance: total(to),
    };
  }

  /**
   * Hot path of replay: applies transfers of the log at once. Comes to what apply() comes to with their events.
   * Returns how many it has applied, from the first on: whether and how the next one can be applied is for
   * apply() to say.
   */
  replay(transfers: LoggedTransfers): number {
    const { balances, ledger } = this;
    const { ids, amounts } = transfers;
    const count = this.#findBalances(transfers);
    const payers = this.#payers;
    const receivers = this.#receivers;
    this.#index.look(ids, count);
    for (let i = 0; i < count; i++) {
      const payer = payers[i] as number;
      const receiver = receivers[i] as number;
      const amount = amounts[i] as number;
      const from = balances.balance(payer);
      if (!this.#index.isNew(ids, i) || !moveFast(from, balances.balance(receiver), amount)) return i;
      ledger.seq += 2;
      this.#index.recordTransfer(
        balances.nameNumber(payer),
        balances.nameNumber(receiver),
        amount,
        from.currency,
        ledger.seq,
      );
    }
    return count;
  }

  /** Finds payers and receivers; returns how many transfers, from the first on, are between two exact balances. */
  #findBalances({ count, bytes, payerAt, payerEnd, receiverAt, receiverEnd }: LoggedTransfers): number {
    const { balances } = this;
    if (this.#payers.length < count) {
      this.#payers = new Int32Array(count);
      this.#receivers = new Int32Array(count);
    }
    const payers = this.#payers;
    const receivers = this.#receivers;
    const paying = balances.findAll(bytes, payerAt, payerEnd, count, payers);
    const found = balances.findAll(bytes, receiverAt, receiverEnd, paying, receivers);
    // All at once, for one by one each would wait for memory.
    for (let i = 0; i < found; i++) {
      const payer = payers[i] as number;
      const receiver = receivers[i] as number;
      if (payer === receiver || !isExact(balances.balance(payer)) || !isExact(balances.balance(receiver)))
        return i;
    }
    return found;
  }

  /** The events of the transaction that was recorded last, a committed transfer. */
  lastTransfer(): readonly WalletEvent[] {
    const { id: transaction_id, decided } = this.#index.last();
    const { from_account, to_account, amount, currency } = decided;
    return [
      { type: "MoneyDeducted", transaction_id, account: from_account, amount, currency },
      { type: "MoneyCredited", transaction_id, account: to_account, amount, currency },
    ];
  }

  /** The command that a transfer of the message is. */
  commandOf(message: Uint8Array, { at, payer, receiver, amount }: FastTransfer): Transfer {
    const { account: from_account, currency } = this.balances.balance(payer);
    return {
      kind: "transfer",
      transaction_id: uuid(message, at + ID_AT),
      amount: amount as Money,
      from_account,
      to_account: this.balances.balance(receiver).account,
      currency,
    };
  }
}
