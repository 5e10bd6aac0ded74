/**
 * Sends concurrent transfers together.
 *
 * While `maxInFlight` batches are under way, calls gather; the next batches take them all. Each call has an
 * outcome of its own, or an error of its own: a transfer that the server refuses is taken out of its batch,
 * and the others are sent again. A call is settled once: by its outcome, its time limit or its signal,
 * whichever is first. A batch that nobody waits for any more is given up.
 */

import type { Admission } from "./admission.ts";
import { type BatchAnswer, type Decided, readBatchAnswer } from "./batch-answer.ts";
import {
  InvalidRequest,
  OutcomeUnknown,
  RequestFailed,
  TransactionIdConflict,
  Unavailable,
} from "./errors.ts";
import { ENDED, Exchange, type Server } from "./exchange.ts";
import type { Limits } from "./options.ts";
import type { TransferOutcome } from "./outcomes.ts";
import { newTransactionId } from "./transaction-id.ts";
import { checkTransactionId, type Transfer, transferJson } from "./values.ts";

/** Where several batches may leave at once, calls are shared out among them, so many to each at least. */
const MIN_SHARE = 32;
const FORBIDDEN = 403;

interface Call {
  readonly transactionId: string;
  /** Whether the id was made here, so that nobody else can have used it. */
  readonly madeHere: boolean;
  readonly json: string;
  readonly deadlineMs: number;
  readonly resolve: (outcome: TransferOutcome) => void;
  readonly reject: (reason: unknown) => void;
  /** Undefined until it leaves. */
  batch: Batch | undefined;
  settled: boolean;
  /** Stops listening to its signal. */
  forget: (() => void) | undefined;
}

interface Batch {
  readonly calls: readonly Call[];
  readonly exchange: Exchange;
  /** How many of its calls are not settled. */
  open: number;
}

