/** Holds what k6 was told against what the ledger wrote down. Keeps a few hundred bytes for each transaction. */

import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { LedgerAudit } from "../tools/harness/ledger-audit.ts";
import type { Answers } from "./load.ts";
import { type Planned, STEPS_PER_ITERATION, type Step, stepOf } from "./plan.ts";

export interface Counts {
  requests: number;
  committed: number;
  rejected: number;
  repeatsOfCommitted: number;
  repeatsOfRejected: number;
  deposited: number;
  withdrawn: number;
}

/** `answers` is the file with k6's console; whatever does not fit is told to `ledger`. */
export async function auditAnswers(ledger: LedgerAudit, answers: string, seed: number): Promise<Counts> {
  const counts: Counts = {
    requests: 0,
    committed: 0,
    rejected: 0,
    repeatsOfCommitted: 0,
    repeatsOfRejected: 0,
    deposited: 0,
    withdrawn: 0,
  };
  for await (const line of createInterface({ input: createReadStream(answers) })) {
    const iteration = JSON.parse(line) as Answers;
    if (iteration.answers.length !== STEPS_PER_ITERATION) throw new Error(`answers are missing: ${line}`);
    iteration.answers.forEach((answer, index) => {
      auditAnswer(ledger, stepOf(seed, iteration.lane, iteration.from + index), answer, counts);
    });
  }
  return counts;
}

function auditAnswer(
  ledger: LedgerAudit,
  { transactions }: Step,
  answer: Answers["answers"][number],
  counts: Counts,
): void {
  const count = ({ kind, amount }: Planned, rejected: boolean) => {
    counts[rejected ? "rejected" : "committed"]++;
    if (!rejected && kind === "deposit") counts.deposited += amount;
    if (!rejected && kind === "withdraw") counts.withdrawn += amount;
  };
  counts.requests++;
  if ("failures" in answer) {
    const failed = new Set(answer.failures.map(({ index }) => index));
    ledger.toldBatch(transactions, answer).forEach((first, index) => {
      if (first) count(transactions[index] as Planned, failed.has(index));
    });
    counts.repeatsOfCommitted += answer.replayed;
    return;
  }
  const { status, seq, replayed, fromBalance, toBalance } = answer;
  const rejected = status === 422;
  const planned = transactions[0] as Planned;
  if (ledger.told(planned, { rejected, seq, replayed, fromBalance, toBalance })) count(planned, rejected);
  if (replayed) counts[rejected ? "repeatsOfRejected" : "repeatsOfCommitted"]++;
}
