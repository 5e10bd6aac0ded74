/** The wallet as callers see it, whatever carries their requests: bytes of JSON in, an answer out. */

import type { AccountPrefix } from "../domain/account-prefix.ts";
import { add, type Money, ZERO } from "../domain/amount.ts";
import { moduleOf, type TransactionCommand, type Transfer } from "../domain/commands/commands.ts";
import type { TransactionKind } from "../domain/kinds.ts";
import { type Currency, parseAccount, parseCurrency, type TransactionId, WORLD } from "../domain/names.ts";
import type { Outcome, Refused } from "../domain/outcomes.ts";
import type { Answer } from "../ports/answer.ts";
import type { BalancesView } from "../ports/balances.ts";
import { CommandWriter, type EncodedCommands, type TransferBytes, transactionIds } from "../wire/frame.ts";
import {
  type BatchRequest,
  parseBatch,
  parseCommand,
  parseTransferOrArray,
  type RequestDefaults,
  requestNameOf,
} from "../wire/requests.ts";
import { InvalidInput, pointer } from "../wire/strict-json.ts";
import { scanBatch, scanTransfer } from "../wire/transfer-scanner.ts";
import type { CommandSender, Sent } from "./command-sender.ts";
import { ok, problem, rejected } from "./problems.ts";

/** A new ledger takes no commands before its opening is decided. */
export const NOT_OPEN = "the ledger is not open yet";
const READ_TOO_EARLY = "the read model is asked before the ledger is open";

/** The most that one transfer adds to a batch's answer: its failure, and its id. */
const MAX_RESULT_BYTES = 160;

const UUID_LENGTH = 36;

/** A batch on its way. */
interface Batch {
  readonly commands: EncodedCommands;
  /** All ids, where any was made here. */
  readonly madeIds: readonly TransactionId[] | undefined;
}

/**
 * Calls that move money take `within`: the accounts that the caller is bound to, undefined for all. It moves money
 * out of them alone, opens them alone and empty, and is told of no other's balance.
 */
export class WalletService {
  readonly #writer = new CommandWriter();

  constructor(
    private readonly sender: CommandSender,
    private readonly balances: BalancesView,
    private readonly newId: () => TransactionId,
    /** Why the node takes no commands; undefined if it does. */
    private readonly unready: () => string | undefined,
  ) {}

  /** Why about so many commands more would be refused just now; undefined where they would not. */
  busy(commands: number, others: number): string | undefined {
    return this.sender.busy(commands, others);
  }

  transfer(body: Uint8Array, within?: AccountPrefix): Promise<Answer> {
    const plain = scanTransfer(body);
    if (!plain)
      return this.#read((defaults) => this.#command(parseCommand("transfer", body, defaults), within));
    if (!within) return this.#scannedTransfer(body, plain, true);
    const { source, fromAt, fromLength, toAt, toLength } = plain;
    if (!within.hasBytes(source, fromAt, fromLength)) return Promise.resolve(forbidden("/from_account"));
    return this.#scannedTransfer(body, plain, within.hasBytes(source, toAt, toLength));
  }

