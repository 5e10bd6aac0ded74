/**
 * Holds what callers were told against what the ledger wrote down: every id that was answered has its one
 * set of events, with the content that was asked for, the outcome and the seq that were answered; and
 * nothing stands in the log that nobody asked for. Shares no code with src/.
 */

import { type IndependentReplay, type LogLine, replayIndependently } from "./independent-replay.ts";

/** How many contradictions are told. */
const MAX_PROBLEMS = 20;

export interface Asked {
  readonly id: string;
  readonly kind: "transfer" | "deposit" | "withdraw" | "open_account";
  /** `@world` pays for deposits and openings, and is paid by withdrawals. */
  readonly from: string;
  readonly to: string;
  readonly amount: number;
}

export interface Told {
  readonly rejected: boolean;
  /** Undefined where the answer does not say, as a batch's. */
  readonly seq?: number | undefined;
  readonly replayed?: boolean | undefined;
}

/** What the log says about an id, and how it was answered. */
interface Decided {
  readonly asked: Asked;
  readonly rejected: boolean;
  readonly seq: number;
  known: boolean;
  /** An answer may have been lost. */
  lost: boolean;
  answers: number;
  repeats: number;
}

export class LedgerAudit {
  readonly replay: IndependentReplay;
  readonly #decided = new Map<string, Decided>();
  readonly #problems: string[] = [];

  constructor(log: string) {
    this.replay = replayIndependently(log, (lines) => this.#note(lines));
  }

  /** A caller was told an outcome; returns whether it is the first answer for the id. */
  told(asked: Asked, { rejected, seq, replayed }: Told): boolean {
    const decided = this.#asked(asked);
    if (!decided) {
      this.#wrong(`${asked.id} was answered, but is not in the log`);
      return false;
    }
    decided.answers++;
    if (replayed) decided.repeats++;
    if (decided.rejected !== rejected)
      this.#wrong(`${asked.id} was answered ${rejected ? "rejected" : "committed"}, the log says otherwise`);
    if (seq !== undefined && decided.seq !== seq)
      this.#wrong(`${asked.id} was answered with seq ${seq}, the log has it at ${decided.seq}`);
    return decided.answers === 1;
  }

  /** A caller has asked, and does not know what became of it. */
  unanswered(asked: Asked): void {
    const decided = this.#asked(asked);
    if (decided) decided.lost = true;
  }

  /** A caller was told that it never entered the queue, and did not ask again. */
  refused(asked: Asked): void {
    if (this.#asked(asked)) this.#wrong(`${asked.id} was refused, but is in the log`);
  }

  /** All contradictions, when everything that was asked is told. */
  problems(): readonly string[] {
    for (const [id, { known, lost, answers, repeats }] of this.#decided) {
      if (!known) this.#wrong(`${id} is in the log, but nobody asked for it`);
      if (!lost && answers > 0 && repeats === answers)
        this.#wrong(`${id}: every answer says that it is a repeat`);
    }
    return this.#problems;
  }

  #asked(asked: Asked): Decided | undefined {
    const decided = this.#decided.get(asked.id);
    if (!decided) return undefined;
    decided.known = true;
    const { kind, from, to, amount } = decided.asked;
    if (kind !== asked.kind || from !== asked.from || to !== asked.to || amount !== asked.amount)
      this.#wrong(`${asked.id} is in the log with other content`);
    return decided;
  }

  /** Writes down what one command of the log did. */
  #note(lines: readonly LogLine[]): void {
    const [first, second] = lines;
    const id: string = first.transaction_id;
    const types = lines.map(({ type }) => type).join("+");
    if (types === "LedgerOpened") return;
    if (this.#decided.has(id)) this.#wrong(`${id} has more than one set of events`);
    if (lines.some(({ transaction_id }) => transaction_id !== id))
      this.#wrong(`${id} shares a command with another id`);
    const note = (asked: Omit<Asked, "id">, rejected: boolean) => {
      const { seq } = lines[lines.length - 1];
      this.#decided.set(id, {
        asked: { id, ...asked },
        rejected,
        seq,
        known: false,
        lost: false,
        answers: 0,
        repeats: 0,
      });
    };
    const amount = Number(first.amount ?? first.initial_balance);
    if (types === "TransactionFailed") {
      note({ kind: first.kind, from: first.from_account, to: first.to_account, amount }, true);
    } else if (types === "AccountOpened") {
      note({ kind: "open_account", from: "@world", to: first.account, amount }, false);
    } else if (types === "MoneyDeducted+MoneyCredited") {
      if (first.amount !== second.amount)
        this.#wrong(`${id} deducts ${first.amount} and credits ${second.amount}`);
      const [from, to] = [first.account, second.account];
      const kind = from === "@world" ? "deposit" : to === "@world" ? "withdraw" : "transfer";
      note({ kind, from, to, amount }, false);
    } else {
      this.#wrong(`${id} has the events ${types}`);
    }
  }

  #wrong(what: string): void {
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push(what);
  }
}
