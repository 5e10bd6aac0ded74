/**
 * Reads a line of events.log without JSON.parse, where it is spelled as encoder.ts spells it.
 *
 * A pattern for each type of event tells every field and its limits: what fits is what line.ts would read, and
 * to the same event. Whatever does not fit is left to line.ts, which says what is wrong with it, if anything.
 */

import type { Money } from "../domain/amount.ts";
import { TRANSACTION_KINDS } from "../domain/commands.ts";
import type { WalletEvent } from "../domain/events.ts";
import type { AccountId, Currency, TransactionId } from "../domain/names.ts";
import { REJECTIONS } from "../domain/rejections.ts";
import type { Line } from "./line.ts";

const UUID = "([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})";
const ACCOUNT = "([A-Za-z0-9][A-Za-z0-9._:@+-]{0,63}|@world)";
/** Of so many digits each is a safe integer. */
const INTEGER = "(0|[1-9][0-9]{0,14})";
const POSITIVE = "([1-9][0-9]{0,14})";
const CURRENCY = '(?:,"currency":"([A-Z][A-Z0-9]{2,11})")?';
const END = `(?:,"at":${INTEGER},"command":"${POSITIVE}\\.(0|[1-9][0-9]{0,9})","crc":"[0-9a-f]{8}")?`;

/** A pattern for a line of one of these types, whose other fields are `fields`. */
function line(types: string, fields: string): RegExp {
  return new RegExp(`^\\{"seq":${POSITIVE},"type":"${types}","transaction_id":"${UUID}",${fields}${END}\\}$`);
}

const MOVED = line("(MoneyDeducted|MoneyCredited)", `"account":"${ACCOUNT}","amount":${POSITIVE}${CURRENCY}`);
const OPENED = line("AccountOpened", `"account":"${ACCOUNT}"${CURRENCY},"initial_balance":${INTEGER}`);
const FAILED = line(
  "TransactionFailed",
  `"from_account":"${ACCOUNT}","reason":"(${REJECTIONS.join("|")})","kind":"(${TRANSACTION_KINDS.join("|")})",` +
    `"to_account":"${ACCOUNT}","amount":${POSITIVE}${CURRENCY}`,
);

const TYPE = '"type":"';

/**
 * `text` without its line end; `defaultCurrency` is the ledger's. Undefined for a line that is not plain, and
 * for every one of a ledger that is not open.
 */
export function readPlainLine(text: string, defaultCurrency: Currency | undefined): Line | undefined {
  if (defaultCurrency === undefined) return undefined;
  // The type's first letter tells which pattern may fit.
  switch (text.charCodeAt(text.indexOf(TYPE) + TYPE.length)) {
    case 77:
      return readMoved(text, defaultCurrency);
    case 65:
      return readOpened(text, defaultCurrency);
    case 84:
      return readFailed(text, defaultCurrency);
    default:
      return undefined;
  }
}

function readMoved(text: string, defaultCurrency: Currency): Line | undefined {
  const fields = MOVED.exec(text);
  if (!fields) return undefined;
  const [, seq, type, id, account, amount, currency, at, sequence, index] = fields;
  return lineOf(seq, at, sequence, index, {
    type: type as "MoneyDeducted" | "MoneyCredited",
    transaction_id: id as TransactionId,
    account: named(account),
    amount: Number(amount) as Money,
    currency: (currency as Currency | undefined) ?? defaultCurrency,
  });
}

function readOpened(text: string, defaultCurrency: Currency): Line | undefined {
  const fields = OPENED.exec(text);
  if (!fields) return undefined;
  const [, seq, id, account, currency, initial, at, sequence, index] = fields;
  return lineOf(seq, at, sequence, index, {
    type: "AccountOpened",
    transaction_id: id as TransactionId,
    account: named(account),
    currency: (currency as Currency | undefined) ?? defaultCurrency,
    initial_balance: Number(initial) as Money,
  });
}

function readFailed(text: string, defaultCurrency: Currency): Line | undefined {
  const fields = FAILED.exec(text);
  if (!fields) return undefined;
  const [, seq, id, from, reason, kind, to, amount, currency, at, sequence, index] = fields;
  return lineOf(seq, at, sequence, index, {
    type: "TransactionFailed",
    transaction_id: id as TransactionId,
    from_account: named(from),
    reason: reason as (typeof REJECTIONS)[number],
    kind: kind as (typeof TRANSACTION_KINDS)[number],
    to_account: named(to),
    amount: Number(amount) as Money,
    currency: (currency as Currency | undefined) ?? defaultCurrency,
  });
}

/** An account's name on its own: as a part of the line it would keep the whole of it in memory. */
function named(account: string | undefined): AccountId {
  return Buffer.from(account ?? "", "latin1").toString("latin1") as AccountId;
}

function lineOf(
  seq: string | undefined,
  at: string | undefined,
  sequence: string | undefined,
  index: string | undefined,
  event: WalletEvent,
): Line {
  const end =
    at === undefined ? undefined : { at: Number(at), sequence: Number(sequence), index: Number(index) };
  return { seq: Number(seq), event, end };
}
