/** The ledger in memory: decides commands, applies events. One thread, no locks, no await. */

import { apply } from "../domain/apply.ts";
import type { Command } from "../domain/commands.ts";
import type { WalletEvent } from "../domain/events.ts";
import { execute } from "../domain/execute.ts";
import { Ledger } from "../domain/ledger.ts";
import { type Outcome, outcomeOf } from "../domain/outcomes.ts";
import { type HashKey, TransactionIndex } from "./transaction-index.ts";

export class WalletEngine {
  readonly ledger: Ledger;

  /** `hashKey` is random where strangers choose ids. */
  constructor(hashKey: HashKey = [0, 0]) {
    this.ledger = new Ledger(new TransactionIndex(hashKey));
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
}
