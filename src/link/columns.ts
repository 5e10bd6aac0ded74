/** What goes over a link in bulk, as columns of numbers: they are copied, or handed over, at once. */

import type { Money } from "../domain/amount.ts";
import type { Balance } from "../domain/balances.ts";
import type { WalletEvent } from "../domain/events.ts";
import type { Ledger } from "../domain/ledger.ts";
import type { AccountId, Currency } from "../domain/names.ts";
import type { Outcome } from "../domain/outcomes.ts";
import type { BalanceName, Change, FrameOutcome, Transfers } from "../ports/changes.ts";
import type { LedgerColumns, OutcomeColumns, TransferColumns } from "../ports/link.ts";

/** Of a committed command: its seq, the payer's balance, the receiver's. */
const OUTCOME_NUMBERS = 3;
/** About what an object takes that travels beside the columns: an event, an outcome, a name. */
const OBJECT_BYTES = 256;

/** A change as it travels. */
export type ChangeColumns = TransferColumns | readonly WalletEvent[];

/** The sending end: it knows which balances it has named. */
export class ChangeEncoder {
  /** By the balance's number; without holes, which would be slow. */
  readonly #told: boolean[] = [];

  encode(changes: readonly Change[]): ChangeColumns[] {
    return changes.map((change) => ("payers" in change ? this.#columns(change) : change));
  }

  #columns({ balanceOf, payers, receivers, amounts }: Transfers): TransferColumns {
    const named: { number: number; account: AccountId; currency: Currency }[] = [];
    for (const numbers of [payers, receivers]) {
      for (let i = 0; i < numbers.length; i++) {
        const number = numbers[i] as number;
        if (this.#told[number]) continue;
        while (this.#told.length <= number) this.#told.push(false);
        this.#told[number] = true;
        const { account, currency } = balanceOf(number);
        named.push({ number, account, currency });
      }
    }
    return {
      named,
      payers: Int32Array.from(payers),
      receivers: Int32Array.from(receivers),
      amounts: Float64Array.from(amounts),
    };
  }
}

/** The receiving end. */
export class ChangeDecoder {
  /** By the balance's number; without holes, which would be slow. */
  readonly #names: (BalanceName | undefined)[] = [];
  readonly #balanceOf = (number: number): BalanceName => {
    const name = this.#names[number];
    if (name === undefined) throw new RangeError(`balance ${number} was not named`);
    return name;
  };

  decode(changes: readonly ChangeColumns[]): Change[] {
    return changes.map((change) => {
      if (!("payers" in change)) return change;
      const { named: names, payers, receivers, amounts } = change;
      for (const named of names) {
        while (this.#names.length <= named.number) this.#names.push(undefined);
        this.#names[named.number] = named;
      }
      return { balanceOf: this.#balanceOf, payers, receivers, amounts };
    });
  }
}

export function encodeOutcome({ number, outcomes }: FrameOutcome): OutcomeColumns {
  const committed = new Float64Array(outcomes.length * OUTCOME_NUMBERS);
  const others: { place: number; outcome: Outcome }[] = [];
  for (let place = 0; place < outcomes.length; place++) {
    const outcome = outcomes[place] as Outcome;
    if (
      outcome.status === "committed" &&
      !outcome.replayed &&
      typeof outcome.from_balance === "number" &&
      typeof outcome.to_balance === "number"
    ) {
      const at = place * OUTCOME_NUMBERS;
      committed[at] = outcome.seq;
      committed[at + 1] = outcome.from_balance;
      committed[at + 2] = outcome.to_balance;
    } else others.push({ place, outcome });
  }
  return { number, count: outcomes.length, committed, others };
}

export function decodeOutcome({ number, count, committed, others }: OutcomeColumns): FrameOutcome {
  const outcomes: Outcome[] = new Array(count);
  for (const { place, outcome } of others) outcomes[place] = outcome;
  for (let place = 0; place < count; place++) {
    if (outcomes[place] !== undefined) continue;
    const at = place * OUTCOME_NUMBERS;
    outcomes[place] = {
      status: "committed",
      seq: committed[at] as number,
      replayed: false,
      from_balance: committed[at + 1] as Money,
      to_balance: committed[at + 2] as Money,
    };
  }
  return { number, outcomes };
}

/** What the read model of a gateway has to start with. */
export function encodeLedger({ balances, opened, seq, transactions }: Ledger): LedgerColumns {
  const columns = new Map<Currency, Balance[]>();
  for (const balance of balances) {
    const of = columns.get(balance.currency);
    if (of) of.push(balance);
    else columns.set(balance.currency, [balance]);
  }
  return {
    opened,
    seq,
    transactions: transactions.size,
    balances: [...columns].map(([currency, of]) => ({
      currency,
      accounts: of.map(({ account }) => `${account}\n`).join(""),
      available: Float64Array.from(of, ({ available }) => Number(available)),
      frozen: Float64Array.from(of, ({ frozen }) => Number(frozen)),
      large: of.flatMap(({ available, frozen }, place) =>
        typeof available === "bigint" || typeof frozen === "bigint" ? [{ place, available, frozen }] : [],
      ),
    })),
  };
}

/** About what a batch takes while it is on its way, in bytes. */
export function weightOf(
  changes: readonly ChangeColumns[],
  outcomes: readonly OutcomeColumns[],
  buffers: readonly ArrayBuffer[],
): number {
  let weight = 0;
  for (const { byteLength } of buffers) weight += byteLength;
  for (const change of changes)
    weight += OBJECT_BYTES * ("payers" in change ? 1 + change.named.length : change.length);
  for (const { others } of outcomes) weight += OBJECT_BYTES * (1 + others.length);
  return weight;
}

/** The buffers of these columns, which can be handed over. */
export function buffersOf(
  changes: readonly ChangeColumns[],
  outcomes: readonly OutcomeColumns[],
): ArrayBuffer[] {
  const buffers = outcomes.map(({ committed }) => committed.buffer);
  for (const change of changes) {
    if ("payers" in change)
      buffers.push(change.payers.buffer, change.receivers.buffer, change.amounts.buffer);
  }
  return buffers;
}
