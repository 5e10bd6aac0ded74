/**
 * Transfers, deposits and withdrawals: money moves from one account to another. A deposit's payer and a withdrawal's
 * receiver are `@world`; a transfer has neither.
 */

import { add, MAX_MONEY, MIN_MONEY, subtract, ZERO } from "../amount.ts";
import { total } from "../balances.ts";
import { AMOUNT, CALLERS_ACCOUNT, CURRENCY_IN_LEDGER, ID, type ValuesOf, WORLD_ACCOUNT } from "../fields.ts";
import { availableOf, type LedgerView, totalOf } from "../ledger.ts";
import { type AccountId, WORLD } from "../names.ts";
import type { Rejection } from "../rejections.ts";
import type { CommandModule } from "./command.ts";
import { failed } from "./failed.ts";

const TRANSFER_FIELDS = {
  transaction_id: ID,
  amount: AMOUNT,
  from_account: CALLERS_ACCOUNT,
  to_account: CALLERS_ACCOUNT,
  currency: CURRENCY_IN_LEDGER,
};

export type Transfer = {
  readonly kind: "transfer" | "deposit" | "withdraw";
} & ValuesOf<typeof TRANSFER_FIELDS>;

const ID_FIELD = { transaction_id: { gives: "transaction_id" } };
const AMOUNT_FIELDS = { amount: { gives: "amount" }, currency: { gives: "currency" } };

export const transfer = movement("transfer", TRANSFER_FIELDS, {
  ...ID_FIELD,
  from_account: { gives: "from_account", description: "The account that pays.", example: "alice" },
  to_account: {
    gives: "to_account",
    description: "The account that receives: another one than `from_account`.",
    example: "bob",
  },
  ...AMOUNT_FIELDS,
});
export const deposit = movement(
  "deposit",
  { ...TRANSFER_FIELDS, from_account: WORLD_ACCOUNT },
  { ...ID_FIELD, account_id: { gives: "to_account" }, ...AMOUNT_FIELDS },
);
export const withdraw = movement(
  "withdraw",
  { ...TRANSFER_FIELDS, to_account: WORLD_ACCOUNT },
  { ...ID_FIELD, account_id: { gives: "from_account" }, ...AMOUNT_FIELDS },
);

function movement(
  kind: Transfer["kind"],
  fields: typeof TRANSFER_FIELDS,
  request: CommandModule<Transfer>["request"],
): CommandModule<Transfer> {
  return {
    kind,
    fields,
    request,

    flaw: ({ from_account, to_account }) =>
      from_account === to_account
        ? { field: "to_account", message: "must not be the account that pays" }
        : undefined,

    execute(view, command) {
      const { transaction_id, from_account, to_account, amount, currency } = command;
      const reason = rejectionOf(view, command);
      if (reason) return [failed(reason, kind, transaction_id, command)];
      return [
        { type: "MoneyDeducted", transaction_id, account: from_account, amount, currency },
        { type: "MoneyCredited", transaction_id, account: to_account, amount, currency },
      ];
    },

    writtenBy([debit, credit, more]) {
      if (debit?.type !== "MoneyDeducted" || credit?.type !== "MoneyCredited" || more) return undefined;
      const { transaction_id, account: from_account, amount, currency } = debit;
      const { account: to_account } = credit;
      const isPair =
        credit.transaction_id === transaction_id &&
        credit.amount === amount &&
        credit.currency === currency &&
        from_account !== to_account &&
        kindOf(from_account, to_account) === kind;
      return isPair ? { kind, transaction_id, from_account, to_account, amount, currency } : undefined;
    },

    content: ({ from_account, to_account, amount, currency }) => ({
      from_account,
      to_account,
      amount,
      currency,
    }),

    withContent: (transaction_id, { from_account, to_account, amount, currency }) => ({
      kind,
      transaction_id,
      from_account,
      to_account,
      amount,
      currency,
    }),

    debits: ({ from_account }) => [{ account: from_account, field: "from_account" }],

    outcome: (view, { from_account, to_account, currency }, seq, replayed) => ({
      status: "committed",
      seq,
      replayed,
      from_balance: totalOf(view.balance(from_account, currency)),
      to_balance: totalOf(view.balance(to_account, currency)),
    }),
  };
}

function rejectionOf(view: LedgerView, command: Transfer): Rejection | undefined {
  const { from_account, to_account, amount, currency } = command;
  const from = view.balance(from_account, currency);
  const to = view.balance(to_account, currency);
  const isUnknown = (balance: unknown, account: AccountId) => balance === undefined && account !== WORLD;
  if (view.opened?.strict && (isUnknown(from, from_account) || isUnknown(to, to_account)))
    return "account_not_found";
  if (from_account === WORLD) {
    if (subtract(availableOf(from), amount) < MIN_MONEY) return "balance_overflow";
  } else if (availableOf(from) < amount) return "insufficient_funds";
  return add(to ? total(to) : ZERO, amount) > MAX_MONEY ? "balance_overflow" : undefined;
}

/** The kind that the accounts of a committed movement stand for. */
function kindOf(from: AccountId, to: AccountId): Transfer["kind"] {
  if (from === WORLD) return "deposit";
  return to === WORLD ? "withdraw" : "transfer";
}
