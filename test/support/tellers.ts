/**
 * Callers that send random transfers, deposits, withdrawals, openings and batches, mixed with repeats, and
 * remember every answer, so that the ledger can be held against them afterwards.
 */

import { randomUUID } from "node:crypto";
import { type Asked, LedgerAudit, type Told, type ToldBatch } from "../../tools/harness/ledger-audit.ts";
import type { WalletAnswer, WalletClient } from "../../tools/harness/wallet-client.ts";

const MAX_AMOUNT = 60;
const MAX_BATCH = 6;
/** So few that a node on a busy machine does not refuse any for its load. */
const SETTLING_AT_ONCE = 32;

interface Request {
  readonly asked: Asked;
  readonly told: Told[];
  /** Answered as a part of a batch. */
  inBatch: boolean;
  /** Sent at least once with no certain answer. */
  unknown: boolean;
}

export class Tellers {
  readonly #requests = new Map<string, Request>();
  readonly #batches: { readonly asked: readonly Asked[]; readonly told: ToldBatch }[] = [];
  readonly #order: Asked[] = [];
  readonly #accounts: readonly string[];
  #opened = 0;
  #stopped = false;
  /** Answers that no caller should get. */
  readonly unexpected: string[] = [];
  /** How many answers said that the outcome is certain. */
  acknowledged = 0;
  /** Statuses, with 0 for a connection that broke, and how often each was seen. */
  readonly statuses = new Map<number, number>();

  /** `random` draws integers from 0 to below its argument. */
  constructor(
    private readonly random: (below: number) => number,
    accounts = 12,
  ) {
    this.#accounts = Array.from({ length: accounts }, (_, index) => `teller-${index}`);
  }

  /** Every account that any request named. */
  get accounts(): readonly string[] {
    const opened = Array.from({ length: this.#opened }, (_, index) => `opened-${index}`);
    return [...this.#accounts, ...opened];
  }

  /** Sends `count` requests, `atOnce` at a time, each with a pause after its answer. Ends early at stop(). */
  async work(client: WalletClient, count: number, atOnce: number, pauseMs = 0): Promise<void> {
    this.#stopped = false;
    let left = count;
    const teller = async () => {
      while (left-- > 0 && !this.#stopped) {
        await this.#send(client, this.#next());
        if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    };
    await Promise.all(Array.from({ length: atOnce }, teller));
  }

  /** Ends work() when the requests under way have come back. */
  stop(): void {
    this.#stopped = true;
  }

  /** Sends what has no certain answer again, once. */
  async settle(client: WalletClient): Promise<void> {
    const open = [...this.#open()];
    const teller = async () => {
      for (let next = open.pop(); next; next = open.pop()) await this.#send(client, [next.asked]);
    };
    await Promise.all(Array.from({ length: SETTLING_AT_ONCE }, teller));
  }

  /** How many ids have no certain answer. */
  get unsettled(): number {
    return this.#open().length;
  }

  /** Holds a log against all answers; returns what does not fit. `others` is what others may have asked for. */
  problems(log: string, others: readonly Asked[] = []): readonly string[] {
    const audit = new LedgerAudit(log);
    for (const asked of others) audit.unanswered(asked);
    for (const { asked, told, inBatch, unknown } of this.#requests.values()) {
      for (const answer of told) audit.told(asked, answer);
      if (unknown) audit.unanswered(asked);
      else if (told.length === 0 && !inBatch) audit.refused(asked);
    }
    for (const { asked, told } of this.#batches) audit.toldBatch(asked, told);
    return [...this.unexpected, ...audit.problems()];
  }

  #open(): Request[] {
    return [...this.#requests.values()].filter(({ told, inBatch }) => told.length === 0 && !inBatch);
  }

  #next(): Asked[] {
    const roll = this.random(100);
    if (roll < 15 && this.#order.length > 0) return [this.#order[this.random(this.#order.length)] as Asked];
    if (roll < 30) {
      const batch = Array.from({ length: 2 + this.random(MAX_BATCH - 1) }, () => this.#ask("transfer"));
      return this.random(3) === 0 ? [...batch, batch[0] as Asked] : batch;
    }
    if (roll < 50) return [this.#ask("deposit")];
    if (roll < 58) return [this.#ask("withdraw")];
    return [this.#ask(roll < 62 ? "open_account" : "transfer")];
  }

  #ask(kind: Asked["kind"]): Asked {
    const account = () => this.#accounts[this.random(this.#accounts.length)] as string;
    const from = kind === "deposit" || kind === "open_account" ? "@world" : account();
    let to =
      kind === "withdraw" ? "@world" : kind === "open_account" ? `opened-${this.#opened++}` : account();
    while (to === from) to = account();
    const asked: Asked = { id: randomUUID(), kind, from, to, amount: 1 + this.random(MAX_AMOUNT) };
    this.#order.push(asked);
    this.#requests.set(asked.id, { asked, told: [], inBatch: false, unknown: false });
    return asked;
  }

  /** One request; a batch where it is of several. */
  async #send(client: WalletClient, asked: readonly Asked[]): Promise<void> {
    const requests = asked.map(({ id }) => this.#requests.get(id) as Request);
    let answer: WalletAnswer | undefined;
    try {
      answer = await send(client, asked);
    } catch {
      // The node went away: nobody knows what became of it.
    }
    const status = answer?.status ?? 0;
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
    if (answer && [200, 201, 422].includes(status)) this.#told(requests, answer);
    else if (status === 503 && answer?.body?.code !== undefined) return;
    else if (status === 0 || (status === 504 && answer?.body?.code === "outcome_unknown")) {
      for (const request of requests) request.unknown = true;
    } else this.unexpected.push(`${JSON.stringify(asked)} was answered ${status}: ${answer?.text}`);
  }

  #told(requests: readonly Request[], { status, headers, body }: WalletAnswer): void {
    this.acknowledged++;
    if (body.failures) {
      for (const request of requests) request.inBatch = true;
      this.#batches.push({ asked: requests.map(({ asked }) => asked), told: body });
      if (body.failed !== body.failures.length)
        this.unexpected.push(`a batch of ${requests.length} came to ${JSON.stringify(body)}`);
      return;
    }
    const replayed = headers.get("idempotent-replayed") === "true";
    for (const { asked, told } of requests) {
      if (body.transaction_id !== asked.id) this.unexpected.push(`${asked.id} got the answer of another`);
      told.push({
        rejected: status === 422,
        seq: body.seq,
        replayed,
        fromBalance: body.from_balance,
        toBalance: body.to_balance ?? body.balance,
      });
    }
  }
}

function send(client: WalletClient, asked: readonly Asked[]): Promise<WalletAnswer> {
  const [{ id: transaction_id, kind, from, to, amount }] = asked as [Asked];
  if (asked.length > 1)
    return client.transfers(
      asked.map((one) => ({
        transaction_id: one.id,
        from_account: one.from,
        to_account: one.to,
        amount: one.amount,
      })),
    );
  if (kind === "deposit") return client.deposit(to, amount, { transaction_id });
  if (kind === "withdraw") return client.withdraw(from, amount, { transaction_id });
  if (kind === "open_account") return client.open(to, amount, { transaction_id });
  return client.transfer({ transaction_id, from_account: from, to_account: to, amount });
}
