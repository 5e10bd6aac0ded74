/**
 * Transfers, deposits and withdrawals: money moves from one account to another. A deposit's payer and a withdrawal's
 * receiver are `@world`; a transfer has neither.
 */

import { MIN_MONEY, subtract } from "../amount.ts";
import { AMOUNT, CALLERS_ACCOUNT, CURRENCY_IN_LEDGER, ID, type ValuesOf, WORLD_ACCOUNT } from "../fields.ts";
import { availableOf, type LedgerView, totalOf } from "../ledger.ts";
import { type AccountId, WORLD } from "../names.ts";
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

/**
 * Whether a movement is rejected, by the reason. A receiver cannot overflow: accounts hold as much as @world lacks,
 * which has the same limit.
 */
const CHECKS = {
  account_not_found: (view: LedgerView, { from_account, to_account, currency }: Transfer) =>
    view.opened?.strict === true &&
    [from_account, to_account].some((account) => account !== WORLD && !view.balance(account, currency)),
  insufficient_funds: (view: LedgerView, { from_account, amount, currency }: Transfer) =>
    availableOf(view.balance(from_account, currency)) < amount,
  balance_overflow: (view: LedgerView, { from_account, amount, currency }: Transfer) =>
    subtract(availableOf(view.balance(from_account, currency)), amount) < MIN_MONEY,
};
type Reason = keyof typeof CHECKS;

const ID_FIELD = { transaction_id: { gives: "transaction_id" } };
const AMOUNT_FIELDS = { amount: { gives: "amount" }, currency: { gives: "currency" } };

export const transfer = movement(
  "transfer",
  TRANSFER_FIELDS,
  {
    ...ID_FIELD,
    from_account: { gives: "from_account", description: "The account to debit.", example: "alice" },
    to_account: {
      gives: "to_account",
      description: "The account to credit, which must differ from `from_account`.",
      example: "bob",
    },
    ...AMOUNT_FIELDS,
  },
  ["account_not_found", "insufficient_funds"],
);
export const deposit = movement(
  "deposit",
  { ...TRANSFER_FIELDS, from_account: WORLD_ACCOUNT },
  { ...ID_FIELD, account_id: { gives: "to_account" }, ...AMOUNT_FIELDS },
  ["account_not_found", "balance_overflow"],
);
export const withdraw = movement(
  "withdraw",
  { ...TRANSFER_FIELDS, to_account: WORLD_ACCOUNT },
  { ...ID_FIELD, account_id: { gives: "from_account" }, ...AMOUNT_FIELDS },
  ["account_not_found", "insufficient_funds"],
);

function movement(
  kind: Transfer["kind"],
  fields: typeof TRANSFER_FIELDS,
  request: CommandModule<Transfer>["request"],
  rejections: readonly Reason[],
): CommandModule<Transfer, Reason> {
  return {
    kind,
    fields,
    request,
    rejections,

    flaw: ({ from_account, to_account }) =>
      from_account === to_account
        ? { field: "to_account", message: "must differ from from_account" }
        : undefined,

    execute(view, command) {
      const { transaction_id, from_account, to_account, amount, currency } = command;
      const reason = rejections.find((each) => CHECKS[each](view, command));
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

/** The kind that the accounts of a committed movement stand for. */
function kindOf(from: AccountId, to: AccountId): Transfer["kind"] {
  if (from === WORLD) return "deposit";
  return to === WORLD ? "withdraw" : "transfer";
}
