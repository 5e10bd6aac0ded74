/**
 * Holds what callers were told against what the ledger wrote down, and both against the accounts.
 *
 * Shares no code with src/. Keeps a few dozen bytes for each transaction.
 */

import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import {
  type IndependentReplay,
  type LogLine,
  replayIndependently,
} from "../test/support/independent-replay.ts";
import type { Answers } from "./load.ts";
import { type Planned, STEPS_PER_ITERATION, stepOf } from "./plan.ts";

/** How many contradictions are told. */
const MAX_PROBLEMS = 20;

export interface Counts {
  requests: number;
  committed: number;
  rejected: number;
  /** Answers that said so. */
  repeatsOfCommitted: number;
  repeatsOfRejected: number;
  deposited: number;
  withdrawn: number;
}

export interface Audit {
  readonly counts: Readonly<Counts>;
  readonly replay: IndependentReplay;
  /** Empty where everything fits. */
  readonly problems: readonly string[];
}

/** What the log says about an id. */
interface Decided {
  readonly seq: number;
  readonly rejected: boolean;
  readonly from: string;
  readonly to: string;
  readonly amount: number;
  /** How many answers named it as decided just then, and how many in all. */
  first: number;
  answers: number;
}

/** `answers` is what k6 wrote to its console; `opened` are the ids of the openings that funded the accounts. */
export async function audit(
  log: string,
  answers: string,
  seed: number,
  opened: ReadonlySet<string>,
): Promise<Audit> {
  const problems: string[] = [];
  const wrong = (what: string) => {
    if (problems.length < MAX_PROBLEMS) problems.push(what);
  };
  const decided = new Map<string, Decided>();
  const replay = replayIndependently(log, (lines) => note(lines, decided, opened, wrong));
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
    compare(JSON.parse(line) as Answers, seed, decided, counts, wrong);
  }
  for (const [id, { answers, first }] of decided) {
    if (answers === 0) wrong(`${id} is in the log, but nobody was answered`);
    else if (first === 0) wrong(`${id}: every answer says that it is a repeat`);
  }
  return { counts, replay, problems };
}

/** Writes down what one command of the log did. */
function note(
  lines: readonly LogLine[],
  decided: Map<string, Decided>,
  opened: ReadonlySet<string>,
  wrong: (what: string) => void,
): void {
  const [first, second] = lines;
  const id = first.transaction_id;
  const types = lines.map(({ type }) => type).join("+");
  if (types === "LedgerOpened" || (types === "AccountOpened" && opened.has(id))) return;
  if (decided.has(id)) wrong(`${id} has more than one set of events`);
  if (lines.some(({ transaction_id }) => transaction_id !== id))
    wrong(`${id} shares a command with another id`);
  const { seq } = lines[lines.length - 1];
  if (types === "TransactionFailed") {
    const { from_account: from, to_account: to, amount } = first;
    decided.set(id, { seq, rejected: true, from, to, amount: Number(amount), first: 0, answers: 0 });
  } else if (types === "MoneyDeducted+MoneyCredited") {
    const amount = Number(first.amount);
    if (first.amount !== second.amount) wrong(`${id} deducts ${first.amount} and credits ${second.amount}`);
    decided.set(id, {
      seq,
      rejected: false,
      from: first.account,
      to: second.account,
      amount,
      first: 0,
      answers: 0,
    });
  } else {
    wrong(`${id} has the events ${types}`);
  }
}

/** Holds the answers of one iteration against the log. */
function compare(
  { lane, from, answers }: Answers,
  seed: number,
  decided: ReadonlyMap<string, Decided>,
  counts: Counts,
  wrong: (what: string) => void,
): void {
  if (answers.length !== STEPS_PER_ITERATION)
    wrong(`lane ${lane}: an iteration has ${answers.length} answers`);
  /** One transaction's answer; `replayed` is undefined where nobody said. */
  const judge = (planned: Planned, rejected: boolean, replayed: boolean | undefined) => {
    const entry = decided.get(planned.id);
    if (!entry) return wrong(`${planned.id} was answered, but is not in the log`);
    entry.answers++;
    if (replayed !== true) entry.first++;
    if (entry.rejected !== rejected)
      wrong(`${planned.id} was answered ${rejected ? "rejected" : "committed"}, the log says otherwise`);
    if (entry.from !== planned.from || entry.to !== planned.to || entry.amount !== planned.amount)
      wrong(`${planned.id} is in the log with other content`);
    if (entry.answers > 1) return;
    if (rejected) counts.rejected++;
    else counts.committed++;
    if (!rejected && planned.kind === "deposit") counts.deposited += planned.amount;
    if (!rejected && planned.kind === "withdraw") counts.withdrawn += planned.amount;
  };
  answers.forEach((answer, index) => {
    const { transactions } = stepOf(seed, lane, from + index);
    counts.requests++;
    if ("failures" in answer) {
      const failed = new Set(answer.failures.map((failure) => failure.index));
      if (answer.failures.some(({ code }) => code !== "insufficient_funds"))
        wrong(`a batch failed with ${answer.failures.map(({ code }) => code)}`);
      transactions.forEach((planned, place) => {
        judge(planned, failed.has(place), undefined);
      });
      counts.repeatsOfCommitted += answer.replayed;
      return;
    }
    const [planned] = transactions as [Planned];
    const rejected = answer.status === 422;
    judge(planned, rejected, answer.replayed);
    const seq = decided.get(planned.id)?.seq;
    if (seq !== answer.seq)
      wrong(`${planned.id} was answered with seq ${answer.seq}, the log has it at ${seq}`);
    if (answer.replayed && rejected) counts.repeatsOfRejected++;
    if (answer.replayed && !rejected) counts.repeatsOfCommitted++;
  });
}
