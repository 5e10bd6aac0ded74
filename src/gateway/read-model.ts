/** The read model: balances and totals, fed with durable events only, in their order. */

import { add, type Money, money, subtract, ZERO } from "../domain/amount.ts";
import { type Balance, Balances } from "../domain/balances.ts";
import { postingsOf, type WalletEvent } from "../domain/event-table.ts";
import type { LedgerOpened } from "../domain/events.ts";
import { moveFast } from "../domain/fast-transfer.ts";
import { ImpossibleState } from "../domain/impossible-state.ts";
import { type AccountId, type Currency, WORLD } from "../domain/names.ts";
import type { BalancesView, BalanceView, LedgerSummary } from "../ports/balances.ts";
import type { Change, Transfers } from "../ports/changes.ts";
import type { LedgerColumns } from "../ports/link.ts";

const NOTHING: BalanceView = { available: ZERO, frozen: ZERO };

export class ReadModel implements BalancesView {
  readonly #balances = new Balances();
  /** By their numbers. */
  readonly #numbered: (Balance | undefined)[] = [];
  /** Of each currency, the sum over all accounts, `@world` included. */
  readonly #sums = new Map<Currency, Money>();
  #opened: LedgerOpened | undefined;
  #seq = 0;
  #transactions = 0;

  get seq(): number {
    return this.#seq;
  }

  get defaultCurrency(): Currency | undefined {
    return this.#opened?.currency;
  }

  /** Starts, empty, with what a ledger came to. */
  restore({ opened, seq, transactions, balances }: LedgerColumns): void {
    this.#opened = opened;
    this.#seq = seq;
    this.#transactions = transactions;
    for (const { currency, accounts, available, frozen, large } of balances) {
      const exact = new Map(large.map((balance) => [balance.place, balance]));
      let sum: Money = ZERO;
      for (const [place, account] of accounts.split("\n").slice(0, -1).entries()) {
        const of = exact.get(place);
        const free = of ? of.available : money(available[place] as number);
        const held = of ? of.frozen : money(frozen[place] as number);
        this.#balances.restore(account as AccountId, currency, free, held);
        sum = add(sum, add(free, held));
      }
      this.#sums.set(currency, sum);
    }
  }

  apply(changes: readonly Change[]): void {
    for (const change of changes) {
      if ("payers" in change) this.#applyTransfers(change);
      else this.#applyCommand(change);
    }
  }

  balance(account: AccountId, currency: Currency): BalanceView | undefined {
    const balance = this.#balances.get(account, currency);
    return balance ?? (account === WORLD ? NOTHING : undefined);
  }

  ledger(): LedgerSummary | undefined {
    if (!this.#opened) return undefined;
    const totals = this.#balances.currencies().map((currency) => ({
      currency,
      sum: this.#sums.get(currency) ?? ZERO,
      in_circulation: subtract(ZERO, this.balance(WORLD, currency)?.available ?? ZERO),
    }));
    return {
      ledger_id: this.#opened.ledger_id,
      seq: this.#seq,
      accounts: this.#balances.accounts,
      transactions: this.#transactions,
      totals: totals.sort((a, b) => (a.currency < b.currency ? -1 : 1)),
    };
  }

  #applyTransfers(transfers: Transfers): void {
    const { payers, receivers, amounts } = transfers;
    for (let i = 0; i < amounts.length; i++) {
      const payer = this.#balanceOf(payers[i] as number, transfers);
      const receiver = this.#balanceOf(receivers[i] as number, transfers);
      if (!moveFast(payer, receiver, amounts[i] as number))
        throw new ImpossibleState(`impossible state: a transfer from ${payer.account} that it cannot pay`);
    }
    this.#seq += 2 * amounts.length;
    this.#transactions += amounts.length;
  }

  #balanceOf(number: number, { balanceOf }: Transfers): Balance {
    const known = this.#numbered[number];
    if (known) return known;
    const { account, currency } = balanceOf(number);
    const balance = this.#balances.get(account, currency);
    if (!balance) throw new ImpossibleState(`impossible state: a transfer of ${account}, which is not open`);
    while (this.#numbered.length <= number) this.#numbered.push(undefined); // with holes it would be slow
    this.#numbered[number] = balance;
    return balance;
  }

  #applyCommand(events: readonly WalletEvent[]): void {
    for (const event of events) {
      this.#balances.apply(event);
      for (const { currency, available, frozen } of postingsOf(event))
        this.#sums.set(currency, add(this.#sums.get(currency) ?? ZERO, add(available, frozen)));
    }
    this.#seq += events.length;
    const [first] = events;
    if (first?.type === "LedgerOpened") this.#opened = first;
    else this.#transactions++;
  }
}
