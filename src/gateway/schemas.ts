/**
 * What requests and answers hold, as JSON schemas (2020-12): they are published, and validate nothing here. The byte
 * scanner and src/wire/requests.ts do; test/gateway/schemas.test.ts holds them against these.
 *
 * No schema can say that a key stands twice in an object, that 1.0 and 1e3 are refused where 1 and 1000 are meant,
 * and that the payer must not be the receiver.
 */

import { MAX_MONEY, MIN_MONEY, type Money } from "../domain/amount.ts";
import { moduleOf, type RequestField } from "../domain/commands/commands.ts";
import {
  AMOUNT,
  AMOUNT_OR_ZERO,
  CALLERS_ACCOUNT,
  CURRENCY_IN_LEDGER,
  type FieldType,
  ID,
} from "../domain/fields.ts";
import { TRANSACTION_KINDS, type TransactionKind } from "../domain/kinds.ts";
import { ACCOUNT, CURRENCY, UUID, WORLD } from "../domain/names.ts";
import { MAX_BATCH_TRANSFERS } from "../wire/requests.ts";

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
export function answer(
  always: Readonly<Record<string, Schema>>,
  sometimes: Readonly<Record<string, Schema>> = {},
): Schema {
  return { type: "object", properties: { ...always, ...sometimes }, required: Object.keys(always) };
}

/** What a value means, and one that it may have. Every field has both; one that refers to a schema may have its. */
export function field(schema: Schema, description: string, example: unknown): Schema {
  return { ...schema, description, examples: [example] };
}

