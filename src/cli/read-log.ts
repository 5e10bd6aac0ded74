/** What replay and verify share: the whole log of a folder, read into an empty engine. */

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { add, type Money, ZERO } from "../domain/amount.ts";
import { total } from "../domain/balances.ts";
import { type Currency, WORLD } from "../domain/names.ts";
import { Replay } from "../engine/replay.ts";
import { restore } from "../engine/snapshot.ts";
import { WalletEngine } from "../engine/wallet-engine.ts";
import { upTo } from "../eventlog/check-lines.ts";
import { DiskFolder } from "../eventlog/disk.ts";
import { NewerFormat } from "../eventlog/line.ts";
import { LogMark } from "../eventlog/mark.ts";
import { inspectLog, LOG_NAME, type LogFinding } from "../eventlog/recovery.ts";
import { type FoundSnapshot, newestSnapshot, SNAPSHOTS } from "../snapshots/snapshot-files.ts";
import { CommandFailed } from "./command.ts";
import { showProgress } from "./progress.ts";

export interface LogSummary {
  readonly path: string;
  readonly finding: LogFinding;
  readonly engine: WalletEngine;
  readonly commands: number;
  readonly seconds: number;
}

/** Reads without a lock and without changing anything. Throws CommandFailed where there is no log, or one of a newer format. */
export function readWholeLog(data: string): Promise<LogSummary> {
  return readLogOf(data, undefined);
}

/**
 * As readWholeLog(), but of the log only what stands behind a snapshot, by default the newest that is whole; up to
 * its first `end` bytes, by default to its end.
 */
export function readBehindSnapshot(
  data: string,
  snapshot = newestOf(data),
  end = Number.POSITIVE_INFINITY,
): Promise<LogSummary> {
  return readLogOf(data, snapshot, end);
}

function newestOf(data: string): FoundSnapshot {
  const folder = snapshotFolder(data);
  const exists = existsSync(folder.path(""));
  const found = exists && newestSnapshot(folder, (path, why) => console.error(`${path}: ${why}; skipped`));
  if (!found) throw new CommandFailed(`${folder.path("")} has no snapshot`);
  return found;
}

export function snapshotFolder(data: string): DiskFolder {
  return new DiskFolder(join(data, SNAPSHOTS), false);
}

async function readLogOf(
  data: string,
  snapshot: FoundSnapshot | undefined,
  end = Number.POSITIVE_INFINITY,
): Promise<LogSummary> {
  const folder = new DiskFolder(data, false);
  // The mark before the log: it may only move on meanwhile.
  const mark = end === Number.POSITIVE_INFINITY ? LogMark.read(folder) : undefined;
  const file = folder.open(LOG_NAME, false);
  const path = folder.path(LOG_NAME);
  if (!file) throw new CommandFailed(`${path} does not exist`);
  const [a, b] = crypto.getRandomValues(new Int32Array(2)) as unknown as [number, number];
  const engine = new WalletEngine([a, b]);
  const replay = new Replay(engine);
  const started = performance.now();
  const progress = showProgress("reading", file.size());
  try {
    if (snapshot) restore(engine, snapshot);
    const start = snapshot && {
      position: snapshot.state.position,
      currency: snapshot.state.opened.currency,
    };
    const finding = await inspectLog(upTo(file, end), mark, replay, progress.at, start);
    const { commands } = replay;
    return { path, finding, engine, commands, seconds: (performance.now() - started) / 1_000 };
  } catch (error) {
    throw error instanceof NewerFormat ? new CommandFailed(`${path}: ${error.message}`) : error;
  } finally {
    progress.end();
    file.close();
  }
}

/** Sums per currency over every account, `@world` included: 0 each, or money was made or lost. */
export function totalsOf({
  engine,
}: LogSummary): { currency: Currency; sum: Money; in_circulation: Money }[] {
  const sums = new Map<Currency, { sum: Money; in_circulation: Money }>();
  for (const balance of engine.ledger.balances) {
    const held = total(balance);
    const { sum, in_circulation } = sums.get(balance.currency) ?? { sum: ZERO, in_circulation: ZERO };
    const circulating = balance.account === WORLD ? in_circulation : add(in_circulation, held);
    sums.set(balance.currency, { sum: add(sum, held), in_circulation: circulating });
  }
  return [...sums]
    .map(([currency, { sum, in_circulation }]) => ({ currency, sum, in_circulation }))
    .sort((a, b) => (a.currency < b.currency ? -1 : 1));
}

/** SHA-256 over `account,currency,available,frozen\n` of every balance, sorted bytewise (the names are ASCII). */
export function digestOf({ engine }: LogSummary): string {
  const balances = [...engine.ledger.balances].sort((a, b) => {
    if (a.account !== b.account) return a.account < b.account ? -1 : 1;
    return a.currency < b.currency ? -1 : 1;
  });
  const hash = createHash("sha256");
  for (const { account, currency, available, frozen } of balances)
    hash.update(`${account},${currency},${available},${frozen}\n`);
  return hash.digest("hex");
}