export class Coalescer {
  readonly #waiting = new Set<Call>();
  readonly #batches = new Set<Batch>();
  #open = 0;
  #underWay = 0;
  #gathering = false;
  #maxBatch: number;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly server: Server,
    private readonly admission: Admission,
    private readonly limits: Limits,
  ) {
    this.#maxBatch = limits.maxBatch;
  }

  /** Throws InvalidRequest, Overloaded, ClientClosed or the signal's reason; nothing is sent then. */
  transfer(transfer: Transfer, signal: AbortSignal | undefined): Promise<TransferOutcome> {
    const given = transfer.transactionId;
    const transactionId = given === undefined ? newTransactionId() : checkTransactionId(given);
    const json = transferJson(transfer, transactionId);
    signal?.throwIfAborted();
    this.admission.enter();
    return new Promise((resolve, reject) => {
      const call: Call = {
        transactionId,
        madeHere: given === undefined,
        json,
        deadlineMs: performance.now() + this.limits.timeoutMs,
        resolve,
        reject,
        batch: undefined,
        settled: false,
        forget: undefined,
      };
      this.#waiting.add(call);
      if (++this.#open === 1) this.#expireAt(call.deadlineMs);
      if (signal) this.#listen(call, signal);
      this.#sendSoon();
    });
  }

  #listen(call: Call, signal: AbortSignal): void {
    const aborted = () => this.#abandon(call, "its signal", signal.reason, signal.reason);
    signal.addEventListener("abort", aborted);
    call.forget = () => signal.removeEventListener("abort", aborted);
  }

  /** Sends once all calls of this turn have come, and those that a batch's outcomes give rise to. */
  #sendSoon(): void {
    if (this.#gathering || this.#underWay >= this.limits.maxInFlight || this.#waiting.size === 0) return;
    this.#gathering = true;
    queueMicrotask(() => {
      this.#gathering = false;
      this.#send();
    });
  }

  #send(): void {
    const { maxInFlight } = this.limits;
    for (let free = maxInFlight - this.#underWay; free > 0 && this.#waiting.size > 0; free--) {
      const share = Math.max(Math.ceil(this.#waiting.size / free), MIN_SHARE);
      this.#underWay++;
      void this.#deliver(this.#batch(this.#take(Math.min(share, this.#maxBatch)), 0)).then(() => {
        this.#underWay--;
        this.#sendSoon();
      });
    }
  }

  #take(count: number): Call[] {
    const calls: Call[] = [];
    for (const call of this.#waiting) {
      if (calls.length === count) break;
      this.#waiting.delete(call);
      calls.push(call);
    }
    return calls;
  }

  /** `attempts` is how often its calls may have been sent before. */
  #batch(calls: readonly Call[], attempts: number): Batch {
    const batch: Batch = { calls, exchange: new Exchange(this.server, attempts), open: calls.length };
    for (const call of calls) call.batch = batch;
    this.#batches.add(batch);
    return batch;
  }

  /** Brings every call of a batch its outcome. Never rejects: what goes wrong here, its calls are told. */
  async #deliver(batch: Batch): Promise<void> {
    const { calls, exchange } = batch;
    let sent = calls;
    const request = () => {
      if (batch.open < sent.length) sent = calls.filter(isOpen);
      return { method: "POST", path: "/v1/wallet/transfers", body: batchJson(sent) } as const;
    };
    let rest: readonly Batch[] = [];
    try {
      const answer = await exchange.decided(request, (http) => readBatchAnswer(http, sent.length));
      if (answer !== ENDED) rest = this.#answered(sent, answer, exchange.attempts);
    } catch (error) {
      for (const call of sent) this.#fail(call, error);
    }
    this.#batches.delete(batch);
    for (const part of rest) await this.#deliver(part);
  }

  /** Settles what an answer settles; returns what has to be sent again. */
  #answered(sent: readonly Call[], answer: BatchAnswer, attempts: number): Batch[] {
    if (answer.kind === "decided") {
      this.#decided(sent, answer, attempts);
      return [];
    }
    if (answer.kind === "failed") {
      const { status, code } = answer;
      for (const call of sent)
        this.#refused(call, new RequestFailed(status, code, call.transactionId), attempts);
      return [];
    }
    if (answer.index !== undefined) {
      const call = sent[answer.index] as Call;
      const { transactionId } = call;
      if (answer.status === FORBIDDEN)
        this.#refused(call, new RequestFailed(FORBIDDEN, answer.code, transactionId), attempts);
      else this.#fail(call, new InvalidRequest(answer.detail, answer.path, transactionId));
      return this.#again(sent, attempts - 1); // this one did nothing
    }
    const half = Math.ceil(sent.length / 2);
    if (answer.tooLarge) this.#maxBatch = Math.min(this.#maxBatch, half);
    return [...this.#again(sent.slice(0, half), attempts), ...this.#again(sent.slice(half), attempts)];
  }

  #again(sent: readonly Call[], attempts: number): Batch[] {
    const calls = sent.filter(isOpen);
    return calls.length === 0 ? [] : [this.#batch(calls, attempts)];
  }

  #decided(sent: readonly Call[], { seq, replayed, failures }: Decided, attempts: number): void {
    const repeats = repeatsAmong(sent, failures, replayed, attempts);
    for (let index = 0; index < sent.length; index++) {
      const call = sent[index] as Call;
      if (call.settled) continue;
      const { transactionId } = call;
      const code = failures.size === 0 ? undefined : failures.get(index);
      if (code === "transaction_id_conflict") {
        this.#fail(call, new TransactionIdConflict("the id was used for another transfer", transactionId));
        continue;
      }
      this.#settle(call);
      if (code === undefined) {
        const own = call.madeHere ? false : repeats;
        call.resolve({ status: "committed", transactionId, seq, replayed: own });
      } else {
        call.resolve({ status: "rejected", transactionId, code });
      }
    }
  }

  /** A server has refused a call; what became of earlier attempts, it did not say. */
  #refused(call: Call, error: RequestFailed, attempts: number): void {
    if (attempts <= 1) this.#fail(call, error);
    else
      this.#fail(
        call,
        new OutcomeUnknown("a repeated attempt was refused", call.transactionId, { cause: error }),
      );
  }

  #fail(call: Call, error: unknown): void {
    if (call.settled) return;
    this.#settle(call);
    call.reject(error);
  }

  #settle(call: Call): void {
    call.settled = true;
    call.forget?.();
    if (!call.batch) this.#waiting.delete(call);
    else if (--call.batch.open === 0) call.batch.exchange.end();
    if (--this.#open === 0) clearTimeout(this.#timer);
    this.admission.leave();
  }

  /** Its time limit or its signal has ended a call; `unsent` is the error where it never left. */
  #abandon(call: Call, by: string, cause: unknown, unsent: unknown): void {
    if (!call.batch || call.batch.exchange.attempts === 0) this.#fail(call, unsent);
    else this.#fail(call, new OutcomeUnknown(`${by} came before an outcome`, call.transactionId, { cause }));
  }

  #expireAt(deadlineMs: number): void {
    this.#timer = setTimeout(() => this.#expire(), Math.ceil(deadlineMs - performance.now()));
  }

  /** Settles the calls whose time is over, and comes again at the end of the next one's. */
  #expire(): void {
    const nowMs = performance.now();
    const { timeoutMs } = this.limits;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const calls of [...[...this.#batches].map((batch) => batch.calls), this.#waiting]) {
      for (const call of calls) {
        if (call.settled) continue;
        if (call.deadlineMs > nowMs) {
          nextMs = Math.min(nextMs, call.deadlineMs);
          break; // the others are younger
        }
        const failure = call.batch?.exchange.failure;
        const late = `the time limit of ${timeoutMs} ms`;
        const unsent = new Unavailable(`${late} came before it was sent`, call.transactionId);
        this.#abandon(call, late, failure, unsent);
      }
    }
    if (nextMs < Number.POSITIVE_INFINITY) this.#expireAt(nextMs);
  }
}

function isOpen(call: Call): boolean {
  return !call.settled;
}

/** Hot path: plain concatenation of texts that were made and checked call by call. */
function batchJson(calls: readonly Call[]): string {
  let body = '{"transfers":[';
  for (let index = 0; index < calls.length; index++) {
    if (index > 0) body += ",";
    body += (calls[index] as Call).json;
  }
  return `${body}]}`;
}

/**
 * Whether the committed calls of a batch with ids of their callers are repeats; undefined where it cannot be
 * told. Ids that were made here are no repeats of others.
 */
function repeatsAmong(
  sent: readonly Call[],
  failures: ReadonlyMap<number, string>,
  replayed: number,
  attempts: number,
): boolean | undefined {
  if (replayed === 0) return false;
  if (attempts > 1) return undefined;
  const given = sent.filter(({ madeHere }, index) => !madeHere && !failures.has(index));
  return given.length === replayed ? true : undefined;
}
