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
  available: field(ref("Balance"), "What the account can spend.", 80),
  frozen: field(ref("Balance"), "What is held for later.", 0),
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
  Account: field({ type: "string", pattern: ACCOUNT.source }, "An account's name.", "alice"),
  AnyAccount: field(
    { type: "string", pattern: `^(?:${WORLD}|${ACCOUNT.source.slice(1, -1)})$` },
    "An account, or the ledger's own: where deposits come from and withdrawals go.",
    "alice",
  ),
  Amount: field(
    integerOrDigits(1),
    "In minor units (cents), as an integer or its decimal digits as a string.",
    20,
  ),
  AmountOrZero: field(
    integerOrDigits(0),
    "In minor units (cents), as an integer or its decimal digits as a string.",
    100,
  ),
  Balance: field(MONEY, "In minor units (cents).", 80),
  Currency: field(
    { type: "string", pattern: CURRENCY.source },
    "A currency's code. In requests the ledger's default, if it is left out.",
    "USD",
  ),
  Seq: field(
    { type: "integer", format: "int64", minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
    "A line of the log.",
    4,
  ),
  UuidOfCaller: field(
    { type: "string", pattern: UUID.source },
    "A UUID of any version. The same one with the same content is decided once. The server makes one, if it is left out.",
    AN_ID,
  ),
  TransactionId: field(
    { type: "string", pattern: UUID.source.replaceAll("A-F", "") },
    "A UUID, in lower case.",
    AN_ID,
  ),
  ...Object.fromEntries(TRANSACTION_KINDS.map((kind) => [requestName(kind), requestOf(kind)])),
  BatchRequest: request(["transfers"], {
    transfers: field(
      listOf(ref("TransferRequest"), { minItems: 1, maxItems: MAX_BATCH_TRANSFERS }),
      "Decided in this order, each on its own.",
      [{ from_account: "alice", to_account: "bob", amount: 20 }],
    ),
    atomic: field({ type: "boolean", const: false }, "There are no atomic batches yet.", false),
  }),
  TransferAnswer: answer(
    {
      transaction_id: ref("TransactionId"),
      status: field({ type: "string", const: "committed" }, "The money was moved.", "committed"),
      seq: field(ref("Seq"), "The transfer's last line of the log.", 4),
      from_balance: field(ref("Balance"), "The payer's balance after the transfer; of a repeat, now.", 80),
    },
    {
      to_balance: field(
        ref("Balance"),
        "The receiver's. Left out if the key is bound to accounts of which the receiver is none.",
        20,
      ),
    },
  ),
  BatchAnswer: answer(
    {
      committed: field(COUNT, "Transfers that this request committed.", 1),
      replayed: field(COUNT, "Transfers whose ids had committed before.", 0),
      failed: field(COUNT, "Transfers that failed, now or when their ids were first decided.", 1),
      failures: field(
        listOf(
          answer({
            index: field(COUNT, "Its place in the request, from 0.", 1),
            transaction_id: ref("TransactionId"),
            code: field(
              { type: "string", enum: [...moduleOf("transfer").rejections, "transaction_id_conflict"] },
              "Why it failed.",
              "insufficient_funds",
            ),
          }),
        ),
        "Each transfer that failed, in their order.",
        [{ index: 1, transaction_id: AN_ID, code: "insufficient_funds" }],
      ),
      seq: field(ref("Seq"), "A line of the log at or before which all of them are decided.", 5),
    },
    {
      transaction_ids: field(
        listOf(ref("TransactionId")),
        "All, in their order, if the server made any of them.",
        [AN_ID],
      ),
    },
  ),
  AccountAnswer: answer({
    transaction_id: ref("TransactionId"),
    ...BALANCE_FIELDS,
    seq: field(ref("Seq"), "The opening's line of the log.", 2),
  }),
  BalanceAnswer: answer({
    ...BALANCE_FIELDS,
    seq: field(ref("Seq"), "The line of the log that the balance is as of.", 4),
  }),
  SealAnswer: answer({
    seal: field({ type: "integer", format: "int64", minimum: 1 }, "Its number.", 1),
    ledger_id: field(ref("TransactionId"), "The ledger's UUID.", "263e4622-97c0-48a3-9ca8-87c92b649bc0"),
    seq: field(ref("Seq"), "The last line of the log that it covers.", 4),
    command: field(
      { type: "string", pattern: "^[0-9]+\\.[0-9]+$" },
      "The last command that it covers: its message on the queue, and its index in it.",
      "3.0",
    ),
    at: field(
      { type: "integer", format: "int64", minimum: 0 },
      "That command's time, in ms since 1970.",
      1_795_255_601_896,
    ),
    bytes: field(
      { type: "integer", format: "int64", minimum: 1 },
      "The log's bytes up to that command's end.",
      652,
    ),
    commands: field(
      { type: "integer", format: "int64", minimum: 1 },
      "How many commands it covers that the seal before does not.",
      3,
    ),
    log: field(SHA_256, "Of the bytes of these commands.", A_HASH),
    hash: field(SHA_256, "Of the seal before, and of all that this one says.", A_HASH),
  }),
  LedgerAnswer: answer({
    ledger_id: field(ref("TransactionId"), "The ledger's UUID.", "263e4622-97c0-48a3-9ca8-87c92b649bc0"),
    seq: field(ref("Seq"), "The line of the log that all of this is as of.", 4),
    accounts: field(
      COUNT,
      "Pairs of an account and a currency that were opened, without `@world`: an account with two currencies counts twice.",
      2,
    ),
    transactions: field(
      COUNT,
      "Transaction ids that were decided: transfers, deposits, withdrawals and openings, committed or rejected.",
      2,
    ),
    totals: field(
      listOf(
        answer({
          currency: ref("Currency"),
          sum: field({ type: "integer", const: 0 }, "Of all balances, `@world`'s included: always 0.", 0),
          in_circulation: field(
            { ...MONEY, minimum: 0 },
            "What all accounts but `@world` hold, in minor units (cents).",
            100,
          ),
        }),
      ),
      "For each currency.",
      [{ currency: "USD", sum: 0, in_circulation: 100 }],
    ),
  }),
};
