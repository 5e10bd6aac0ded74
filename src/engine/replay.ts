/** Replays a log into an engine that is empty: its commands as events, most of its transfers without any. */

import type { WalletEvent } from "../domain/events.ts";
import type { Currency } from "../domain/names.ts";
import { type Change, Transfers } from "../ports/changes.ts";
import type { LoggedTransfers } from "../ports/logged-transfers.ts";
import type { WalletEngine } from "./wallet-engine.ts";

/** Transfers that are told together. */
const MAX_TOLD_TRANSFERS = 4_096;

export class Replay {
  commands = 0;
  /** Of the last command; undefined where it was a transfer without events. */
  #last: readonly WalletEvent[] | undefined = [];
  /** What has not been told yet. */
  #told: Transfers | undefined;

  /** `changed` hears of everything, in order; the end of it in end(). */
  constructor(
    private readonly engine: WalletEngine,
    private readonly changed?: (changes: readonly Change[]) => void,
  ) {}

  readonly begins = (bytes: number): void => this.engine.expectLog(bytes);

  readonly command = ({ events }: { readonly events: readonly WalletEvent[] }): void => {
    for (const event of events) this.engine.apply(event);
    this.#tell();
    this.changed?.(events);
    this.#last = events;
    this.commands++;
  };

  readonly transfers = (logged: LoggedTransfers): number => {
    const { engine } = this;
    if (this.changed) {
      const currency = engine.ledger.opened?.currency as Currency; // or nothing could be logged in it
      this.#told ??= new Transfers(currency, (account) => engine.accounts.balance(account).account);
    }
    const applied = engine.replay(logged, this.#told);
    if (applied > 0) this.#last = undefined;
    this.commands += applied;
    if (this.#told && this.#told.amounts.length >= MAX_TOLD_TRANSFERS) this.#tell();
    return applied;
  };

  /** Tells the rest; returns the events of the last command. */
  end(): readonly WalletEvent[] {
    this.#tell();
    return this.#last ?? this.engine.lastTransfer();
  }

  #tell(): void {
    const told = this.#told;
    this.#told = undefined;
    if (told && told.amounts.length > 0) this.changed?.([told]);
  }
}
