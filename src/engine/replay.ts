/** Replays a log into an engine that is empty: its commands as events, most of its transfers without any. */

import type { WalletEvent } from "../domain/events.ts";
import type { LoggedTransfers } from "../ports/logged-transfers.ts";
import type { WalletEngine } from "./wallet-engine.ts";

/** Hears of a log as LogVisitor has it. Its methods throw what WalletEngine.apply() throws. */
export class Replay {
  /** How many were replayed. */
  commands = 0;
  /** Of the last command; undefined where it was a transfer without events. */
  #last: readonly WalletEvent[] | undefined = [];

  constructor(private readonly engine: WalletEngine) {}

  readonly begins = (bytes: number): void => this.engine.expectLog(bytes);

  readonly command = ({ events }: { readonly events: readonly WalletEvent[] }): void => {
    this.engine.apply(events);
    this.#last = events;
    this.commands++;
  };

  readonly transfers = (logged: LoggedTransfers): number => {
    const applied = this.engine.replay(logged);
    if (applied > 0) this.#last = undefined;
    this.commands += applied;
    return applied;
  };

  /** The events of the last command; none of an empty log. */
  lastEvents(): readonly WalletEvent[] {
    return this.#last ?? this.engine.lastTransfer();
  }
}