  transfers(body: Uint8Array, within?: AccountPrefix): Promise<Answer> {
    let index = 0;
    let outside = -1;
    const count = scanBatch(body, (transfer) => {
      this.#writer.addBytes(transfer);
      if (within && outside < 0 && !within.hasBytes(transfer.source, transfer.fromAt, transfer.fromLength))
        outside = index;
      index++;
    });
    if (count !== undefined && outside < 0)
      return this.#batch({ commands: this.#writer.take(), madeIds: undefined });
    this.#writer.discard();
    if (count !== undefined) return Promise.resolve(payerForbidden(outside));
    return this.#read((defaults) => {
      const batch = parseBatch(body, defaults);
      const first = within ? batch.transfers.findIndex((one) => !within.has(one.from_account)) : -1;
      return first < 0 ? this.#batch(this.#encode(batch)) : Promise.resolve(payerForbidden(first));
    });
  }

  /** A command of any kind, from its request as JSON. */
  command(kind: TransactionKind, body: Uint8Array, within?: AccountPrefix): Promise<Answer> {
    return this.#read((defaults) => this.#command(parseCommand(kind, body, defaults), within));
  }

  /**
   * One transfer or an array of them. The answer must fit in `maxAnswerBytes`: ids that are made here are
   * known to nobody where it does not.
   */
  transferOrArray(body: Uint8Array, maxAnswerBytes: number): Promise<Answer> {
    return this.#read((defaults) => {
      const request = parseTransferOrArray(body, defaults);
      if (
        "transfers" in request &&
        request.madeIds &&
        request.transfers.length * MAX_RESULT_BYTES > maxAnswerBytes
      ) {
        return Promise.resolve(
          problem(
            "batch_too_large",
            "The response might be too large: send fewer transfers, or send an id with each.",
          ),
        );
      }
      return "transfers" in request ? this.#batch(this.#encode(request)) : this.#command(request);
    });
  }

  /** The ledger is open. */
  balance(accountText: string, currencyText: string | undefined, within?: AccountPrefix): Answer {
    const { defaultCurrency } = this.balances;
    if (!defaultCurrency) throw new TypeError(READ_TOO_EARLY);
    const currency = currencyText === undefined ? defaultCurrency : parseCurrency(currencyText);
    if (!currency) return problem("invalid_request", "must be a currency", { path: "/currency" });
    const account = accountText === WORLD ? WORLD : parseAccount(accountText);
    if (!account) return problem("invalid_request", "must be an account", { path: "/account_id" });
    if (within && !within.has(account)) return forbidden("/account_id", "it can only read them");
    const balance = this.balances.balance(account, currency);
    if (!balance)
      return problem("account_not_found", `The account ${account} was never opened in ${currency}.`);
    return ok(`{${balanceText(account, currency, balance)},"seq":${this.balances.seq}}`);
  }

  /** The ledger is open. */
  ledger(): Answer {
    const ledger = this.balances.ledger();
    if (!ledger) throw new TypeError(READ_TOO_EARLY);
    const { ledger_id, seq, accounts, transactions } = ledger;
    const totals = ledger.totals.map(
      ({ currency, sum, in_circulation }) =>
        `{"currency":"${currency}","sum":${sum},"in_circulation":${in_circulation}}`,
    );
    return ok(
      `{"ledger_id":"${ledger_id}","seq":${seq},"accounts":${accounts},"transactions":${transactions},"totals":[${totals}]}`,
    );
  }

  /** Reads a request and goes on with it; what cannot be read is answered here. */
  #read(go: (defaults: RequestDefaults) => Promise<Answer>): Promise<Answer> {
    const currency = this.balances.defaultCurrency;
    if (!currency) return Promise.resolve(problem("queue_unavailable", this.unready() ?? NOT_OPEN));
    try {
      return go({ currency, newId: this.newId });
    } catch (error) {
      if (error instanceof InvalidInput) {
        return Promise.resolve(problem("invalid_request", error.message, { path: error.path }));
      }
      throw error;
    }
  }

  /** `transfer` was scanned in `body`, and is valid until another scan. */
  async #scannedTransfer(
    body: Uint8Array,
    transfer: Readonly<TransferBytes>,
    showsReceiver: boolean,
  ): Promise<Answer> {
    const id = transfer.idAt < 0 ? this.newId() : idIn(transfer);
    if (transfer.idAt >= 0) this.#writer.addBytes(transfer);
    else this.#writer.addBytes(transfer, Buffer.from(id, "latin1"), 0);
    const sent = await this.sender.send(this.#writer.take());
    const outcome = sent.state === "done" ? sent.outcomes[0] : undefined;
    return outcome?.status === "committed"
      ? committed(id, outcome, showsReceiver)
      : this.#single(id, () => this.#scanned(body, id), sent, showsReceiver);
  }

  async #command(command: TransactionCommand, within?: AccountPrefix): Promise<Answer> {
    const outside = within && fieldOutside(within, command);
    if (outside !== undefined) return forbidden(outside);
    const showsReceiver = !within || within.has(moduleOf(command.kind).content(command).to_account);
    this.#writer.add(command);
    const sent = await this.sender.send(this.#writer.take());
    return this.#single(command.transaction_id, () => command, sent, showsReceiver);
  }

  /** The transfer that was scanned in `body`, as a command. */
  #scanned(body: Uint8Array, transaction_id: TransactionId): Transfer {
    const currency = this.balances.defaultCurrency;
    if (!currency) throw new TypeError(READ_TOO_EARLY);
    return parseCommand("transfer", body, { currency, newId: () => transaction_id });
  }

  /** Answers a request of one command. */
  #single(
    transaction_id: TransactionId,
    commandOf: () => TransactionCommand,
    sent: Sent,
    showsReceiver: boolean,
  ): Answer {
    if (sent.state !== "done") return failed(sent, { transaction_id });
    const outcome = sent.outcomes[0];
    switch (outcome?.status) {
      case "committed":
        return committed(transaction_id, outcome, showsReceiver);
      case "opened": {
        const command = commandOf();
        if (command.kind !== "open_account") throw new TypeError("only an opening opens an account");
        const { account, currency } = command;
        const text = `{"transaction_id":"${transaction_id}",${balanceText(account, currency, outcome)},"seq":${outcome.seq}}`;
        return {
          status: outcome.existed ? 200 : 201,
          body: text,
          replayed: outcome.replayed,
          retryAfter: undefined,
        };
      }
      case "rejected":
        return rejected(outcome.reason, "No money was moved.", outcome.replayed, {
          transaction_id,
          seq: outcome.seq,
          available: outcome.reason === "insufficient_funds" ? this.#availableTo(commandOf()) : undefined,
        });
      case "refused":
        return this.#refused(outcome, transaction_id);
      default:
        throw new TypeError("an outcome is missing");
    }
  }

  /** What the payer of a rejected command has now; a caller may know it of an account from which it may pay. */
  #availableTo(command: TransactionCommand): Money {
    const { from_account, currency } = moduleOf(command.kind).content(command);
    return this.balances.balance(from_account, currency)?.available ?? ZERO;
  }

  #refused({ reason }: Refused, transaction_id: TransactionId): Answer {
    if (reason === "ledger_not_open" || reason === "ledger_already_open")
      return problem("queue_unavailable", this.unready() ?? NOT_OPEN);
    return problem(reason, REFUSALS[reason], { transaction_id });
  }

  #encode({ transfers, madeIds }: BatchRequest): Batch {
    for (const transfer of transfers) this.#writer.add(transfer);
    return {
      commands: this.#writer.take(),
      madeIds: madeIds ? transfers.map((transfer) => transfer.transaction_id) : undefined,
    };
  }

  async #batch({ commands, madeIds }: Batch): Promise<Answer> {
    const sent = await this.sender.send(commands);
    if (sent.state !== "done") return failed(sent, { transaction_ids: madeIds });
    let committedCount = 0;
    let replayed = 0;
    let seq = 0;
    const failures: { index: number; code: string }[] = [];
    for (let index = 0; index < sent.outcomes.length; index++) {
      const outcome = sent.outcomes[index] as Outcome;
      if (outcome.seq > seq) seq = outcome.seq;
      if (outcome.status === "opened") throw new TypeError("only an opening opens an account");
      if (outcome.status !== "committed") failures.push({ index, code: outcome.reason });
      else if (outcome.replayed) replayed++;
      else committedCount++;
    }
    const ids = madeIds ? `,"transaction_ids":${JSON.stringify(madeIds)}` : "";
    return ok(
      `{"committed":${committedCount},"replayed":${replayed},"failed":${failures.length},"failures":${failuresText(failures, commands)}${ids},"seq":${seq}}`,
    );
  }
}

