/**
 * What requests and answers hold, as JSON schemas (2020-12): they are published, and validate nothing here. The byte
 * scanner and src/wire/requests.ts do; test/gateway/schemas.test.ts holds them against these.
 *
 * No schema can say that a key stands twice in an object, that 1.0 and 1e3 are refused where 1 and 1000 are meant,
 * and that the payer must not be the receiver.
 */

import { MAX_MONEY, MIN_MONEY, type Money } from "../domain/amount.ts";
import { ACCOUNT, CURRENCY, UUID, WORLD } from "../domain/names.ts";
import { REJECTIONS } from "../domain/rejections.ts";
import { MAX_BATCH_TRANSFERS } from "../wire/requests.ts";
import { PROBLEM_CODES } from "./problems.ts";

/** As JSON; a bigint stands for all its digits. */
export interface Schema {
  readonly [keyword: string]: unknown;
}

/** The schema with this name; `make check` finds a name that there is not. */
export function ref(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

/** A request: other fields are refused. */
function request(required: readonly string[], properties: Readonly<Record<string, Schema>>): Schema {
  return { type: "object", properties, required, additionalProperties: false };
}

/** An answer: later versions may add fields. All are there, but for those that are `sometimes`. */
function answer(
  always: Readonly<Record<string, Schema>>,
  sometimes: Readonly<Record<string, Schema>> = {},
): Schema {
  return { type: "object", properties: { ...always, ...sometimes }, required: Object.keys(always) };
}

/** Integers from `min` to 2^63−1, or the decimal digits of one as a string. */
function integerOrDigits(min: 0 | 1, description: string): Schema {
  const digits = digitsUpTo(MAX_MONEY);
  return {
    description,
    anyOf: [
      { type: "integer", format: "int64", minimum: min, maximum: MAX_MONEY },
      { type: "string", pattern: `^(?:${min === 0 ? `0|${digits}` : digits})$` },
    ],
  };
}

/** A pattern of the decimal digits of 1 … `max`. */
function digitsUpTo(max: Money): string {
  const text = String(max);
  const lower = [...text].flatMap((digit, at) => {
    const least = at === 0 ? 1 : 0;
    if (Number(digit) <= least) return [];
    return [`${text.slice(0, at)}[${least}-${Number(digit) - 1}][0-9]{${text.length - at - 1}}`];
  });
  return [`[1-9][0-9]{0,${text.length - 2}}`, ...lower, text].join("|");
}

function listOf(items: Schema, more: Schema = {}): Schema {
  return { type: "array", items, ...more };
}

const COUNT: Schema = { type: "integer", minimum: 0 };
const MONEY: Schema = { type: "integer", format: "int64", minimum: MIN_MONEY, maximum: MAX_MONEY };

const SHA_256: Schema = { type: "string", pattern: "^[0-9a-f]{64}$" };

const BALANCE_FIELDS = {
  account_id: ref("AnyAccount"),
  currency: ref("Currency"),
  balance: ref("Balance"),
  available: ref("Balance"),
  frozen: ref("Balance"),
};

export const SCHEMAS: Readonly<Record<string, Schema>> = {
  Account: { type: "string", pattern: ACCOUNT.source },
  AnyAccount: {
    description: "An account, or the ledger's own: where deposits come from and withdrawals go.",
    type: "string",
    pattern: `^(?:${WORLD}|${ACCOUNT.source.slice(1, -1)})$`,
  },
  Amount: integerOrDigits(1, "In minor units (cents)."),
  InitialBalance: integerOrDigits(0, "In minor units (cents)."),
  Balance: { ...MONEY, description: "In minor units (cents)." },
  Currency: { type: "string", pattern: CURRENCY.source },
  Seq: {
    description: "A line of the log.",
    type: "integer",
    format: "int64",
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
  },
  UuidOfCaller: {
    description: "A UUID of any version. The same one with the same content is decided once.",
    type: "string",
    pattern: UUID.source,
  },
  TransactionId: {
    description: "A UUID, in lower case.",
    type: "string",
    pattern: UUID.source.replaceAll("A-F", ""),
  },
  TransferRequest: request(["from_account", "to_account", "amount"], {
    transaction_id: ref("UuidOfCaller"),
    from_account: ref("Account"),
    to_account: { ...ref("Account"), description: "Another one than `from_account`." },
    amount: ref("Amount"),
    currency: ref("Currency"),
  }),
  BatchRequest: request(["transfers"], {
    transfers: listOf(ref("TransferRequest"), { minItems: 1, maxItems: MAX_BATCH_TRANSFERS }),
    atomic: { type: "boolean", const: false },
  }),
  AccountRequest: request(["account_id"], {
    transaction_id: ref("UuidOfCaller"),
    account_id: ref("Account"),
    currency: ref("Currency"),
    initial_balance: ref("InitialBalance"),
  }),
  MoveRequest: request(["account_id", "amount"], {
    transaction_id: ref("UuidOfCaller"),
    account_id: ref("Account"),
    amount: ref("Amount"),
    currency: ref("Currency"),
  }),
  TransferAnswer: answer(
    {
      transaction_id: ref("TransactionId"),
      status: { type: "string", const: "committed" },
      seq: ref("Seq"),
      from_balance: ref("Balance"),
    },
    {
      to_balance: {
        ...ref("Balance"),
        description: "Unless the key is bound to accounts of which the receiver is none.",
      },
    },
  ),
  BatchAnswer: answer(
    {
      committed: COUNT,
      replayed: { ...COUNT, description: "Ids that had committed before." },
      failed: COUNT,
      failures: listOf(
        answer({
          index: COUNT,
          transaction_id: ref("TransactionId"),
          code: { type: "string", enum: [...REJECTIONS, "transaction_id_conflict", "account_exists"] },
        }),
      ),
      seq: ref("Seq"),
    },
    {
      transaction_ids: {
        ...listOf(ref("TransactionId")),
        description: "All, in their order, where any was made by the server.",
      },
    },
  ),
  AccountAnswer: answer({
    transaction_id: ref("TransactionId"),
    ...BALANCE_FIELDS,
    seq: ref("Seq"),
  }),
  BalanceAnswer: answer({ ...BALANCE_FIELDS, seq: ref("Seq") }),
  SealAnswer: answer({
    seal: { description: "Its number.", type: "integer", minimum: 1 },
    ledger_id: ref("TransactionId"),
    seq: ref("Seq"),
    command: {
      description: "The last command that it covers.",
      type: "string",
      pattern: "^[0-9]+\\.[0-9]+$",
    },
    at: { description: "That command's time, in ms since 1970.", type: "integer", minimum: 0 },
    bytes: { description: "The log's bytes up to that command's end.", type: "integer", minimum: 1 },
    commands: { description: "Those behind the seal before.", type: "integer", minimum: 1 },
    log: { ...SHA_256, description: "Of the bytes of these commands." },
    hash: { ...SHA_256, description: "Of the seal before, and of all that this one says." },
  }),
  LedgerAnswer: answer({
    ledger_id: ref("TransactionId"),
    seq: ref("Seq"),
    accounts: COUNT,
    transactions: COUNT,
    totals: listOf(
      answer({
        currency: ref("Currency"),
        sum: { type: "integer", const: 0 },
        in_circulation: { ...MONEY, minimum: 0 },
      }),
    ),
  }),
  Problem: answer(
    {
      type: { type: "string", pattern: "^urn:coffer:problem:[a-z_]+$" },
      title: { type: "string" },
      status: { type: "integer", minimum: 400, maximum: 599 },
      detail: { type: "string" },
      code: { type: "string", enum: [...new Set([...PROBLEM_CODES, ...REJECTIONS])] },
    },
    {
      transaction_id: ref("TransactionId"),
      transaction_ids: listOf(ref("TransactionId")),
      path: { type: "string", description: "A JSON pointer (RFC 6901) to what is wrong." },
      seq: ref("Seq"),
      available: {
        ...ref("Balance"),
        description:
          "With `insufficient_funds`: what the payer has available now, which may differ from when it was rejected.",
      },
    },
  ),
};
