/**
 * Requests as JSON, to commands: the one place that says what a caller may send. HTTP, the NATS service
 * and foreign messages on the queue's subject all come through here.
 */

import { type Money, parseAmount, parseBalance, ZERO } from "../domain/amount.ts";
import type { OpenAccount, Transfer } from "../domain/commands/commands.ts";
import {
  type AccountId,
  type Currency,
  parseAccount,
  parseCurrency,
  parseTransactionId,
  type TransactionId,
  WORLD,
} from "../domain/names.ts";
import { MAX_FRAME_COMMANDS } from "./frame.ts";
import {
  InvalidInput,
  JsonNumber,
  type JsonObject,
  type JsonValue,
  parseJson,
  pointer,
} from "./strict-json.ts";

/** The most transfers in one batch. */
export const MAX_BATCH_TRANSFERS = MAX_FRAME_COMMANDS;

/** What a request is completed with where it leaves a field out. */
export interface RequestDefaults {
  readonly currency: Currency;
  /** Makes a transaction id; undefined where the caller must bring one. */
  readonly newId: (() => TransactionId) | undefined;
}

export interface BatchRequest {
  readonly transfers: readonly Transfer[];
  /** Whether any id was made here. */
  readonly madeIds: boolean;
}

const MISSING = "is missing";

const TRANSFER_FIELDS = ["transaction_id", "from_account", "to_account", "amount", "currency"];
const MOVE_FIELDS = ["transaction_id", "account_id", "amount", "currency"];
const ACCOUNT_FIELDS = ["transaction_id", "account_id", "currency", "initial_balance"];
const BATCH_FIELDS = ["transfers", "atomic"];

/** One transfer. Throws InvalidInput. */
export function parseTransfer(bytes: Uint8Array, defaults: RequestDefaults): Transfer {
  return readTransfer(parseJson(bytes), "", defaults);
}

/** A deposit or a withdrawal. Throws InvalidInput. */
export function parseMove(
  kind: "deposit" | "withdraw",
  bytes: Uint8Array,
  defaults: RequestDefaults,
): Transfer {
  const body = objectOf(parseJson(bytes), "", MOVE_FIELDS);
  const account = readAccount(body, "", "account_id");
  const [from_account, to_account] = kind === "deposit" ? [WORLD, account] : [account, WORLD];
  const amount = readAmount(body, "");
  return {
    kind,
    transaction_id: readId(body, "", defaults),
    from_account,
    to_account,
    amount,
    currency: readCurrency(body, "", defaults),
  };
}

/** The opening of an account. Throws InvalidInput. */
export function parseOpening(bytes: Uint8Array, defaults: RequestDefaults): OpenAccount {
  const body = objectOf(parseJson(bytes), "", ACCOUNT_FIELDS);
  const given = body.get("initial_balance");
  const initial_balance = given === undefined ? ZERO : parseBalance(digitsOf(given));
  if (initial_balance === undefined)
    throw new InvalidInput("must be an integer from 0 to 2^63-1", "/initial_balance");
  return {
    kind: "open_account",
    account: readAccount(body, "", "account_id"),
    transaction_id: readId(body, "", defaults),
    currency: readCurrency(body, "", defaults),
    initial_balance,
  };
}

/** A batch `{transfers: […]}`. Throws InvalidInput. */
export function parseBatch(bytes: Uint8Array, defaults: RequestDefaults): BatchRequest {
  const body = objectOf(parseJson(bytes), "", BATCH_FIELDS);
  const atomic = body.get("atomic");
  if (atomic !== undefined && atomic !== false) {
    throw new InvalidInput(
      atomic === true ? "atomic batches are not supported" : "must be a boolean",
      "/atomic",
    );
  }
  return readBatch(required(body, "", "transfers"), "/transfers", defaults);
}

/** One transfer or an array of them, as NATS clients send them. Throws InvalidInput. */
export function parseTransferOrArray(bytes: Uint8Array, defaults: RequestDefaults): Transfer | BatchRequest {
  const value = parseJson(bytes);
  return Array.isArray(value) ? readBatch(value, "", defaults) : readTransfer(value, "", defaults);
}

