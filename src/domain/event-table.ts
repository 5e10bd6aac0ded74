/**
 * Every type of event, as events.log has it (format 1): its fields in the order of the line, after `seq` and
 * `type`, and its postings, the changes of balances that it stands for.
 *
 * The one place where an event's grammar and effect are written: encoder, readers, balances, PostgreSQL and the
 * check of the documents take them from here.
 */

import { type Money, subtract, ZERO } from "./amount.ts";
import {
  AMOUNT,
  AMOUNT_OR_ZERO,
  ANY_ACCOUNT,
  ANY_CURRENCY,
  COUNT,
  CURRENCY_IN_LEDGER,
  type FieldType,
  type FieldTypes,
  FLAG,
  ID,
  oneOf,
  type ValuesOf,
} from "./fields.ts";
import { TRANSACTION_KINDS } from "./kinds.ts";
import { type AccountId, type Currency, WORLD } from "./names.ts";
import { REJECTIONS } from "./rejections.ts";

/** A change of a balance, in minor units. */
export interface Posting {
  readonly account: AccountId;
  readonly currency: Currency;
  readonly available: Money;
  readonly frozen: Money;
}

export interface EventRow<F extends FieldTypes> {
  readonly fields: F;
  postings(event: ValuesOf<F>): readonly Posting[];
}

const NO_POSTINGS: readonly Posting[] = [];

const MOVED = { transaction_id: ID, account: ANY_ACCOUNT, amount: AMOUNT, currency: CURRENCY_IN_LEDGER };

export const EVENTS = {
  /** The first event of every ledger. */
  LedgerOpened: event(
    { format: COUNT, ledger_id: ID, currency: ANY_CURRENCY, strict: FLAG },
    () => NO_POSTINGS,
  ),
  AccountOpened: event(
    {
      transaction_id: ID,
      account: ANY_ACCOUNT,
      currency: CURRENCY_IN_LEDGER,
      initial_balance: AMOUNT_OR_ZERO,
    },
    ({ account, currency, initial_balance }) => [
      { account, currency, available: initial_balance, frozen: ZERO },
      { account: WORLD, currency, available: subtract(ZERO, initial_balance), frozen: ZERO },
    ],
  ),
  MoneyDeducted: event(MOVED, ({ account, currency, amount }) => [
    { account, currency, available: subtract(ZERO, amount), frozen: ZERO },
  ]),
  MoneyCredited: event(MOVED, ({ account, currency, amount }) => [
    { account, currency, available: amount, frozen: ZERO },
  ]),
  /** A rejected command with its whole content, so that a repeat can be judged after a restart. */
  TransactionFailed: event(
    {
      transaction_id: ID,
      from_account: ANY_ACCOUNT,
      reason: oneOf(REJECTIONS),
      kind: oneOf(TRANSACTION_KINDS),
      to_account: ANY_ACCOUNT,
      amount: AMOUNT,
      currency: CURRENCY_IN_LEDGER,
    },
    () => NO_POSTINGS,
  ),
};

export type EventType = keyof typeof EVENTS;

/** The event of a type; its fields have the names of the log. */
export type EventOf<T extends EventType> = { readonly type: T } & ValuesOf<(typeof EVENTS)[T]["fields"]>;

export type WalletEvent = { [T in EventType]: EventOf<T> }[EventType];

export const EVENT_TYPES = Object.keys(EVENTS) as readonly EventType[];

export type Field = readonly [name: string, type: FieldType<unknown>];

/** The fields of each type of event, in their order. */
export const EVENT_FIELDS = Object.fromEntries(
  EVENT_TYPES.map((type) => [type, Object.entries<FieldType<unknown>>(EVENTS[type].fields)]),
) as unknown as Readonly<Record<EventType, readonly Field[]>>;

/** The changes of balances that an event stands for, in order. */
export function postingsOf(event: WalletEvent): readonly Posting[] {
  const row: { postings(event: never): readonly Posting[] } = EVENTS[event.type];
  return row.postings(event as never);
}

function event<F extends FieldTypes>(fields: F, postings: EventRow<F>["postings"]): EventRow<F> {
  return { fields, postings };
}
