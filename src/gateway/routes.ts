/** What can be asked over HTTP, version 1: every path with its method. */

import type { Answered } from "../ports/measures.ts";
import { pointer } from "../wire/strict-json.ts";
import { type Answer, ok } from "./answers.ts";
import { isJson, readBody, respond as responseOf, targetOf } from "./messages.ts";
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
  /** Who is to hear of each answer that a path gives. */
  measure(path: string): Answered;
}

const BALANCE = "/v1/wallet/balance/";

const METRICS_HEADERS = { "content-type": "text/plain; version=0.0.4; charset=utf-8" };

export function createRoutes(wallet: WalletService, options: RouteOptions): readonly Route[] {
  const post = (path: string, serve: (body: Uint8Array) => Promise<Answer>): Route => {
    const answered = options.measure(path);
    const respond = (answer: Answer, startedMs: number) => {
      answered(answer.status, startedMs);
      return responseOf(answer);
    };
    return {
      method: "POST",
      path,
      // One function, for each more that is waited for costs every transfer a tenth of a microsecond.
      serve: async (request) => {
        const startedMs = performance.now();
        if (!isJson(request.headers.get("content-type")))
          return respond(problem("unsupported_media_type", "Send application/json."), startedMs);
        const body = await readBody(request, options.maxBodyBytes);
        if (body === "too large") {
          const most = `A body may have ${options.maxBodyBytes} bytes.`;
          return respond(problem("body_too_large", most), startedMs);
        }
        if (body === "cut off")
          return respond(problem("invalid_request", "the body was cut off", { path: "" }), startedMs);
        return respond(await serve(body), startedMs);
      },
    };
  };
  const get = (
    path: string,
    serve: (request: Request) => Answer | Promise<Answer>,
    respond = responseOf,
  ): Route => {
    const answered = options.measure(path);
    return {
      method: "GET",
      path,
      serve: async (request) => {
        const startedMs = performance.now();
        const answer = await serve(request);
        answered(answer.status, startedMs);
        return respond(answer);
      },
    };
  };
  return [
    post("/v1/wallet/transfer", (body) => wallet.transfer(body)),
    post("/v1/wallet/transfers", (body) => wallet.transfers(body)),
    post("/v1/wallet/accounts", (body) => wallet.openAccount(body)),
    post("/v1/wallet/deposit", (body) => wallet.move("deposit", body)),
    post("/v1/wallet/withdraw", (body) => wallet.move("withdraw", body)),
    get(`${BALANCE}:account_id`, (request) => options.read(() => balance(wallet, request))),
    get("/v1/ledger", () => options.read(() => wallet.ledger())),
    get(
      "/metrics",
      async () => ok(await options.metrics()),
      ({ body }) => new Response(body, { headers: METRICS_HEADERS }),
    ),
    get("/health/live", () => ok('{"status":"live"}')),
    get("/health/ready", () => {
      const why = options.unready();
      return why === undefined ? ok('{"status":"ready"}') : problem("not_ready", why);
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
