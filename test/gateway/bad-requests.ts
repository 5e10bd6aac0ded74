/** Everything that a caller can get wrong outside of the body: its form, the method, the path, the host. */

import type { RawRequest } from "../support/raw-http.ts";
import {
  ACCOUNT_64,
  ACCOUNTS,
  BAD_BODIES,
  BALANCE,
  type BadRequest,
  good,
  invalid,
  JSON_TYPE,
  post,
  TRANSFER,
  TRANSFERS,
} from "./bad-bodies.ts";

const MAX_BODY_BYTES = 4 << 20;

function mediaTypeRefused(what: string, ...types: string[]): BadRequest {
  const headers = types.map((type) => ["Content-Type", type] as const);
  const request = { target: TRANSFER, headers, body: good };
  return { what, request, status: 415, code: "unsupported_media_type" };
}

function tooLarge(what: string, request: RawRequest): BadRequest {
  return { what, request, status: 413, code: "body_too_large" };
}

const long = `${" ".repeat(MAX_BODY_BYTES + 1 - good.length)}${good}`;

const BAD_TRANSPORT: readonly BadRequest[] = [
  mediaTypeRefused("no content type"),
  ...[
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/jsonp",
    "application/json-patch+json",
    "json",
    "text/json; application/json",
    "application/json, text/plain",
  ].map((type) => mediaTypeRefused(`content type ${type}`, type)),
  mediaTypeRefused("two content types", "application/json", "application/json"),
  invalid("no body at all", { target: TRANSFER, headers: [JSON_TYPE] }, ""),
  invalid("a chunked body without a chunk", chunked(""), ""),
  tooLarge("one byte too many", post(TRANSFER, long)),
  tooLarge("one byte too many, in a batch", post(TRANSFERS, long)),
  tooLarge("one byte too many, chunked", chunked(long)),
  tooLarge("a length that is only announced", {
    target: TRANSFER,
    headers: [JSON_TYPE, ["Content-Length", "5000000000"]],
    body: "{",
  }),
];

function chunked(body: string): RawRequest {
  const end = "0\r\n\r\n";
  const text = body === "" ? end : `${body.length.toString(16)}\r\n${body}\r\n${end}`;
  return {
    target: TRANSFER,
    headers: [JSON_TYPE, ["Transfer-Encoding", "chunked"], ["Content-Length", ""]],
    body: text,
  };
}

function methodRefused(method: string, target: string, allow: string): BadRequest {
  return {
    what: `${method} ${target}`,
    request: { method, target },
    status: 405,
    code: "method_not_allowed",
    allow,
  };
}

const READS = "GET, HEAD";
const WRONG_PLACES: readonly BadRequest[] = [
  ...["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"].map((method) =>
    methodRefused(method, TRANSFER, "POST"),
  ),
  ...[TRANSFERS, ACCOUNTS, "/v1/wallet/deposit", "/v1/wallet/withdraw"].map((target) =>
    methodRefused("GET", target, "POST"),
  ),
  ...["POST", "PUT", "DELETE", "OPTIONS"].map((method) => methodRefused(method, `${BALANCE}/alice`, READS)),
  ...["/v1/ledger", "/v1/seal", "/metrics", "/health/live", "/health/ready", "/openapi.json"].map((target) =>
    methodRefused("POST", target, READS),
  ),
  methodRefused("GET", `${TRANSFER}?currency=USD`, "POST"),
  ...[
    "/v1",
    "/v1/",
    "/v1/wallet",
    "/v2/wallet/transfer",
    `${TRANSFER}/`,
    `${TRANSFER}s/`,
    `/${TRANSFER}`,
    TRANSFER.toUpperCase(),
    `${TRANSFER}%20`,
    `${BALANCE}`,
    `${BALANCE}/`,
    `${BALANCE}/alice/`,
    `${BALANCE}/alice/USD`,
    `${BALANCE}/..`,
    "/v1/ledger/",
    "/.env",
    "/%00",
  ].flatMap((target) =>
    ["GET", "POST"].map((method) => ({
      what: `${method} ${target}`,
      request: { method, target },
      status: 404,
      code: "not_found",
    })),
  ),
];

function read(target: string, path: string): BadRequest {
  return invalid(`GET ${target}`, { method: "GET", target: `${BALANCE}/${target}` }, path);
}

const BAD_READS: readonly BadRequest[] = [
  ...[
    "%ff",
    "%",
    "%zz",
    "%e2%82",
    "%00",
    "%20alice",
    "alice%20",
    "a%2Fb",
    "@coffer",
    "%40coffer",
    "__proto__",
    "-a",
    `${ACCOUNT_64}a`,
  ].map((target) => read(target, "/account_id")),
  ...["usd", "", "US", "%ff", "ABCDEFGHIJKLM", "USD%20", "USD%00"].map((currency) =>
    read(`alice?currency=${currency}`, "/currency"),
  ),
  read("alice?currency=USD&currency=USD", "/currency"),
  read("alice?currency=USD&%63urrency=EUR", "/currency"),
  read("alice?at=7", "/at"),
  read("alice?Currency=USD", "/Currency"),
  read("alice?currency=USD&a%2Fb~=1", "/a~1b~0"),
  read("alice?__proto__=1", "/__proto__"),
  ...["nobody", "constructor", "toString", "hasOwnProperty", "ALICE", "alice?currency=EUR"].map(
    (target): BadRequest => ({
      what: `GET ${target}`,
      request: { method: "GET", target: `${BALANCE}/${target}` },
      status: 404,
      code: "account_not_found",
    }),
  ),
];

const BAD_HOSTS: readonly BadRequest[] = ["a b", "x/v1/ledger?", "a\\b"].map((host) =>
  invalid(`the host ${host}`, { ...post(TRANSFER, good), headers: [JSON_TYPE, ["Host", host]] }, "/host"),
);

export const BAD_REQUESTS: readonly BadRequest[] = [
  ...BAD_BODIES,
  ...BAD_TRANSPORT,
  ...WRONG_PLACES,
  ...BAD_READS,
  ...BAD_HOSTS,
];
