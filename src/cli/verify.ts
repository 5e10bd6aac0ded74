import { existsSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { DiskFolder } from "../eventlog/disk.ts";
import { damageText, LOG_NAME } from "../eventlog/recovery.ts";
import { sealText } from "../gateway/seal-text.ts";
import { SEALS_NAME } from "../ports/seals.ts";
import { BrokenSeals, type CheckedSeals, checkSeals } from "../seals/check-seals.ts";
import { BrokenSnapshot, readSnapshot, snapshotNames } from "../snapshots/snapshot-files.ts";
import { type CliCommand, CommandFailed } from "./command.ts";
import { showProgress } from "./progress.ts";
import { readConfig } from "./read-config.ts";
import { type LogSummary, readBehindSnapshot, readWholeLog, snapshotFolder, totalsOf } from "./read-log.ts";

const SETTINGS = ["data", "seals", "seal"] as const;

export const verify: CliCommand = {
  name: "verify",
  usage: "",
  help: "verifies every seq, crc and total of the log, and its snapshots; a torn end is an error",
  settings: SETTINGS,
  async run(args, env) {
    const { data, seals, seal } = readConfig(SETTINGS, args, env);
    const sealed = seals || seal !== undefined ? await readSeals(data, seal) : undefined;
    if (typeof sealed === "string") {
      console.error(sealed);
      return 1;
    }
    const summary = await readWholeLog(data);
    const { path, finding, commands } = summary;
    if ("break" in finding) {
      console.error(damageText(path, finding.break));
      return 1;
    }
    if (finding.size > finding.position.bytes || finding.state === "new") {
      console.error(`${path}: line 1, byte 0: expected the opening of a ledger`);
      return 1;
    }
    const wrong = totalsOf(summary).find(({ sum }) => sum !== 0);
    if (wrong) {
      console.error(`${path}: the balances in ${wrong.currency} add up to ${wrong.sum}, not to 0`);
      return 1;
    }
    const wrongSnapshot = await firstWrongSnapshot(data, summary);
    if (wrongSnapshot !== undefined) {
      console.error(wrongSnapshot);
      return 1;
    }
    console.log(`ok: ${finding.position.seq} events of ${commands} commands, every seq, crc and total`);
    if (sealed) tellSeals(sealed, finding.position.seq);
    return 0;
  },
};

/** Holds the log against its seals; returns the text of what is wrong where something is. */
async function readSeals(data: string, kept: string | undefined): Promise<CheckedSeals | string> {
  const folder = new DiskFolder(data, false);
  const log = folder.open(LOG_NAME, false);
  if (!log) throw new CommandFailed(`${folder.path(LOG_NAME)} does not exist`);
  const seals = folder.open(SEALS_NAME, false);
  if (!seals) return noSeals(folder.path(SEALS_NAME), kept);
  const progress = showProgress("reading seals", log.size());
  try {
    return await checkSeals(log, seals, (name) => folder.path(name), kept, progress.at);
  } catch (error) {
    if (error instanceof BrokenSeals) return error.message;
    throw error;
  } finally {
    progress.end();
    seals.close();
    log.close();
  }
}

function noSeals(path: string, kept: string | undefined): string {
  return kept === undefined
    ? `${path} does not exist: nothing was ever sealed here, or the file was removed. If a seal was stored elsewhere, there were seals: restore a copy of the file (backups include it), and verify that seal with --seal HASH`
    : `${path} does not exist: if the seal ${kept} was made here, the file was removed; a copy of it (backups include it) shows whether the log was altered`;
}

function tellSeals({ newest, commands, torn }: CheckedSeals, seq: number): void {
  console.log(`ok: ${commands} commands, up to event ${newest.seq}, match their seals`);
  console.log(`newest seal: ${sealText(newest)}`);
  if (seq > newest.seq) console.log(`${seq - newest.seq} events after it are not sealed yet`);
  if (torn > 0) console.error(`${SEALS_NAME}: the last ${torn} bytes are a torn line and were skipped`);
}

/** What is wrong with a snapshot, whose tail must come to what the whole log has come to; undefined where nothing is. */
async function firstWrongSnapshot(data: string, whole: LogSummary): Promise<string | undefined> {
  const folder = snapshotFolder(data);
  if (!existsSync(folder.path(""))) return undefined;
  const end = whole.finding.position.bytes; // a node may go on writing
  for (const name of snapshotNames(folder)) {
    const path = folder.path(name);
    try {
      const snapshot = readSnapshot(folder, name);
      if (snapshot.state.position.bytes > end) continue;
      const read = await readBehindSnapshot(data, snapshot, end);
      if (read.finding.state === "damaged") return `${path}: ${damageText(LOG_NAME, read.finding.break)}`;
      const difference = differenceBetween(whole, read);
      if (difference !== undefined) return `${path}: ${difference}`;
    } catch (error) {
      if (!(error instanceof BrokenSnapshot)) throw error;
      if (snapshotNames(folder).includes(name)) return `${path}: ${error.message}`; // else it was replaced meanwhile
    }
  }
  return undefined;
}

/** Between what the log and what a snapshot of it come to. */
function differenceBetween(whole: LogSummary, behind: LogSummary): string | undefined {
  if (!isDeepStrictEqual(whole.finding.position, behind.finding.position))
    return "the log after it ends at a different position";
  const log = whole.engine;
  const snapshot = behind.engine;
  if (!isDeepStrictEqual(log.ledger.opened, snapshot.ledger.opened)) return "it belongs to another ledger";
  if (log.records.size !== snapshot.records.size)
    return `the log has ${log.records.size} transactions, but the snapshot leads to ${snapshot.records.size}`;
  for (let number = 0; number < snapshot.records.size; number++)
    if (!log.records.same(number, snapshot.records))
      return `transaction ${snapshot.records.idOf(number)} differs from that in the log`;
  const { balances } = log.ledger;
  if (balances.all.length !== snapshot.ledger.balances.all.length)
    return `the log has ${balances.all.length} balances, but the snapshot leads to ${snapshot.ledger.balances.all.length}`;
  for (const balance of snapshot.ledger.balances)
    if (!isDeepStrictEqual(balances.get(balance.account, balance.currency), balance))
      return `the ${balance.currency} balance of ${balance.account} differs from that in the log`;
  return undefined;
}