function readBatch(value: JsonValue, path: string, defaults: RequestDefaults): BatchRequest {
  if (!Array.isArray(value)) throw new InvalidInput("must be an array of transfers", path);
  if (value.length < 1 || value.length > MAX_BATCH_TRANSFERS) {
    throw new InvalidInput(`must hold 1 to ${MAX_BATCH_TRANSFERS} transfers`, path);
  }
  let madeIds = false;
  const { newId } = defaults;
  const noticing: RequestDefaults = {
    currency: defaults.currency,
    newId:
      newId &&
      (() => {
        madeIds = true;
        return newId();
      }),
  };
  const transfers = value.map((item, index) => readTransfer(item, pointer(path, index), noticing));
  return { transfers, madeIds };
}

function readTransfer(value: JsonValue, path: string, defaults: RequestDefaults): Transfer {
  const body = objectOf(value, path, TRANSFER_FIELDS);
  const from_account = readAccount(body, path, "from_account");
  const to_account = readAccount(body, path, "to_account");
  if (from_account === to_account)
    throw new InvalidInput("must not be the account that pays", pointer(path, "to_account"));
  const amount = readAmount(body, path);
  const transaction_id = readId(body, path, defaults);
  return {
    kind: "transfer",
    transaction_id,
    from_account,
    to_account,
    amount,
    currency: readCurrency(body, path, defaults),
  };
}

function objectOf(value: JsonValue, path: string, fields: readonly string[]): JsonObject {
  if (!(value instanceof Map)) throw new InvalidInput("must be an object", path);
  for (const key of value.keys()) {
    if (!fields.includes(key))
      throw new InvalidInput(`is not a field here: there are ${fields.join(", ")}`, pointer(path, key));
  }
  return value;
}

/** A field that must be there. */
function required(body: JsonObject, path: string, field: string): JsonValue {
  const value = body.get(field);
  if (value === undefined) throw new InvalidInput(MISSING, pointer(path, field));
  return value;
}

function readAccount(body: JsonObject, path: string, field: string): AccountId {
  const value = required(body, path, field);
  const account = typeof value === "string" ? parseAccount(value) : undefined;
  if (account) return account;
  throw new InvalidInput(
    typeof value === "string" && value.startsWith("@")
      ? "names that begin with @ are the ledger's own"
      : "must be an account: 1 to 64 of A-Z a-z 0-9 . _ : @ + -, beginning with a letter or digit",
    pointer(path, field),
  );
}

function readAmount(body: JsonObject, path: string): Money {
  const amount = parseAmount(digitsOf(required(body, path, "amount")));
  if (amount === undefined)
    throw new InvalidInput("must be an integer from 1 to 2^63-1", pointer(path, "amount"));
  return amount;
}

/** The text of a number or of a string of digits; empty for all else. */
function digitsOf(value: JsonValue): string {
  if (value instanceof JsonNumber) return value.text;
  return typeof value === "string" ? value : "";
}

function readId(body: JsonObject, path: string, { newId }: RequestDefaults): TransactionId {
  const value = body.get("transaction_id");
  if (value === undefined) {
    if (newId) return newId();
    throw new InvalidInput(MISSING, pointer(path, "transaction_id"));
  }
  const id = typeof value === "string" ? parseTransactionId(value) : undefined;
  if (!id) throw new InvalidInput("must be a UUID", pointer(path, "transaction_id"));
  return id;
}

function readCurrency(body: JsonObject, path: string, defaults: RequestDefaults): Currency {
  const value = body.get("currency");
  if (value === undefined) return defaults.currency;
  const currency = typeof value === "string" ? parseCurrency(value) : undefined;
  if (!currency)
    throw new InvalidInput(
      "must be a currency: 3 to 12 of A-Z 0-9, beginning with a letter",
      pointer(path, "currency"),
    );
  return currency;
}
