/** Balance changes of other systems, as JSON: the one place that says what a publisher may send. */

import { parseAccount, parseCurrency } from "../domain/names.ts";
import { InvalidInput, JsonNumber, type JsonValue, parseJson } from "../wire/strict-json.ts";

export interface ForeignChange {
  readonly eventId: string;
  readonly account: string;
  readonly currency: string;
  readonly availableDelta: bigint;
  readonly frozenDelta: bigint;
}

const MAX_EVENT_ID_LENGTH = 128;
const INTEGER = /^(?:0|-?[1-9][0-9]{0,18})$/;
const MAX_DELTA = 2n ** 63n - 1n;

/**
 * `{event_id, account_id, currency_code, available_delta, frozen_delta}`; the deltas are integers in minor
 * units, within ±(2^63−1), also as decimal strings. Further fields are passed over. Throws InvalidInput.
 */
export function parseBalanceChange(bytes: Uint8Array): ForeignChange {
  const body = parseJson(bytes);
  if (!(body instanceof Map)) throw new InvalidInput("must be an object", "");
  const text = <T>(field: string, must: string, parse: (value: string) => T | undefined): T => {
    const given = body.get(field);
    const value = typeof given === "string" ? parse(given) : undefined;
    if (value === undefined) throw new InvalidInput(must, `/${field}`);
    return value;
  };
  return {
    eventId: text("event_id", `must be 1 to ${MAX_EVENT_ID_LENGTH} characters`, eventId),
    account: text("account_id", "must be an account's name", parseAccount),
    currency: text("currency_code", "must be a currency", parseCurrency),
    availableDelta: deltaOf(body.get("available_delta"), "/available_delta"),
    frozenDelta: deltaOf(body.get("frozen_delta"), "/frozen_delta"),
  };
}

/** Well-formed, for it is stored as UTF-8, and without NUL, which PostgreSQL does not store. */
function eventId(text: string): string | undefined {
  const fits = text.length > 0 && text.length <= MAX_EVENT_ID_LENGTH;
  return fits && text.isWellFormed() && !text.includes("\0") ? text : undefined;
}

function deltaOf(value: JsonValue | undefined, path: string): bigint {
  const digits = value instanceof JsonNumber ? value.text : value;
  if (typeof digits === "string" && INTEGER.test(digits)) {
    const delta = BigInt(digits);
    if (delta >= -MAX_DELTA && delta <= MAX_DELTA) return delta;
  }
  throw new InvalidInput("must be an integer within ±(2^63-1)", path);
}
