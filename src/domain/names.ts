/** The names that a ledger knows: accounts, currencies, transactions. Each type is made only by its parser. */

declare const brand: unique symbol;

export type AccountId = string & { readonly [brand]: "AccountId" };
export type Currency = string & { readonly [brand]: "Currency" };
/** A UUID of any version, 36 characters, lower case. */
export type TransactionId = string & { readonly [brand]: "TransactionId" };

/** Where deposits come from and withdrawals go. It alone may be negative. */
export const WORLD = "@world" as AccountId;

/** Longest account name in characters (all of them ASCII, so bytes as well). */
export const MAX_ACCOUNT_LENGTH = 64;
export const MAX_CURRENCY_LENGTH = 12;

/** An ordinary account. */
export const ACCOUNT = /^[A-Za-z0-9][A-Za-z0-9._:@+-]{0,63}$/;
export const CURRENCY = /^[A-Z][A-Z0-9]{2,11}$/;
export const UUID = /^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$/;

/** An ordinary account's name; undefined for anything else, the ledger's own `@…` names included. */
export function parseAccount(text: string): AccountId | undefined {
  return ACCOUNT.test(text) ? (text as AccountId) : undefined;
}

export function parseCurrency(text: string): Currency | undefined {
  return CURRENCY.test(text) ? (text as Currency) : undefined;
}

export function parseTransactionId(text: string): TransactionId | undefined {
  return UUID.test(text) ? (text.toLowerCase() as TransactionId) : undefined;
}