/** The field of a request that debits an account outside of `within`; the whole request if no field does. */
function fieldOutside(within: AccountPrefix, command: TransactionCommand): string | undefined {
  const module = moduleOf(command.kind);
  const outside = module.debits(command).find(({ account }) => !within.has(account));
  if (!outside) return undefined;
  const name = requestNameOf(module, outside.field);
  return name === undefined ? "" : pointer("", name);
}

function payerForbidden(index: number): Answer {
  return forbidden(`/transfers/${index}/from_account`);
}

function forbidden(path: string, may = "it can only debit them and cannot create money"): Answer {
  return problem("forbidden", `This key is restricted to certain accounts: ${may}.`, { path });
}

/** In lower case, as ids are told. */
function idIn({ source, idAt }: Readonly<TransferBytes>): TransactionId {
  const bytes = Buffer.from(source.buffer, source.byteOffset + idAt, UUID_LENGTH);
  return bytes.toString("latin1").toLowerCase() as TransactionId;
}

function failuresText(
  failures: readonly { index: number; code: string }[],
  commands: EncodedCommands,
): string {
  if (failures.length === 0) return "[]";
  const ids = [...transactionIds(commands)];
  return JSON.stringify(failures.map(({ index, code }) => ({ index, transaction_id: ids[index], code })));
}

function committed(
  transaction_id: string,
  { seq, replayed, from_balance, to_balance }: Extract<Outcome, { status: "committed" }>,
  showsReceiver: boolean,
): Answer {
  const receiver = showsReceiver ? `,"to_balance":${to_balance}` : "";
  const body = `{"transaction_id":"${transaction_id}","status":"committed","seq":${seq},"from_balance":${from_balance}${receiver}}`;
  return { status: 200, body, replayed, retryAfter: undefined };
}

const REFUSALS: Record<"transaction_id_conflict" | "account_exists", string> = {
  transaction_id_conflict: "The transaction id was already used with different content. No money was moved.",
  account_exists: "The account already exists in this currency with a different initial balance.",
};

const FAILURES = {
  unavailable: "queue_unavailable",
  overloaded: "overloaded",
} as const;

function failed(
  { state, why }: Exclude<Sent, { state: "done" }>,
  members: { transaction_id?: string; transaction_ids?: readonly string[] | undefined },
): Answer {
  if (state === "unknown")
    return problem("outcome_unknown", `${why}. Send it again with the same id.`, members);
  return problem(FAILURES[state], why, members);
}

function balanceText(
  account: string,
  currency: Currency,
  { available, frozen }: { available: Money; frozen: Money },
): string {
  return `"account_id":"${account}","currency":"${currency}","balance":${add(available, frozen)},"available":${available},"frozen":${frozen}`;
}
