/** What can be asked over HTTP, version 1: every path with its method. */

import { type Seal, sealText } from "../ports/seals.ts";
import { pointer } from "../wire/strict-json.ts";
import { type Answer, ok } from "./answers.ts";
import { isJson, readBody, respond, targetOf } from "./messages.ts";
import { problem } from "./problems.ts";
import type { WalletService } from "./wallet-service.ts";

export interface Route {
  /** GET answers HEAD too. */
  readonly method: "GET" | "POST";
  /** Its parameters are `:name`. */
  readonly path: string;
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
  /** The newest seal of the log; undefined where the node knows none. */
  newestSeal(): Seal | undefined;
}

const BALANCE = "/v1/wallet/balance/";

const METRICS_HEADERS = { "content-type": "text/plain; version=0.0.4; charset=utf-8" };

export function createRoutes(wallet: WalletService, options: RouteOptions): readonly Route[] {
  const post = (path: string, serve: (body: Uint8Array) => Promise<Answer>): Route => ({
    method: "POST",
    path,
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
  const get = (path: string, serve: Route["serve"]): Route => ({ method: "GET", path, serve });
  return [
    post("/v1/wallet/transfer", (body) => wallet.transfer(body)),
    post("/v1/wallet/transfers", (body) => wallet.transfers(body)),
    post("/v1/wallet/accounts", (body) => wallet.openAccount(body)),
    post("/v1/wallet/deposit", (body) => wallet.move("deposit", body)),
    post("/v1/wallet/withdraw", (body) => wallet.move("withdraw", body)),
    get(`${BALANCE}:account_id`, async (request) =>
      respond(await options.read(() => balance(wallet, request))),
    ),
    get("/v1/ledger", async () => respond(await options.read(() => wallet.ledger()))),
    get("/v1/seal", () => {
      const newest = options.newestSeal();
      return respond(newest ? ok(sealText(newest)) : problem("not_found", "This node knows no seal."));
    }),
    get("/metrics", async () => new Response(await options.metrics(), { headers: METRICS_HEADERS })),
    get("/health/live", () => respond(ok('{"status":"live"}'))),
    get("/health/ready", () => {
      const why = options.unready();
      return respond(why === undefined ? ok('{"status":"ready"}') : problem("not_ready", why));
    }),
  ];
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
