/** A folder whose log is refused at the start; and the lines that tests write into logs by hand. */

import { expect } from "bun:test";
import { join } from "node:path";
import { NewerFormat } from "../../src/eventlog/line.ts";
import { DamagedLog } from "../../src/eventlog/recovery.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { id, ledgerOpened } from "../support/ledger-specs.ts";
import { filesOf, LogOnDisk, putFiles } from "../support/log-files.ts";

export const folder = join(temporaryFolder(), "data");
export const path = join(folder, "events.log");

/** Where a refusal says that the log stops being one. */
export interface Refusal {
  readonly line: number;
  readonly byte: number;
  readonly expected: string;
}

const REFUSAL =
  /^the log is damaged; nothing was changed: (.*): line ([0-9]+), byte ([0-9]+): expected (.+)$/;

/** Expects that these files are refused, and that no byte of any of them is changed. */
export async function expectRefused(
  files: Readonly<Record<string, Uint8Array | string>>,
  type: typeof DamagedLog | typeof NewerFormat = DamagedLog,
): Promise<Refusal> {
  putFiles(folder, { "events.mark": "", ...files });
  const before = filesOf(folder);
  const error = await LogOnDisk.open(folder).then(
    () => new Error("the log was not refused"),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(type);
  expect(filesOf(folder)).toEqual(before);
  const found = REFUSAL.exec((error as Error).message);
  if (type === NewerFormat) return { line: 0, byte: 0, expected: (error as Error).message };
  expect(found?.[1]).toBe(path);
  return { line: Number(found?.[2]), byte: Number(found?.[3]), expected: found?.[4] ?? "" };
}

// The fields of lines that are written by hand.

export const OPENED = {
  type: "LedgerOpened",
  format: 1,
  ledger_id: ledgerOpened().ledger_id,
  currency: "USD",
  strict: false,
};

export function deducted(account: string, number: number, amount: number | bigint) {
  return { type: "MoneyDeducted", transaction_id: id(number), account, amount };
}

export function credited(account: string, number: number, amount: number | bigint) {
  return { ...deducted(account, number, amount), type: "MoneyCredited" };
}
