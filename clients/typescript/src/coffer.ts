/** The client: calls of a wallet ledger, each with its own outcome. */

import { Admission } from "./admission.ts";
import { Coalescer } from "./coalescer.ts";
import {
  AccountExists,
  type CofferError,
  InvalidRequest,
  OutcomeUnknown,
  RequestFailed,
  TransactionIdConflict,
  Unavailable,
} from "./errors.ts";
import { answerObject, countIn, integerIn, type JsonObject, objectsIn, textIn } from "./exact-json.ts";
import { ENDED, Exchange, type HttpAnswer, type HttpRequest, problemOf, Server } from "./exchange.ts";
import { type CofferOptions, type Limits, limitsOf } from "./options.ts";
import type { Rejected, TransferOutcome } from "./outcomes.ts";
import { newTransactionId } from "./transaction-id.ts";
import {
  amountDigits,
  checkAccount,
  checkCurrency,
  checkNames,
  checkReadableAccount,
  checkTransactionId,
  currencyJson,
  type Transfer,
} from "./values.ts";

export interface CallOptions {
  /**
   * Ends the wait. A call that was not sent yet, or that only reads, rejects with the signal's reason; one
   * that was sent rejects with OutcomeUnknown.
   */
  readonly signal?: AbortSignal | undefined;
}

/** Money into an account, from outside. Units and ids as in Transfer. */
export type Deposit = Omit<Transfer, "from">;
/** Money out of an account, to outside. Units and ids as in Transfer. */
export type Withdrawal = Omit<Transfer, "to">;

export interface AccountOpening {
  readonly account: string;
  /** Minor units, 0 … 2^63−1; 0 where it is left out. */
  readonly initialBalance?: bigint | number | undefined;
  /** The ledger's default currency where it is left out. */
  readonly currency?: string | undefined;
  readonly transactionId?: string | undefined;
}

/** All amounts in minor units, exact. */
export interface Balance {
  readonly account: string;
  readonly currency: string;
  /** available + frozen. */
  readonly balance: bigint;
  readonly available: bigint;
  readonly frozen: bigint;
  /** The last event that is in it. */
  readonly seq: number;
}

/** `existed`: the account was open before, with the same initial balance. */
export type AccountOpeningOutcome =
  | (Balance & { readonly status: "opened"; readonly transactionId: string; readonly existed: boolean })
  | Rejected;

export interface Ledger {
  readonly ledgerId: string;
  readonly seq: number;
  /** Pairs of an account and a currency. */
  readonly accounts: number;
  readonly transactions: number;
  /** Minor units by currency. `sum` is that over all accounts, and always 0. */
  readonly totals: readonly {
    readonly currency: string;
    readonly sum: bigint;
    readonly inCirculation: bigint;
  }[];
}

/** A call that travels alone. `transactionId` is undefined where it only reads. */
interface Plain<T> {
  readonly request: HttpRequest;
  readonly transactionId?: string;
  readonly signal: AbortSignal | undefined;
  read(answer: HttpAnswer, attempts: number): T;
}

const MORE_NAMES = ["amount", "currency", "transactionId"];
const TRANSFER_NAMES = ["from", "to", ...MORE_NAMES];
const DEPOSIT_NAMES = ["to", ...MORE_NAMES];
const WITHDRAWAL_NAMES = ["from", ...MORE_NAMES];
const OPENING_NAMES = ["account", "initialBalance", "currency", "transactionId"];
const CREATED = 201;
const REJECTED = 422;
const NOT_FOUND = 404;
const BAD_REQUEST = 400;

/**
 * A client of one coffer. Every call is sent again where its outcome was not told (503, 504, another 5xx, a
 * connection that was cut), under the same id, until its time limit. Calls reject with a CofferError: any of
 * them with InvalidRequest, Overloaded, ClientClosed or RequestFailed; those that move money also with
 * TransactionIdConflict, Unavailable (never sent) or OutcomeUnknown; reads with Unavailable.
 */
