/** What goes over a link in bulk, as columns of numbers: they are copied, or handed over, at once. */

import type { Money } from "../domain/amount.ts";
import type { Balance } from "../domain/balances.ts";
import type { WalletEvent } from "../domain/events.ts";
import type { Ledger } from "../domain/ledger.ts";
import type { AccountId, Currency } from "../domain/names.ts";
import type { Outcome } from "../domain/outcomes.ts";
import { type Change, Transfers } from "../ports/changes.ts";
import type { LedgerColumns, OutcomeColumns, TransferColumns } from "../ports/link.ts";
import type { FrameOutcome } from "../ports/outcomes.ts";

/** Of a committed command: its seq, the payer's balance, the receiver's. */
const OUTCOME_NUMBERS = 3;
/** About what an object takes that travels beside the columns: an event, an outcome, a name. */
const OBJECT_BYTES = 256;

/** One end's way of telling changes: it knows which names it has told. */
export class ChangeEncoder {
  /** By the account's number; without holes, which would be slow. */
  readonly #told: boolean[] = [];

  encode(changes: readonly Change[]): (TransferColumns | WalletEvent)[] {
    return changes.map((change) => (change instanceof Transfers ? this.#columns(change) : change));
  }

  #columns({ currency, nameOf, payers, receivers, amounts }: Transfers): TransferColumns {
    const named: { account: number; name: AccountId }[] = [];
    for (const accounts of [payers, receivers]) {
      for (let i = 0; i < accounts.length; i++) {
        const account = accounts[i] as number;
        if (this.#told[account]) continue;
        while (this.#told.length <= account) this.#told.push(false);
        this.#told[account] = true;
        named.push({ account, name: nameOf(account) });
      }
    }
    return {
      currency,
      named,
      payers: Int32Array.from(payers),
      receivers: Int32Array.from(receivers),
      amounts: Float64Array.from(amounts),
    };
  }
}

/** The other end's. */
export class ChangeDecoder {
  /** By the account's number; without holes, which would be slow. */
  readonly #names: (AccountId | undefined)[] = [];
  readonly #nameOf = (account: number): AccountId => {
    const name = this.#names[account];
    if (name === undefined) throw new RangeError(`no name was told for account ${account}`);
    return name;
  };

  decode(changes: readonly (TransferColumns | WalletEvent)[]): Change[] {
    return changes.map((change) => {
      if (!("payers" in change)) return change;
      for (const { account, name } of change.named) {
        while (this.#names.length <= account) this.#names.push(undefined);
        this.#names[account] = name;
      }
      return new Transfers(change.currency, this.#nameOf, change.payers, change.receivers, change.amounts);
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

export function decodeOutcome(
  origin: string,
  { number, count, committed, others }: OutcomeColumns,
): FrameOutcome {
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
  return { origin, number, outcomes };
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
  changes: readonly (TransferColumns | WalletEvent)[],
  outcomes: readonly OutcomeColumns[],
  buffers: readonly ArrayBuffer[],
): number {
  let weight = 0;
  for (const { byteLength } of buffers) weight += byteLength;
  for (const change of changes) weight += OBJECT_BYTES * (1 + ("payers" in change ? change.named.length : 0));
  for (const { others } of outcomes) weight += OBJECT_BYTES * (1 + others.length);
  return weight;
}

/** The buffers of these columns, which can be handed over. */
export function buffersOf(
  changes: readonly (TransferColumns | WalletEvent)[],
  outcomes: readonly OutcomeColumns[],
): ArrayBuffer[] {
  const buffers = outcomes.map(({ committed }) => committed.buffer);
  for (const change of changes) {
    if ("payers" in change)
      buffers.push(change.payers.buffer, change.receivers.buffer, change.amounts.buffer);
  }
  return buffers;
}