/** Integers from `min` to 2^63−1, or the decimal digits of one as a string. */
function integerOrDigits(min: 0 | 1): Schema {
  const digits = digitsUpTo(MAX_MONEY);
  return {
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

export function listOf(items: Schema, more: Schema = {}): Schema {
  return { type: "array", items, ...more };
}

const COUNT: Schema = { type: "integer", format: "int64", minimum: 0 };
const MONEY: Schema = { type: "integer", format: "int64", minimum: MIN_MONEY, maximum: MAX_MONEY };
const SHA_256: Schema = { type: "string", pattern: "^[0-9a-f]{64}$" };

const AN_ID = "01a1fd92-8ae7-7500-9f90-15d5f6fc1f29";
const A_HASH = "d3c871e5d5c9aa69950b57103f234163a1ca90e99c24be0f425474dbe458cc6b";

const BALANCE_FIELDS = {
  account_id: ref("AnyAccount"),
  currency: ref("Currency"),
  balance: field(ref("Balance"), "`available` and `frozen` together.", 80),
  available: field(ref("Balance"), "The amount that the account can spend.", 80),
  frozen: field(ref("Balance"), "The amount that is on hold.", 0),
};

/** What a field of a request may be, by its type. */
const BY_TYPE = new Map<FieldType<unknown>, string>([
  [ID, "UuidOfCaller"],
  [CALLERS_ACCOUNT, "Account"],
  [CURRENCY_IN_LEDGER, "Currency"],
  [AMOUNT, "Amount"],
  [AMOUNT_OR_ZERO, "AmountOrZero"],
]);

/** The name of the schema of a request for this kind of command. */
export function requestName(kind: TransactionKind): string {
  return `${pascalCase(kind)}Request`;
}

/** Its request, from the fields of the command's module. */
function requestOf(kind: TransactionKind): Schema {
  const { fields, request: named } = moduleOf(kind);
  const properties = Object.entries(named).map(([name, { gives, description, example }]) => {
    const schema = schemaOfType(fields[gives] as FieldType<unknown>);
    return [name, description === undefined ? schema : field(schema, description, example)] as const;
  });
  const isOptional = ({ gives, ifAbsent }: RequestField) =>
    ifAbsent !== undefined || fields[gives] === ID || fields[gives] === CURRENCY_IN_LEDGER;
  const required = Object.entries(named).filter(([, given]) => !isOptional(given));
  return request(
    required.map(([name]) => name),
    Object.fromEntries(properties),
  );
}

function schemaOfType(type: FieldType<unknown>): Schema {
  const name = BY_TYPE.get(type);
  if (name !== undefined) return ref(name);
  if (type.json === "string") return { type: "string", pattern: `^${type.pattern}$` };
  return type.json === "boolean" ? { type: "boolean" } : COUNT;
}

export function pascalCase(name: string): string {
  return name.replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

export const SCHEMAS: Readonly<Record<string, Schema>> = {
  Account: field({ type: "string", pattern: ACCOUNT.source }, "The name of an account.", "alice"),
  AnyAccount: field(
    { type: "string", pattern: `^(?:${WORLD}|${ACCOUNT.source.slice(1, -1)})$` },
    "The name of an account, or the ledger's own account, which is the source of deposits and the target of withdrawals.",
    "alice",
  ),
  Amount: field(
    integerOrDigits(1),
    "An amount in minor units (cents), as an integer or as a string of its decimal digits.",
    20,
  ),
  AmountOrZero: field(
    integerOrDigits(0),
    "An amount in minor units (cents), as an integer or as a string of its decimal digits.",
    100,
  ),
  Balance: field(MONEY, "An amount in minor units (cents).", 80),
  Currency: field(
    { type: "string", pattern: CURRENCY.source },
    "A currency code. In requests it defaults to the ledger's default currency.",
    "USD",
  ),
  Seq: field(
    { type: "integer", format: "int64", minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
    "The sequence number of an event: its line in the log.",
    4,
  ),
  UuidOfCaller: field(
    { type: "string", pattern: UUID.source },
    "A UUID of any version. Requests with the same id and content are executed once. The server generates one if it is omitted.",
    AN_ID,
  ),
  TransactionId: field(
    { type: "string", pattern: UUID.source.replaceAll("A-F", "") },
    "A UUID in lower case.",
    AN_ID,
  ),
  ...Object.fromEntries(TRANSACTION_KINDS.map((kind) => [requestName(kind), requestOf(kind)])),
  BatchRequest: request(["transfers"], {
    transfers: field(
      listOf(ref("TransferRequest"), { minItems: 1, maxItems: MAX_BATCH_TRANSFERS }),
      "The transfers, executed in this order, each independently.",
      [{ from_account: "alice", to_account: "bob", amount: 20 }],
    ),
    atomic: field({ type: "boolean", const: false }, "Atomic batches are not supported.", false),
  }),
  TransferAnswer: answer(
    {
      transaction_id: ref("TransactionId"),
      status: field({ type: "string", const: "committed" }, "The money was moved.", "committed"),
      seq: field(ref("Seq"), "The sequence number of the last event of the transfer.", 4),
      from_balance: field(
        ref("Balance"),
        "The balance of the payer after the transfer; for a repeated id, the current balance.",
        80,
      ),
    },
    {
      to_balance: field(
        ref("Balance"),
        "The balance of the receiver. Omitted if the key is restricted to accounts that do not include the receiver.",
        20,
      ),
    },
  ),
  BatchAnswer: answer(
    {
      committed: field(COUNT, "The number of transfers that this request committed.", 1),
      replayed: field(COUNT, "The number of transfers whose ids had already been committed.", 0),
      failed: field(
        COUNT,
        "The number of transfers that failed, now or when their ids were first executed.",
        1,
      ),
      failures: field(
        listOf(
          answer({
            index: field(COUNT, "The index of the transfer in the request, from 0.", 1),
            transaction_id: ref("TransactionId"),
            code: field(
              { type: "string", enum: [...moduleOf("transfer").rejections, "transaction_id_conflict"] },
              "The reason of the failure.",
              "insufficient_funds",
            ),
          }),
        ),
        "The transfers that failed, in order.",
        [{ index: 1, transaction_id: AN_ID, code: "insufficient_funds" }],
      ),
      seq: field(ref("Seq"), "A sequence number by which all of the transfers have been executed.", 5),
    },
    {
      transaction_ids: field(
        listOf(ref("TransactionId")),
        "The ids of all transfers, in order, if the server generated any of them.",
        [AN_ID],
      ),
    },
  ),
  AccountAnswer: answer({
    transaction_id: ref("TransactionId"),
    ...BALANCE_FIELDS,
    seq: field(ref("Seq"), "The sequence number of the event that opened the account.", 2),
  }),
  BalanceAnswer: answer({
    ...BALANCE_FIELDS,
    seq: field(ref("Seq"), "The sequence number of the event after which this was the balance.", 4),
  }),
  SealAnswer: answer({
    seal: field({ type: "integer", format: "int64", minimum: 1 }, "The number of the seal.", 1),
    ledger_id: field(ref("TransactionId"), "The UUID of the ledger.", "263e4622-97c0-48a3-9ca8-87c92b649bc0"),
    seq: field(ref("Seq"), "The sequence number of the last event that the seal covers.", 4),
    command: field(
      { type: "string", pattern: "^[0-9]+\\.[0-9]+$" },
      "The last command that the seal covers: the number of its message in the queue, and its index in that message.",
      "3.0",
    ),
    at: field(
      { type: "integer", format: "int64", minimum: 0 },
      "The time of that command, in milliseconds since 1970.",
      1_795_255_601_896,
    ),
    bytes: field(
      { type: "integer", format: "int64", minimum: 1 },
      "The length of the log in bytes up to the end of that command.",
      652,
    ),
    commands: field(
      { type: "integer", format: "int64", minimum: 1 },
      "The number of commands since the previous seal.",
      3,
    ),
    log: field(SHA_256, "The SHA-256 of the bytes of these commands.", A_HASH),
    hash: field(SHA_256, "The SHA-256 of the previous seal and the content of this one.", A_HASH),
  }),
  LedgerAnswer: answer({
    ledger_id: field(ref("TransactionId"), "The UUID of the ledger.", "263e4622-97c0-48a3-9ca8-87c92b649bc0"),
    seq: field(ref("Seq"), "The sequence number of the event after which these were the values.", 4),
    accounts: field(
      COUNT,
      "The number of opened pairs of account and currency, without `@world`: an account with two currencies counts twice.",
      2,
    ),
    transactions: field(
      COUNT,
      "The number of executed transaction ids: transfers, deposits, withdrawals and account openings, committed or rejected.",
      2,
    ),
    totals: field(
      listOf(
        answer({
          currency: ref("Currency"),
          sum: field(
            { type: "integer", const: 0 },
            "The sum of all balances, including `@world`: always 0.",
            0,
          ),
          in_circulation: field(
            { ...MONEY, minimum: 0 },
            "The sum of all balances except `@world`, in minor units (cents).",
            100,
          ),
        }),
      ),
      "The totals of each currency.",
      [{ currency: "USD", sum: 0, in_circulation: 100 }],
    ),
  }),
};
