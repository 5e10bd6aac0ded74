/**
 * What a call may say, checked before it is sent: a batch that has one bad transfer is refused as a whole,
 * and nobody's call may fail for another's. The server has the same rules.
 */

import { InvalidRequest } from "./errors.ts";

/** Money from one account to another. */
export interface Transfer {
  readonly from: string;
  readonly to: string;
  /** Minor units (cents), 1 … 2^63−1; a number must be a safe integer. */
  readonly amount: bigint | number;
  /** The ledger's default currency where it is left out. */
  readonly currency?: string | undefined;
  /** A UUID; one is made where it is left out. The same id with the same content is done once. */
  readonly transactionId?: string | undefined;
}

/** 2^63−1. */
export const MAX_AMOUNT = 2n ** 63n - 1n;

const ACCOUNT = /^[A-Za-z0-9][A-Za-z0-9._:@+-]{0,63}$/;
const CURRENCY = /^[A-Z][A-Z0-9]{2,11}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** The one account that belongs to the ledger. It can be read, but not paid from or to. */
const WORLD = "@world";

/** The JSON of a transfer, only ASCII. Throws InvalidRequest. */
export function transferJson({ from, to, amount, currency }: Transfer, transactionId: string): string {
  checkAccount(from, "/from_account");
  checkAccount(to, "/to_account");
  if (from === to) throw new InvalidRequest("must differ from from_account", "/to_account");
  const digits = amountDigits(amount, "/amount", 1);
  return `{"transaction_id":"${transactionId}","from_account":"${from}","to_account":"${to}","amount":${digits}${currencyJson(currency)}}`;
}

/** Refuses what a call does not take: a name that is misspelt would be left out. Throws InvalidRequest. */
export function checkNames(content: object, names: readonly string[]): void {
  for (const name of Object.keys(content))
    if (!names.includes(name))
      throw new InvalidRequest(`is not a field of this call, which takes ${names.join(", ")}`, `/${name}`);
}

/** The id in lower case. Throws InvalidRequest. */
export function checkTransactionId(id: string): string {
  if (typeof id !== "string" || !UUID.test(id)) throw new InvalidRequest("must be a UUID", "/transaction_id");
  return id.toLowerCase();
}

/** Throws InvalidRequest. */
export function checkAccount(account: string, path: string): void {
  if (typeof account === "string" && ACCOUNT.test(account)) return;
  throw new InvalidRequest(
    "must be an account: 1 to 64 characters of A-Z a-z 0-9 . _ : @ + -, starting with a letter or digit",
    path,
  );
}

/** As checkAccount, with the ledger's own account allowed. */
export function checkReadableAccount(account: string, path: string): void {
  if (account !== WORLD) checkAccount(account, path);
}

/** The digits of an amount from `least` to 2^63−1. Throws InvalidRequest. */
export function amountDigits(amount: bigint | number, path: string, least: 0 | 1): string {
  if (typeof amount === "number" && Number.isSafeInteger(amount) && amount >= least) return String(amount);
  if (typeof amount === "bigint" && amount >= least && amount <= MAX_AMOUNT) return String(amount);
  throw new InvalidRequest(`must be a safe integer or a bigint, from ${least} to 2^63-1`, path);
}

/** The member of a request that names the currency; empty where there is none. Throws InvalidRequest. */
export function currencyJson(currency: string | undefined): string {
  if (currency === undefined) return "";
  checkCurrency(currency);
  return `,"currency":"${currency}"`;
}

/** Throws InvalidRequest. */
export function checkCurrency(currency: string): void {
  if (typeof currency === "string" && CURRENCY.test(currency)) return;
  throw new InvalidRequest(
    "must be a currency: 3 to 12 characters of A-Z 0-9, starting with a letter",
    "/currency",
  );
}
