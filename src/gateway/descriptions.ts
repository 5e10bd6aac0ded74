/** What each route takes and answers, as it is published. */

import { moduleOf } from "../domain/commands/commands.ts";
import type { Rejection } from "../domain/rejections.ts";
import { METRICS_SCOPE, type Scope } from "../ports/keys.ts";
import type { ProblemCode } from "./problems.ts";
import { answer, field, ref, requestName, type Schema } from "./schemas.ts";

/**
 * Who may ask, where keys are asked for: everyone, or whoever has a key of this scope. A key that is bound to
 * accounts is let in only where `bound` says that they are looked at.
 */
export type RouteAccess = "everyone" | { readonly scope: Scope; readonly bound: boolean };

export interface RouteDescription {
  readonly admits: RouteAccess;
  /** Unique, in camel case: generated clients name their functions so. */
  readonly operationId: string;
  readonly summary: string;
  readonly parameters?: readonly Parameter[];
  readonly body?: Body;
  /** By status. */
  readonly answers: Readonly<Record<number, GoodAnswer>>;
  /** Beyond those that every route has. */
  readonly problems: readonly ProblemCode[];
  /** What the ledger may answer. */
  readonly rejections?: readonly Rejection[];
}

export interface Body {
  readonly schema: Schema;
  readonly example: unknown;
}

export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query";
  readonly description: string;
  readonly schema: Schema;
  readonly example: unknown;
}

export interface GoodAnswer {
  readonly description: string;
  readonly schema: Schema;
  /** Unless it is application/json. */
  readonly type?: string;
  /** It may be the first outcome of a repeated id, which a header tells. */
  readonly repeats?: boolean;
}

const READ = { scope: "read", bound: false } as const;
const READ_OWN = { scope: "read", bound: true } as const;
const WRITE = { scope: "write", bound: false } as const;
const WRITE_OWN = { scope: "write", bound: true } as const;
const METRICS_ALONE = { scope: METRICS_SCOPE, bound: false } as const;

/** What every request with a body may be answered. */
const SENDING: readonly ProblemCode[] = ["body_too_slow", "body_too_large", "unsupported_media_type"];
/** What every command may be answered. */
const COMMANDING: readonly ProblemCode[] = [...SENDING, "queue_unavailable", "overloaded", "outcome_unknown"];

const A_TRANSFER = { from_account: "alice", to_account: "bob", amount: 20 };
const A_MOVE = { account_id: "alice", amount: 100 };
const MOVED = { description: "The money was moved.", schema: ref("TransferAnswer"), repeats: true };
const CONFLICT: ProblemCode = "transaction_id_conflict";

export const TRANSFER: RouteDescription = {
  admits: WRITE_OWN,
  operationId: "transfer",
  summary: "Transfers money between two accounts",
  body: { schema: ref(requestName("transfer")), example: A_TRANSFER },
  answers: { 200: MOVED },
  problems: [...COMMANDING, CONFLICT],
  rejections: moduleOf("transfer").rejections,
};

export const TRANSFERS: RouteDescription = {
  admits: WRITE_OWN,
  operationId: "transferBatch",
  summary: "Executes many transfers, each independently; a malformed one rejects the whole request",
  body: { schema: ref("BatchRequest"), example: { transfers: [A_TRANSFER] } },
  answers: {
    200: { description: "The counts of the outcomes, and each failure.", schema: ref("BatchAnswer") },
  },
  problems: COMMANDING,
};

export const ACCOUNTS: RouteDescription = {
  admits: WRITE_OWN,
  operationId: "openAccount",
  summary: "Opens an account",
  body: { schema: ref(requestName("open_account")), example: { account_id: "alice", initial_balance: 100 } },
  answers: {
    200: {
      description: "The account already exists, with the same initial balance.",
      schema: ref("AccountAnswer"),
      repeats: true,
    },
    201: { description: "The account was opened.", schema: ref("AccountAnswer"), repeats: true },
  },
  problems: [...COMMANDING, CONFLICT, "account_exists"],
  rejections: moduleOf("open_account").rejections,
};

export const DEPOSIT: RouteDescription = {
  admits: WRITE,
  operationId: "deposit",
  summary: "Deposits money into an account from outside the ledger",
  body: { schema: ref(requestName("deposit")), example: A_MOVE },
  answers: { 200: MOVED },
  problems: [...COMMANDING, CONFLICT],
  rejections: moduleOf("deposit").rejections,
};

export const WITHDRAW: RouteDescription = {
  admits: WRITE_OWN,
  operationId: "withdraw",
  summary: "Withdraws money from an account out of the ledger",
  body: { schema: ref(requestName("withdraw")), example: A_MOVE },
  answers: { 200: MOVED },
  problems: [...COMMANDING, CONFLICT],
  rejections: moduleOf("withdraw").rejections,
};

export const BALANCE: RouteDescription = {
  admits: READ_OWN,
  operationId: "getBalance",
  summary: "Returns the balance of an account",
  parameters: [
    {
      name: "account_id",
      in: "path",
      description: "The account.",
      schema: ref("AnyAccount"),
      example: "alice",
    },
    {
      name: "currency",
      in: "query",
      description: "The currency. Defaults to the ledger's default currency.",
      schema: ref("Currency"),
      example: "USD",
    },
  ],
  answers: { 200: { description: "The account's balance.", schema: ref("BalanceAnswer") } },
  problems: ["account_not_found", "not_found", "not_ready"],
};

export const LEDGER: RouteDescription = {
  admits: READ,
  operationId: "getLedger",
  summary: "Returns the size and the totals of the ledger",
  answers: { 200: { description: "The size and the totals of the ledger.", schema: ref("LedgerAnswer") } },
  problems: ["not_ready"],
};

export const SEAL: RouteDescription = {
  admits: READ,
  operationId: "getSeal",
  summary: "Returns the newest seal of the log, to be stored elsewhere",
  answers: { 200: { description: "The newest seal.", schema: ref("SealAnswer") } },
  problems: ["not_found", "not_ready"],
};

export const METRICS: RouteDescription = {
  admits: METRICS_ALONE,
  operationId: "getMetrics",
  summary: "Returns the metrics of the node",
  answers: {
    200: {
      description: "The metrics in the Prometheus text format.",
      schema: { type: "string" },
      type: "text/plain",
    },
  },
  problems: [],
};

export const LIVE: RouteDescription = {
  admits: "everyone",
  operationId: "isLive",
  summary: "Reports whether the process is running",
  answers: { 200: { description: "The process is running.", schema: state("live") } },
  problems: [],
};

export const READY: RouteDescription = {
  admits: "everyone",
  operationId: "isReady",
  summary: "Reports whether the node accepts commands",
  answers: { 200: { description: "The node accepts commands.", schema: state("ready") } },
  problems: ["not_ready"],
};

export const OPENAPI: RouteDescription = {
  admits: "everyone",
  operationId: "getOpenApi",
  summary: "Returns this OpenAPI document",
  answers: {
    200: { description: "The OpenAPI 3.1 document.", schema: { type: "object" } },
  },
  problems: [],
};

function state(name: string): Schema {
  return answer({ status: field({ type: "string", const: name }, "The state of the node.", name) });
}
