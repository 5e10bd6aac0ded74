/** What the tests of answers share. */

import { expect } from "bun:test";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import type { WalletAnswer } from "../../tools/harness/wallet-client.ts";

export const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
export const REPLAYED = "idempotent-replayed";

let tests = 0;

/** Accounts of one test's own. */
export function names<const N extends readonly string[]>(...wanted: N): { [K in keyof N]: string } {
  const suffix = ++tests;
  return wanted.map((name) => `${name}.${suffix}`) as { [K in keyof N]: string };
}

/** A problem with just these members. */
export function expectProblem(answer: WalletAnswer, status: number, code: string, more: object): void {
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  const { title, detail, ...rest } = answer.body;
  expect(rest).toEqual({ type: `urn:coffer:problem:${code}`, status, code, ...more });
  expect(title.length).toBeGreaterThan(0);
  expect(detail.length).toBeGreaterThan(0);
  expect(answer.status).toBe(status);
}

/** The committed lines of a transaction. */
export function linesOf(log: string, transaction_id: string) {
  return replayIndependently(log).lines.filter((line) => line.transaction_id === transaction_id);
}
