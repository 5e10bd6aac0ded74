/** How long a node takes until it is ready, with its snapshot and without. */

import { existsSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Bench } from "./bench.ts";
import { type BenchLedger, withLedger } from "./ledger.ts";
import { isLate, median } from "./rounds.ts";
import { atText, type Claim, type Row } from "./rows.ts";
import * as settings from "./settings.ts";

const LOOK_MS = 250;

export function measureStarts(bench: Bench): Promise<Row[]> {
  return withLedger(bench, "start", async (ledger) => {
    await ledger.fill(settings.FIRST_TRANSFERS);
    const first = await measureStart(ledger);
    await ledger.fill(settings.START_TRANSFERS);
    return [...first, ...(await measureStart(ledger, settings.ROUNDS, true))];
  });
}

/** Starts the ledger's node anew, by turns with its snapshot and without; it runs before and after. */
export async function measureStart(ledger: BenchLedger, rounds = 1, claimed = false): Promise<Row[]> {
  const at = atText(await ledger.transfers());
  const snapshots = join(ledger.data, "snapshots");
  const away = join(ledger.data, "..", "snapshots");
  const hasSnapshot = await snapshotOf(snapshots);
  const [withSnapshot, without]: [number[], number[]] = [[], []];
  const begin = performance.now();
  for (let round = 0; round < rounds && !isLate(begin); round++) {
    await ledger.stop();
    if (hasSnapshot) renameSync(snapshots, away);
    without.push(await ledger.start());
    if (!hasSnapshot) continue;
    await ledger.stop();
    rmSync(snapshots, { recursive: true, force: true });
    renameSync(away, snapshots);
    withSnapshot.push(await ledger.start());
  }
  const [fast, slow] = [hasSnapshot ? median(withSnapshot) : undefined, median(without)];
  const claim: Claim = {
    work: "start with a snapshot",
    what: "time",
    value: fast,
    sense: "<",
    target: settings.TARGETS.startSeconds,
    unit: "s",
  };
  const to = `start without a snapshot, ${at}`;
  return [
    { work: to, measured: `${slow.toFixed(2)} s` },
    {
      work: `start with a snapshot, ${at}`,
      measured: fast === undefined ? "no snapshot" : `${fast.toFixed(2)} s`,
      ...(fast === undefined ? {} : { ratio: fast / slow, to }),
      claims: claimed ? [claim] : [],
    },
  ];
}

/** Whether there is a snapshot; waits for one, and until the newest is whole. */
async function snapshotOf(folder: string): Promise<boolean> {
  for (const end = performance.now() + settings.SNAPSHOT_WAIT_MS; performance.now() < end; ) {
    const newest = newestSnapshotMs(folder);
    if (newest !== undefined && Date.now() - newest > settings.SNAPSHOT_QUIET_MS) return true;
    await Bun.sleep(LOOK_MS);
  }
  return false;
}

function newestSnapshotMs(folder: string): number | undefined {
  if (!existsSync(folder)) return undefined;
  const times = readdirSync(folder)
    .filter((name) => name.endsWith(".snapshot"))
    .map((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
  return times.length === 0 ? undefined : Math.max(...times);
}
