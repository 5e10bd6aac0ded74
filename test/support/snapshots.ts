/** Ledgers on a real disk that have snapshots. */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { SnapshotTaker } from "../../src/engine/snapshot-taker.ts";
import type { WalletEngine } from "../../src/engine/wallet-engine.ts";
import { DiskFolder } from "../../src/eventlog/disk.ts";
import { SnapshotFiles } from "../../src/snapshots/snapshot-files.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { LogOnDisk, place, someCommands } from "./log-files.ts";

/** A log of random commands with a snapshot behind every `every` of them, at least. */
export async function someLedger(draw: (below: number) => number, count: number, every: number) {
  const data = temporaryFolder();
  const folder = new DiskFolder(join(data, "snapshots"));
  mkdirSync(folder.path(""));
  const log = await LogOnDisk.open(data);
  const files = new SnapshotFiles(folder, undefined);
  const taker = new SnapshotTaker(
    log.engine,
    files,
    every,
    () => true,
    (error) => {
      throw error;
    },
  );
  for (const placed of place(someCommands(count, draw))) {
    log.decide(placed);
    if (draw(10) > 0) continue;
    const state = taker.take(log.position);
    await log.writer.commit();
    if (state) taker.write(state);
    if (draw(3) === 0) await taker.finish(log.position);
  }
  await log.writer.commit();
  await taker.finish(log.position);
  await log.close();
  files.close();
  return { data, folder, log, position: log.position };
}

/** Everything that decisions depend on. */
export function stateOf(engine: WalletEngine) {
  const { ledger, records } = engine;
  const transactions = Array.from({ length: records.size }, (_, number) => [
    records.idOf(number),
    records.read(number),
  ]);
  return { opened: ledger.opened, seq: ledger.seq, balances: [...ledger.balances], transactions };
}