export class Coffer {
  readonly #limits: Limits;
  readonly #server: Server;
  readonly #admission: Admission;
  readonly #coalescer: Coalescer;

  /** `url` as in `http://127.0.0.1:8080`. Throws RangeError or TypeError on options that are out of range. */
  constructor(url: string | URL, options: CofferOptions = {}) {
    this.#limits = limitsOf(options);
    this.#server = new Server(String(url), options.token, this.#limits.timeoutMs);
    this.#admission = new Admission(this.#limits.maxWaiting);
    this.#coalescer = new Coalescer(this.#server, this.#admission, this.#limits);
  }

  /** Moves money between two accounts. Concurrent calls travel together; each has its own outcome. */
  transfer(transfer: Transfer, { signal }: CallOptions = {}): Promise<TransferOutcome> {
    try {
      checkNames(transfer, TRANSFER_NAMES);
      return this.#coalescer.transfer(transfer, signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Brings money into an account from outside. */
  async deposit(deposit: Deposit, options: CallOptions = {}): Promise<TransferOutcome> {
    checkNames(deposit, DEPOSIT_NAMES);
    return this.#move("deposit", deposit.to, deposit, options);
  }

  /** Takes money out of an account. */
  async withdraw(withdrawal: Withdrawal, options: CallOptions = {}): Promise<TransferOutcome> {
    checkNames(withdrawal, WITHDRAWAL_NAMES);
    return this.#move("withdraw", withdrawal.from, withdrawal, options);
  }

  /** Opens an account, once by its name and currency. Rejects with AccountExists where it is open with another initial balance. */
  async openAccount(opening: AccountOpening, { signal }: CallOptions = {}): Promise<AccountOpeningOutcome> {
    checkNames(opening, OPENING_NAMES);
    const { account, initialBalance = 0, currency } = opening;
    const { transactionId } = identified(opening);
    checkAccount(account, "/account_id");
    const digits = amountDigits(initialBalance, "/initial_balance", 0);
    const body = `{"transaction_id":"${transactionId}","account_id":"${account}","initial_balance":${digits}${currencyJson(currency)}}`;
    return this.#plain<AccountOpeningOutcome>({
      request: { method: "POST", path: "/v1/wallet/accounts", body },
      transactionId,
      signal,
      read: (answer) => {
        if (answer.status >= BAD_REQUEST) return rejected(answer, transactionId);
        const existed = answer.status !== CREATED;
        return { status: "opened", transactionId, existed, ...balanceIn(answerObject(answer.text)) };
      },
    });
  }

