/** Opens an account, maybe with money: it comes from `@world`. */

import { MIN_MONEY, subtract, ZERO } from "../amount.ts";
import type { Balance } from "../balances.ts";
import { AMOUNT_OR_ZERO, CALLERS_ACCOUNT, CURRENCY_IN_LEDGER, ID, type ValuesOf } from "../fields.ts";
import { availableOf } from "../ledger.ts";
import { WORLD } from "../names.ts";
import type { Opened } from "../outcomes.ts";
import type { CommandModule } from "./command.ts";
import { failed } from "./failed.ts";

const FIELDS = {
  transaction_id: ID,
  account: CALLERS_ACCOUNT,
  currency: CURRENCY_IN_LEDGER,
  initial_balance: AMOUNT_OR_ZERO,
};

export type OpenAccount = { readonly kind: "open_account" } & ValuesOf<typeof FIELDS>;

export const openAccount: CommandModule<OpenAccount, "balance_overflow"> = {
  kind: "open_account",
  fields: FIELDS,
  request: {
    transaction_id: { gives: "transaction_id" },
    account_id: { gives: "account" },
    currency: { gives: "currency" },
    initial_balance: {
      gives: "initial_balance",
      ifAbsent: ZERO,
      description: "The initial balance in minor units (cents). Defaults to 0.",
      example: 100,
    },
  },

  rejections: ["balance_overflow"],

  execute(view, command) {
    const { transaction_id, account, currency, initial_balance } = command;
    if (view.balance(account, currency)) return [];
    const world = availableOf(view.balance(WORLD, currency));
    if (subtract(world, initial_balance) < MIN_MONEY)
      return [failed("balance_overflow", "open_account", transaction_id, openAccount.content(command))];
    return [{ type: "AccountOpened", transaction_id, account, currency, initial_balance }];
  },

  writtenBy([first, second]) {
    if (first?.type !== "AccountOpened" || second || first.account === WORLD) return undefined;
    const { transaction_id, account, currency, initial_balance } = first;
    return { kind: "open_account", transaction_id, account, currency, initial_balance };
  },

  content: ({ account, currency, initial_balance }) => ({
    from_account: WORLD,
    to_account: account,
    amount: initial_balance,
    currency,
  }),

  withContent: (transaction_id, { to_account, amount, currency }) => ({
    kind: "open_account",
    transaction_id,
    account: to_account,
    currency,
    initial_balance: amount,
  }),

  debits: ({ account, initial_balance }) =>
    initial_balance === ZERO
      ? [{ account, field: "account" }]
      : [
          { account, field: "account" },
          { account: WORLD, field: "initial_balance" },
        ],

  outcome: (view, { account, currency }, seq, replayed) =>
    opened(view.balance(account, currency), seq, replayed, false),

  unchanged(view, { account, currency, initial_balance }) {
    const open = view.balance(account, currency);
    if (open?.initial === initial_balance) return opened(open, view.seq, false, true);
    return { status: "refused", seq: view.seq, replayed: false, reason: "account_exists" };
  },
};

function opened(
  balance: Readonly<Balance> | undefined,
  seq: number,
  replayed: boolean,
  existed: boolean,
): Opened {
  const { available, frozen } = balance ?? { available: ZERO, frozen: ZERO };
  return { status: "opened", seq, replayed, existed, available, frozen };
}
