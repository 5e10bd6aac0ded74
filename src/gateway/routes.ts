/** What can be asked over HTTP, version 1: every path with its method. */

import type { AccountPrefix } from "../domain/account-prefix.ts";
import type { Caller, Scope } from "../ports/keys.ts";
import { pointer } from "../wire/strict-json.ts";
import { type Answer, ok } from "./answers.ts";
import { unauthorized } from "./door.ts";
import { headersOf, isJson, readBody, respond, targetOf } from "./messages.ts";
import { problem } from "./problems.ts";
import type { WalletService } from "./wallet-service.ts";

/**
 * Who may ask, where keys are asked for: everyone, or whoever has a key of this scope. A key that is bound to
 * accounts is let in only where `bound` says that they are looked at.
 */
export type Admission = "everyone" | { readonly scope: Scope; readonly bound: boolean };

export interface Route {
  /** GET answers HEAD too. */
  readonly method: "GET" | "POST";
  /** Its parameters are `:name`. */
  readonly path: string;
  readonly admits: Admission;
  serve(request: Request, caller: Caller): Response | Promise<Response>;
}

export interface RouteOptions {
  readonly maxBodyBytes: number;
  /** Why the node is not ready; undefined where it is. */
  unready(): string | undefined;
  /** Answers from the read model, when it has what callers were told before. */
  read(answer: () => Answer): Answer | Promise<Answer>;
  /** The node's metrics, as Prometheus reads them. */
  metrics(): Promise<string>;
}

const BALANCE = "/v1/wallet/balance/";

const METRICS_HEADERS = headersOf("text/plain; version=0.0.4; charset=utf-8");

const READ = { scope: "read", bound: false } as const;
const READ_OWN = { scope: "read", bound: true } as const;
const WRITE = { scope: "write", bound: false } as const;
const WRITE_OWN = { scope: "write", bound: true } as const;
const ADMIN = { scope: "admin", bound: false } as const;

export function createRoutes(wallet: WalletService, options: RouteOptions): readonly Route[] {
  const post = (
    admits: Admission,
    path: string,
    serve: (body: Uint8Array, within: AccountPrefix | undefined) => Promise<Answer>,
  ): Route => ({
    method: "POST",
    path,
    admits,
    serve: async (request, caller) => {
      if (!isJson(request.headers.get("content-type")))
        return respond(problem("unsupported_media_type", "Send application/json."));
      const body = await readBody(request, options.maxBodyBytes);
      if (body === "too large")
        return respond(problem("body_too_large", `A body may have ${options.maxBodyBytes} bytes.`));
      if (body === "cut off")
        return respond(problem("invalid_request", "the body was cut off", { path: "" }));
      // A body may take its time, and its key be revoked meanwhile.
      if (caller.ended) return unauthorized("wrong key");
      return respond(await serve(body, caller.within));
    },
  });
  const get = (admits: Admission, path: string, serve: Route["serve"]): Route => ({
    method: "GET",
    path,
    admits,
    serve,
  });
  return [
    post(WRITE_OWN, "/v1/wallet/transfer", (body, within) => wallet.transfer(body, within)),
    post(WRITE_OWN, "/v1/wallet/transfers", (body, within) => wallet.transfers(body, within)),
    post(WRITE_OWN, "/v1/wallet/accounts", (body, within) => wallet.openAccount(body, within)),
    post(WRITE, "/v1/wallet/deposit", (body) => wallet.move("deposit", body)),
    post(WRITE_OWN, "/v1/wallet/withdraw", (body, within) => wallet.move("withdraw", body, within)),
    get(READ_OWN, `${BALANCE}:account_id`, (request, { within }) =>
      respondTo(options.read(() => balance(wallet, request, within))),
    ),
    get(READ, "/v1/ledger", () => respondTo(options.read(() => wallet.ledger()))),
    get(ADMIN, "/metrics", async () => new Response(await options.metrics(), { headers: METRICS_HEADERS })),
    get("everyone", "/health/live", () => respond(ok('{"status":"live"}'))),
    get("everyone", "/health/ready", () => {
      const why = options.unready();
      return respond(why === undefined ? ok('{"status":"ready"}') : problem("not_ready", why));
    }),
  ];
}

/** Nearly always at once: no turn of the event loop is spent on what is there. */
function respondTo(answer: Answer | Promise<Answer>): Response | Promise<Response> {
  return answer instanceof Promise ? answer.then((later) => respond(later)) : respond(answer);
}

function balance(wallet: WalletService, request: Request, within: AccountPrefix | undefined): Answer {
  const { path, query } = targetOf(request);
  let account: string;
  try {
    account = decodeURIComponent(path.slice(BALANCE.length));
  } catch {
    return problem("invalid_request", "is not a well-formed part of a URL", { path: "/account_id" });
  }
  let currency: string | undefined;
  for (const [name, value] of query === "" ? [] : new URLSearchParams(query)) {
    if (name !== "currency")
      return problem("invalid_request", "is not a parameter of this request", { path: pointer("", name) });
    if (currency !== undefined) return problem("invalid_request", "stands here twice", { path: "/currency" });
    currency = value;
  }
  return wallet.balance(account, currency, within);
}