  /** An account's balance; undefined where it was never opened in the currency (the ledger's default one). */
  async balance(
    account: string,
    { currency, signal }: CallOptions & { readonly currency?: string | undefined } = {},
  ): Promise<Balance | undefined> {
    checkReadableAccount(account, "/account_id");
    if (currency !== undefined) checkCurrency(currency);
    const query = currency === undefined ? "" : `?currency=${currency}`;
    return this.#plain<Balance | undefined>({
      request: { method: "GET", path: `/v1/wallet/balance/${encodeURIComponent(account)}${query}` },
      signal,
      read: (answer) => {
        if (answer.status === NOT_FOUND && problemOf(answer).code === "account_not_found") return undefined;
        return balanceIn(answerObject(good(answer).text));
      },
    });
  }

  /** The ledger as a whole. */
  async ledger({ signal }: CallOptions = {}): Promise<Ledger> {
    return this.#plain<Ledger>({
      request: { method: "GET", path: "/v1/ledger" },
      signal,
      read: (answer) => ledgerIn(answerObject(good(answer).text)),
    });
  }

  /** Takes no more calls; resolves when all that were made are settled. */
  close(): Promise<void> {
    return this.#admission.close();
  }

  #move(
    kind: "deposit" | "withdraw",
    account: string,
    content: Omit<Transfer, "from" | "to">,
    { signal }: CallOptions,
  ): Promise<TransferOutcome> {
    const { transactionId, madeHere } = identified(content);
    checkAccount(account, "/account_id");
    const digits = amountDigits(content.amount, "/amount", 1);
    const body = `{"transaction_id":"${transactionId}","account_id":"${account}","amount":${digits}${currencyJson(content.currency)}}`;
    return this.#plain<TransferOutcome>({
      request: { method: "POST", path: `/v1/wallet/${kind}`, body },
      transactionId,
      signal,
      read: (answer, attempts) => {
        if (answer.status >= BAD_REQUEST) return rejected(answer, transactionId);
        const seq = countIn(answerObject(answer.text), "seq");
        const known = madeHere || !answer.replayed || attempts === 1;
        const replayed = known ? answer.replayed && !madeHere : undefined;
        return { status: "committed", transactionId, seq, replayed };
      },
    });
  }

  async #plain<T>({ request, transactionId, signal, read }: Plain<T>): Promise<T> {
    signal?.throwIfAborted();
    this.#admission.enter();
    const exchange = new Exchange(this.#server);
    const end = () => exchange.end();
    const timer = setTimeout(end, this.#limits.timeoutMs);
    signal?.addEventListener("abort", end);
    try {
      const result = await exchange.decided(
        () => request,
        (answer) => read(answer, exchange.attempts),
      );
      if (result !== ENDED) return result;
      const cause = signal?.aborted ? signal.reason : exchange.failure;
      if (transactionId !== undefined)
        throw new OutcomeUnknown("it was sent, and then ended without an outcome", transactionId, { cause });
      if (signal?.aborted) throw signal.reason;
      throw new Unavailable(`no answer within ${this.#limits.timeoutMs} ms`, undefined, { cause });
    } catch (error) {
      if (error instanceof RequestFailed && transactionId !== undefined && exchange.attempts > 1)
        throw new OutcomeUnknown("a repeated attempt was refused", transactionId, { cause: error });
      throw error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      this.#admission.leave();
    }
  }
}

function identified({ transactionId }: { readonly transactionId?: string | undefined }) {
  return transactionId === undefined
    ? { transactionId: newTransactionId(), madeHere: true }
    : { transactionId: checkTransactionId(transactionId), madeHere: false };
}

/** An answer that is no refusal. Throws InvalidRequest or RequestFailed. */
function good(answer: HttpAnswer): HttpAnswer {
  if (answer.status >= BAD_REQUEST) throw refusal(answer);
  return answer;
}

/** What the ledger says against a command. Throws the error that it is, where the ledger did not judge. */
function rejected(answer: HttpAnswer, transactionId: string): Rejected {
  const { code } = problemOf(answer);
  if (answer.status === REJECTED && code !== undefined) return { status: "rejected", transactionId, code };
  throw refusal(answer, transactionId);
}

function refusal(answer: HttpAnswer, transactionId?: string): CofferError {
  const { status } = answer;
  const { code, detail = "is refused", path = "" } = problemOf(answer);
  if (status === BAD_REQUEST) return new InvalidRequest(detail, path, transactionId);
  if (transactionId !== undefined && code === "transaction_id_conflict")
    return new TransactionIdConflict("the id was used for something else", transactionId);
  if (code === "account_exists")
    return new AccountExists("the account is open, with another initial balance", transactionId);
  return new RequestFailed(status, code, transactionId);
}

function balanceIn(body: JsonObject): Balance {
  return {
    account: textIn(body, "account_id"),
    currency: textIn(body, "currency"),
    balance: integerIn(body, "balance"),
    available: integerIn(body, "available"),
    frozen: integerIn(body, "frozen"),
    seq: countIn(body, "seq"),
  };
}

function ledgerIn(body: JsonObject): Ledger {
  return {
    ledgerId: textIn(body, "ledger_id"),
    seq: countIn(body, "seq"),
    accounts: countIn(body, "accounts"),
    transactions: countIn(body, "transactions"),
    totals: objectsIn(body, "totals").map((total) => ({
      currency: textIn(total, "currency"),
      sum: integerIn(total, "sum"),
      inCirculation: integerIn(total, "in_circulation"),
    })),
  };
}
