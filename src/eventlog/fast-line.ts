/**
 * Reads a line of events.log without JSON.parse, if it is spelled as encoder.ts spells it.
 *
 * A pattern for each type of event, made of the table of events, has every field and its limits: what fits is what
 * line.ts would read, and to the same event. Whatever does not fit is left to line.ts, which says what is wrong with
 * it, if anything.
 */

import {
  EVENT_FIELDS,
  EVENT_TYPES,
  type EventType,
  type Field,
  type WalletEvent,
} from "../domain/event-table.ts";
import type { Currency } from "../domain/names.ts";
import type { Line } from "./line.ts";

/** Of so many digits each is a safe integer. */
const INTEGER = "(0|[1-9][0-9]{0,14})";
const POSITIVE = "([1-9][0-9]{0,14})";
const END = `(?:,"at":${INTEGER},"command":"${POSITIVE}\\.(0|[1-9][0-9]{0,9})","crc":"[0-9a-f]{8}")?`;

interface FastType {
  readonly type: EventType;
  /** Groups: seq, the fields, at, sequence, index. */
  readonly pattern: RegExp;
  readonly fields: readonly Field[];
}

const TYPE = '"type":"';

/** By the name of the type. The opening is left to line.ts, which knows formats. */
const FAST_TYPES = new Map<string, FastType>(
  EVENT_TYPES.filter((type) => type !== "LedgerOpened").map((type) => {
    const fields = EVENT_FIELDS[type];
    const text = fields.map(fieldPattern).join("");
    return [
      type,
      { type, fields, pattern: new RegExp(`^\\{"seq":${POSITIVE},${TYPE}${type}"${text}${END}\\}$`) },
    ];
  }),
);

function fieldPattern([name, { pattern, json, omitsDefault }]: Field): string {
  const value = json === "string" ? `"(${pattern})"` : `(${pattern})`;
  return omitsDefault ? `(?:,"${name}":${value})?` : `,"${name}":${value}`;
}

/**
 * `text` without its line end; `defaultCurrency` is the ledger's. Undefined for a line that is not plain, and
 * for every one of a ledger that is not open.
 */
export function readFastLine(text: string, defaultCurrency: Currency | undefined): Line | undefined {
  if (defaultCurrency === undefined) return undefined;
  const typeAt = text.indexOf(TYPE) + TYPE.length;
  const plain = FAST_TYPES.get(text.slice(typeAt, text.indexOf('"', typeAt)));
  const groups = plain?.pattern.exec(text);
  if (!plain || !groups) return undefined;
  const { type, fields } = plain;
  const event: Record<string, unknown> = { type };
  let group = 1;
  const seq = Number(groups[group++]);
  for (const [name, field] of fields) {
    const value = groups[group++];
    event[name] = value === undefined ? defaultCurrency : field.exact(field.isKept ? copy(value) : value);
  }
  const [at, sequence, index] = groups.slice(group);
  const end =
    at === undefined ? undefined : { at: Number(at), sequence: Number(sequence), index: Number(index) };
  return { seq, event: event as WalletEvent, end };
}

/** The text on its own: as a part of the line it would keep the whole of it in memory. */
function copy(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}
