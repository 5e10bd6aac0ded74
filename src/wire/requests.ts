/**
 * Requests as JSON, to commands: the one place that says what a caller may send. HTTP, the NATS service
 * and foreign messages on the queue's subject all come through here. The fields are those of the commands' modules.
 */

import {
  type CommandModule,
  type CommandOf,
  moduleOf,
  type TransactionCommand,
  type Transfer,
} from "../domain/commands/commands.ts";
import { CALLERS_ACCOUNT, CURRENCY_IN_LEDGER, type FieldType, ID } from "../domain/fields.ts";
import type { TransactionKind } from "../domain/kinds.ts";
import type { Currency, TransactionId } from "../domain/names.ts";
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

/** What a request is completed with if it leaves a field out. */
export interface RequestDefaults {
  readonly currency: Currency;
  /** Makes a transaction id; undefined if the caller must bring one. */
  readonly newId: (() => TransactionId) | undefined;
}

export interface BatchRequest {
  readonly transfers: readonly Transfer[];
  /** Whether any id was made here. */
  readonly madeIds: boolean;
}

const BATCH_FIELDS = ["transfers", "atomic"];

/** A command of this kind. Throws InvalidInput. */
export function parseCommand<K extends TransactionKind>(
  kind: K,
  bytes: Uint8Array,
  defaults: RequestDefaults,
): CommandOf<K> {
  return readCommand(kind, parseJson(bytes), "", defaults);
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
  return Array.isArray(value) ? readBatch(value, "", defaults) : readCommand("transfer", value, "", defaults);
}

/** The name that a command's field has in requests; undefined for a field that no request gives. */
export function requestNameOf(
  { request }: CommandModule<TransactionCommand>,
  field: string,
): string | undefined {
  return Object.entries(request).find(([, { gives }]) => gives === field)?.[0];
}

function readBatch(value: JsonValue, path: string, defaults: RequestDefaults): BatchRequest {
  if (!Array.isArray(value)) throw new InvalidInput("must be an array of transfers", path);
  if (value.length < 1 || value.length > MAX_BATCH_TRANSFERS) {
    throw new InvalidInput(`must contain 1 to ${MAX_BATCH_TRANSFERS} transfers`, path);
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
  const transfers = value.map((item, index) => readCommand("transfer", item, pointer(path, index), noticing));
  return { transfers, madeIds };
}

function readCommand<K extends TransactionKind>(
  kind: K,
  value: JsonValue,
  path: string,
  defaults: RequestDefaults,
): CommandOf<K> {
  const module = moduleOf(kind);
  const { fields, request } = module;
  const body = objectOf(value, path, Object.keys(request));
  const values: Record<string, unknown> = { kind };
  for (const [name, type] of Object.entries(fields)) if (type.only !== undefined) values[name] = type.only;
  for (const [name, { gives, ifAbsent }] of Object.entries(request)) {
    const type = fields[gives];
    if (!type) throw new TypeError(`${kind} has no field ${gives}`);
    const given = body.get(name);
    const of = given === undefined ? (ifAbsent ?? byDefault(type, defaults)) : fieldValue(type, given);
    if (of === undefined)
      throw new InvalidInput(given === undefined ? "is missing" : mustOf(type, given), pointer(path, name));
    values[gives] = of;
  }
  const command = values as unknown as CommandOf<K>;
  const flaw = module.flaw?.(command);
  if (flaw)
    throw new InvalidInput(flaw.message, pointer(path, requestNameOf(module, flaw.field) ?? flaw.field));
  return command;
}

function byDefault(type: FieldType<unknown>, { currency, newId }: RequestDefaults): unknown {
  if (type === CURRENCY_IN_LEDGER) return currency;
  return type === ID ? newId?.() : undefined;
}

/** Numbers may be sent as strings of their digits, too. */
function fieldValue(type: FieldType<unknown>, given: JsonValue): unknown {
  const parse = type.accept ?? type.parse;
  if (type.json === "boolean") return typeof given === "boolean" ? given : undefined;
  if (type.json === "number" && given instanceof JsonNumber) return parse(given.text);
  return typeof given === "string" ? parse(given) : undefined;
}

function mustOf(type: FieldType<unknown>, given: JsonValue): string {
  return type === CALLERS_ACCOUNT && typeof given === "string" && given.startsWith("@")
    ? "must not begin with @, which is reserved for the ledger"
    : type.must;
}

function objectOf(value: JsonValue, path: string, fields: readonly string[]): JsonObject {
  if (!(value instanceof Map)) throw new InvalidInput("must be an object", path);
  for (const key of value.keys()) {
    if (!fields.includes(key))
      throw new InvalidInput(`is not a known field: the fields are ${fields.join(", ")}`, pointer(path, key));
  }
  return value;
}

/** A field that must be there. */
function required(body: JsonObject, path: string, field: string): JsonValue {
  const value = body.get(field);
  if (value === undefined) throw new InvalidInput("is missing", pointer(path, field));
  return value;
}
