/** Answers: what was asked for, or everything that can be wrong with a request, as problems (RFC 9457). */

import type { Money } from "../domain/amount.ts";
import type { Rejection } from "../domain/rejections.ts";
import type { Answer } from "../ports/answer.ts";

const TITLES = {
  invalid_request: [400, "The request is not valid"],
  unauthorized: [401, "Authentication is required"],
  forbidden: [403, "The request is forbidden"],
  not_found: [404, "Not found"],
  account_not_found: [404, "The account does not exist"],
  method_not_allowed: [405, "The method is not allowed"],
  body_too_slow: [408, "The request body was sent too slowly"],
  transaction_id_conflict: [409, "The transaction id was already used for another request"],
  account_exists: [409, "The account exists with a different initial balance"],
  body_too_large: [413, "The request body is too large"],
  batch_too_large: [413, "The batch is too large"],
  unsupported_media_type: [415, "The request body must be unencoded application/json"],
  internal_error: [500, "Internal error"],
  queue_unavailable: [503, "The command queue is not available"],
  overloaded: [503, "The server is overloaded"],
  not_ready: [503, "The node is not ready"],
  outcome_unknown: [504, "The outcome is not yet known"],
} as const satisfies Record<string, readonly [number, string]>;

export const REJECTED_STATUS = 422;
export const REJECTION_TITLES: Record<Rejection, string> = {
  account_not_found: "An account of the transfer does not exist",
  hold_not_found: "The hold does not exist",
  hold_closed: "The hold was already captured or released",
  amount_exceeds_hold: "The amount exceeds the hold",
  insufficient_funds: "The account has insufficient funds",
  balance_overflow: "A balance would exceed the range of 64-bit integers",
  batch_failed: "Another transfer of the batch was rejected",
};

/** How long a refused caller should wait, in seconds. */
const RETRY_AFTER_SECONDS = 1;

export type ProblemCode = keyof typeof TITLES;
export const PROBLEM_CODES = Object.keys(TITLES) as readonly ProblemCode[];

/** Members of a problem beyond the standard ones. */
export interface ProblemMembers {
  readonly transaction_id?: string | undefined;
  readonly transaction_ids?: readonly string[] | undefined;
  readonly path?: string | undefined;
  readonly seq?: number | undefined;
  /** What the payer has now. */
  readonly available?: Money | undefined;
}

export function statusOf(code: ProblemCode): number {
  return TITLES[code][0];
}

export function titleOf(code: ProblemCode): string {
  return TITLES[code][1];
}

export function ok(body: string): Answer {
  return { status: 200, body, replayed: false, retryAfter: undefined };
}

export function problem(code: ProblemCode, detail: string, members: ProblemMembers = {}): Answer {
  const [status, title] = TITLES[code];
  return {
    status,
    body: problemText(code, status, title, detail, members),
    replayed: false,
    retryAfter: status === 503 ? RETRY_AFTER_SECONDS : undefined,
  };
}

/** A command that the ledger rejected. */
export function rejected(
  reason: Rejection,
  detail: string,
  replayed: boolean,
  members: ProblemMembers,
): Answer {
  const body = problemText(reason, REJECTED_STATUS, REJECTION_TITLES[reason], detail, members);
  return { status: REJECTED_STATUS, body, replayed, retryAfter: undefined };
}

function problemText(
  code: string,
  status: number,
  title: string,
  detail: string,
  { available, ...members }: ProblemMembers,
): string {
  const text = JSON.stringify({
    type: `urn:coffer:problem:${code}`,
    title,
    status,
    detail,
    code,
    ...members,
  });
  // With all its digits, which JSON.stringify refuses to write of a bigint.
  return available === undefined ? text : `${text.slice(0, -1)},"available":${available}}`;
}
