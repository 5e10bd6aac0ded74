/** A view with events on top: what is decided on it is what would be decided if they were applied. */

import { expect, test } from "bun:test";
import { execute } from "../../src/domain/execute.ts";
import { LedgerOverlay } from "../../src/domain/ledger.ts";
import { WalletEngine } from "../../src/engine/wallet-engine.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { someCommands } from "../support/log-files.ts";

test("commands that are decided on an overlay come to what they come to when they are applied, and leave nothing", () => {
  const draw = randomIntegers();
  for (let round = 0; round < 40; round++) {
    const engine = new WalletEngine();
    // Without repeats: an overlay records no ids.
    const commands = someCommands(60, draw).filter(
      (command, index, all) =>
        command.kind === "open_ledger" ||
        all.findIndex(
          (other) => other.kind !== "open_ledger" && other.transaction_id === command.transaction_id,
        ) === index,
    );
    const before = commands.splice(0, 1 + draw(30));
    for (const command of before) {
      const events = engine.execute(command);
      if (events.length > 0) engine.apply(events);
    }
    const overlay = new LedgerOverlay(engine.ledger);
    const untouched = [...engine.ledger.balances].map((balance) => ({ ...balance }));
    const decided = commands.map((command) => {
      const events = execute(overlay, command);
      for (const event of events) overlay.add(event);
      return events;
    });
    expect([...engine.ledger.balances]).toEqual(untouched);
    for (const [index, command] of commands.entries()) {
      const events = engine.execute(command);
      expect(decided[index]).toEqual([...events]);
      if (events.length > 0) engine.apply(events);
    }
    expect(overlay.seq).toBe(engine.ledger.seq);
    for (const { account, currency, available, frozen } of engine.ledger.balances)
      expect(overlay.balance(account, currency)).toMatchObject({ available, frozen });
  }
});
