/** The engine's ledger as a snapshot, and back. */

import { type Money, money } from "../domain/amount.ts";
import type { AccountId, Currency } from "../domain/names.ts";
import type { LogPosition } from "../ports/log-position.ts";
import type { ReadSnapshot, SnapshotCounts, SnapshotGrowth, SnapshotState } from "../ports/snapshots.ts";
import type { WalletEngine } from "./wallet-engine.ts";

/** How much of what only grows is taken at a time, so that the engine does not stand still for long. */
export const PART = 1 << 15;

export function countsOf({ ledger, records }: WalletEngine): SnapshotCounts {
  return {
    accounts: records.accounts.count,
    balances: ledger.balances.all.length,
    transactions: records.size,
  };
}

/** What there is behind `from` and not behind `end`, or a part of it; undefined where there is nothing. */
export function growthBetween(
  engine: WalletEngine,
  from: SnapshotCounts,
  end: SnapshotCounts,
): SnapshotGrowth | undefined {
  const to = {
    accounts: Math.min(end.accounts, from.accounts + PART),
    balances: Math.min(end.balances, from.balances + PART),
    transactions: Math.min(end.transactions, from.transactions + PART),
  };
  const { ledger, records } = engine;
  const names = records.accounts.from(from.accounts, to.accounts - from.accounts);
  const balances = ledger.balances.all.slice(from.balances, to.balances);
  const transactions = records.copy(from.transactions, to.transactions - from.transactions);
  if (names.length + balances.length + transactions.length === 0) return undefined;
  return {
    to,
    accounts: names.map((name) => `${name}\n`).join(""),
    balances: balances
      .map(({ account, currency, initial }) => `${account} ${currency} ${initial}\n`)
      .join(""),
    transactions,
  };
}

/** What can change, as it stands now: at `position`. It takes some 20 ns a balance. */
export function stateAt(engine: WalletEngine, position: LogPosition): SnapshotState {
  const { ledger, records } = engine;
  const { opened } = ledger;
  if (!opened) throw new TypeError("a ledger that is not open has no state");
  if (position.seq !== ledger.seq)
    throw new TypeError(`the ledger is at ${ledger.seq}, not at ${position.seq}`);
  const balances = ledger.balances.all;
  const available = new Float64Array(balances.length);
  const frozen = new Float64Array(balances.length);
  const large: { place: number; available: Money; frozen: Money }[] = [];
  for (let place = 0; place < balances.length; place++) {
    const balance = balances[place] as (typeof balances)[number];
    if (typeof balance.available === "number" && typeof balance.frozen === "number") {
      available[place] = balance.available;
      frozen[place] = balance.frozen;
    } else large.push({ place, available: balance.available, frozen: balance.frozen });
  }
  const currencies = records.currencies.from(0, records.currencies.count);
  return { position, opened, counts: countsOf(engine), currencies, available, frozen, large };
}

/** Puts a snapshot into an engine that is empty. */
export function restore(engine: WalletEngine, snapshot: ReadSnapshot): void {
  const { position, opened, currencies, available, frozen, large } = snapshot.state;
  const { ledger, records } = engine;
  const exact = new Map(large.map((balance) => [balance.place, balance]));
  for (const name of linesOf(snapshot.accounts)) records.accounts.number(name as AccountId);
  const currencyNames = new Map<Currency, Currency>(
    currencies.map((currency) => [currency as Currency, currency as Currency]),
  );
  const shared = (currency: Currency) => currencyNames.get(currency) ?? currency;
  for (const [place, line] of linesOf(snapshot.balances).entries()) {
    const [account, currency, initial = ""] = line.split(" ");
    const of = exact.get(place);
    ledger.balances.restore(
      // Once in memory each: as parts of the line they would keep all lines there.
      records.accounts.known(account as AccountId) ?? (account as AccountId),
      shared(currency as Currency),
      of ? of.available : money(available[place] as number),
      of ? of.frozen : money(frozen[place] as number),
      money(BigInt(initial)),
    );
  }
  for (const part of snapshot.transactions) records.paste(part);
  for (const currency of currencies) records.currencies.number(currency as Currency);
  ledger.opened = opened;
  ledger.seq = position.seq;
  engine.indexAll();
}

function linesOf(text: string): readonly string[] {
  return text === "" ? [] : text.slice(0, -1).split("\n");
}
