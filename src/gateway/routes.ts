/** What can be asked over HTTP, version 1: every path with its method. */

import { pointer } from "../wire/strict-json.ts";
import { type Answer, ok } from "./answers.ts";
import type { RouteDescription } from "./descriptions.ts";
import * as describe from "./descriptions.ts";
import { isJson, readBody, respond, targetOf } from "./messages.ts";
import { type DescribedRoute, openApi } from "./openapi.ts";
import { problem } from "./problems.ts";
import type { WalletService } from "./wallet-service.ts";

/** One that takes GET answers HEAD too. */
export interface Route extends DescribedRoute {
  serve(request: Request): Response | Promise<Response>;
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

const METRICS_HEADERS = { "content-type": "text/plain; version=0.0.4; charset=utf-8" };

export function createRoutes(wallet: WalletService, options: RouteOptions): readonly Route[] {
  const post = (
    path: string,
    description: RouteDescription,
    serve: (body: Uint8Array) => Promise<Answer>,
  ): Route => ({
    method: "POST",
    path,
    description,
    serve: async (request) => {
      if (!isJson(request.headers.get("content-type")))
        return respond(problem("unsupported_media_type", "Send application/json."));
      const body = await readBody(request, options.maxBodyBytes);
      if (body === "too large")
        return respond(problem("body_too_large", `A body may have ${options.maxBodyBytes} bytes.`));
      if (body === "cut off")
        return respond(problem("invalid_request", "the body was cut off", { path: "" }));
      return respond(await serve(body));
    },
  });
  const get = (path: string, description: RouteDescription, serve: Route["serve"]): Route => ({
    method: "GET",
    path,
    description,
    serve,
  });
  let document: string | undefined;
  const routes: readonly Route[] = [
    post("/v1/wallet/transfer", describe.TRANSFER, (body) => wallet.transfer(body)),
    post("/v1/wallet/transfers", describe.TRANSFERS, (body) => wallet.transfers(body)),
    post("/v1/wallet/accounts", describe.ACCOUNTS, (body) => wallet.openAccount(body)),
    post("/v1/wallet/deposit", describe.DEPOSIT, (body) => wallet.move("deposit", body)),
    post("/v1/wallet/withdraw", describe.WITHDRAW, (body) => wallet.move("withdraw", body)),
    get(`${BALANCE}:account_id`, describe.BALANCE, async (request) =>
      respond(await options.read(() => balance(wallet, request))),
    ),
    get("/v1/ledger", describe.LEDGER, async () => respond(await options.read(() => wallet.ledger()))),
    get(
      "/metrics",
      describe.METRICS,
      async () => new Response(await options.metrics(), { headers: METRICS_HEADERS }),
    ),
    get("/health/live", describe.LIVE, () => respond(ok('{"status":"live"}'))),
    get("/health/ready", describe.READY, () => {
      const why = options.unready();
      return respond(why === undefined ? ok('{"status":"ready"}') : problem("not_ready", why));
    }),
    get("/openapi.json", describe.OPENAPI, () => {
      document ??= openApi(routes);
      return respond(ok(document));
    }),
  ];
  return routes;
}

function balance(wallet: WalletService, request: Request): Answer {
  const { path, query } = targetOf(request);
  let account: string;
  try {
    account = decodeURIComponent(path.slice(BALANCE.length));
  } catch {
    return problem("invalid_request", "is not a well-formed part of a URL", { path: "/account_id" });
  }
  let currency: string | undefined;
  for (const [name, value] of new URLSearchParams(query)) {
    if (name !== "currency")
      return problem("invalid_request", "is not a parameter of this request", { path: pointer("", name) });
    if (currency !== undefined) return problem("invalid_request", "stands here twice", { path: "/currency" });
    currency = value;
  }
  return wallet.balance(account, currency);
}
