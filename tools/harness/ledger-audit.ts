/**
 * Holds what callers were told against what the ledger wrote down: every id that was answered has its one
 * set of events, with the content that was asked for, the outcome and the seq that were answered; one answer
 * at most says that it decided it, and that one has the balances right after it; and nothing is in the log that
 * nobody asked for. Shares no code with src/.
 */

import { FirstAnswers } from "./first-answers.ts";
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
  /** Undefined where the answer does not say. */
  readonly seq?: number | undefined;
  readonly replayed?: boolean | undefined;
  /** Of payer and receiver; the account's own where one is opened. */
  readonly fromBalance?: number | undefined;
  readonly toBalance?: number | undefined;
}

/** A batch's answer. It names its failures, and only counts the others. */
export interface ToldBatch {
  readonly committed: number;
  readonly replayed: number;
  readonly failures: readonly { readonly index: number }[];
}

/** What the log says about an id, and how it was answered. */
interface Decided {
  readonly asked: Asked;
  readonly rejected: boolean;
  readonly seq: number;
  /** Right after it. */
  readonly fromBalance: number;
  readonly toBalance: number;
  known: boolean;
  /** An answer may have been lost, or did not say whether it was a repeat. */
  lost: boolean;
  answers: number;
}

export class LedgerAudit {
  readonly replay: IndependentReplay;
  readonly #decided = new Map<string, Decided>();
  /** By account and currency, where the log has been read so far. */
  readonly #balances = new Map<string, number>();
  readonly #firstAnswers = new FirstAnswers();
  readonly #problems: string[] = [];

  constructor(log: string) {
    this.replay = replayIndependently(log, (lines) => this.#note(lines));
  }

  /** A caller was told an outcome; returns whether it is the first answer for the id. */
  told(asked: Asked, told: Told): boolean {
    const decided = this.#told(asked, told);
    if (!decided) return false;
    const { id } = asked;
    const { rejected, replayed, fromBalance, toBalance } = told;
    if (replayed === undefined) decided.lost = true;
    if (replayed === false) {
      if (!this.#firstAnswers.decided([id], 1)) this.#wrong(`${id} has two answers that say they decided it`);
      if (!rejected && fromBalance !== undefined && fromBalance !== decided.fromBalance)
        this.#wrong(`${id} was answered with from_balance ${fromBalance}, it left ${decided.fromBalance}`);
      if (!rejected && toBalance !== undefined && toBalance !== decided.toBalance)
        this.#wrong(`${id} was answered with to_balance ${toBalance}, it left ${decided.toBalance}`);
    }
    return decided.answers === 1;
  }

  /** A caller was told what became of a batch; returns of each whether it is the first answer for the id. */
  toldBatch(asked: readonly Asked[], { committed, replayed, failures }: ToldBatch): boolean[] {
    const failed = new Set(failures.map(({ index }) => index));
    const firsts = asked.map((one, index) => {
      const rejected = failed.has(index);
      const decided = this.#told(one, { rejected });
      if (decided && rejected) decided.lost = true;
      return decided?.answers === 1;
    });
    const others = asked.filter((_, index) => !failed.has(index)).map(({ id }) => id);
    const ids = [...new Set(others)];
    if (committed + replayed !== others.length)
      this.#wrong(`a batch of ${asked.length} came to ${committed} + ${replayed} + ${failures.length}`);
    if (!this.#firstAnswers.decided(ids, committed))
      this.#wrong(`of ${ids.join(", ")} a batch says that it committed ${committed}: others did so before`);
    return firsts;
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
    const needsFirst = (id: string) => {
      const { lost, answers } = this.#decided.get(id) as Decided;
      return !lost && answers > 0;
    };
    for (const [id, { known }] of this.#decided) {
      if (!known) this.#wrong(`${id} is in the log, but nobody asked for it`);
      if (needsFirst(id) && !this.#firstAnswers.has(id, needsFirst))
        this.#wrong(`${id}: every answer says that it is a repeat`);
    }
    return this.#problems;
  }

  #told(asked: Asked, { rejected, seq }: Told): Decided | undefined {
    const decided = this.#asked(asked);
    if (!decided) {
      this.#wrong(`${asked.id} was answered, but is not in the log`);
      return undefined;
    }
    decided.answers++;
    if (decided.rejected !== rejected)
      this.#wrong(`${asked.id} was answered ${rejected ? "rejected" : "committed"}, the log says otherwise`);
    if (seq !== undefined && decided.seq !== seq)
      this.#wrong(`${asked.id} was answered with seq ${seq}, the log has it at ${decided.seq}`);
    return decided;
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
      const { from, to, amount } = asked;
      const moved = rejected ? 0 : amount;
      this.#decided.set(id, {
        asked: { id, ...asked },
        rejected,
        seq,
        fromBalance: this.#move(from, first.currency, -moved),
        toBalance: this.#move(to, first.currency, moved),
        known: false,
        lost: false,
        answers: 0,
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

  /** Returns the balance after it. */
  #move(account: string, currency: string | undefined, amount: number): number {
    const key = `${account},${currency ?? ""}`;
    const balance = (this.#balances.get(key) ?? 0) + amount;
    this.#balances.set(key, balance);
    return balance;
  }

  #wrong(what: string): void {
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push(what);
  }
}
