/** What can be asked over HTTP, version 1: every path with its method. */

import type { AccountPrefix } from "../domain/account-prefix.ts";
import type { Answer } from "../ports/answer.ts";
import type { Callers } from "../ports/keys.ts";
import type { Seal } from "../ports/seals.ts";
import { pointer } from "../wire/strict-json.ts";
import { type Route, unauthorized } from "./auth.ts";
import { Bodies, type BodyLimits } from "./bodies.ts";
import type { RouteDescription } from "./descriptions.ts";
import * as describe from "./descriptions.ts";
import type { IdempotencyHeader } from "./notable-headers.ts";
import { openApi } from "./openapi.ts";
import { ok, problem } from "./problems.ts";
import { headersOf, isIdentity, isJson, respond, targetOf } from "./responses.ts";
import { sealText } from "./seal-text.ts";
import type { WalletService } from "./wallet-service.ts";

export interface RouteOptions extends BodyLimits {
  readonly callers: Callers;
  /** Why the node is not ready; undefined where it is. */
  unready(): string | undefined;
  /** Answers from the read model, when it has what callers were told before; a problem, if the ledger is not recovered yet. */
  read(answer: () => Answer): Answer | Promise<Answer>;
  /** The node's metrics, as Prometheus reads them. */
  metrics(): Promise<string>;
  /** The newest seal of the log; undefined where the node knows none. */
  newestSeal(): Seal | undefined;
}

const BALANCE = "/v1/wallet/balance/";

/** Of a body that is late the rest may still come. */
const CLOSE = { connection: "close" };

const ENCODED = "Send the body unencoded, without a Content-Encoding header.";
const NO_ENCODING = { "accept-encoding": "identity" };

const NO_SEAL =
  "This node has no seal: the first one takes up to a minute, sealing may be disabled, or the log did not match its seals.";

const METRICS_HEADERS = headersOf("text/plain; version=0.0.4; charset=utf-8");

export function createRoutes(wallet: WalletService, options: RouteOptions): readonly Route[] {
  const bodies = new Bodies(options);
  const busy = (commands: number, others: number) => wallet.busy(commands, others);
  const post = (
    path: string,
    description: RouteDescription,
    serve: (body: Uint8Array, within: AccountPrefix | undefined) => Promise<Answer>,
  ): Route => ({
    method: "POST",
    path,
    description,
    serve: async (request, caller, headers) => {
      if (!isJson(request.headers.get("content-type")))
        return respond(problem("unsupported_media_type", "Send the body as application/json."));
      if (headers?.contentEncoding && !isIdentity(request.headers.get("content-encoding")))
        return respond(problem("unsupported_media_type", ENCODED), NO_ENCODING);
      if (headers?.idempotency !== undefined) return respond(notByHeader(headers.idempotency));
      const body = await bodies.read(request, busy);
      if (!(body instanceof Uint8Array)) return respond(body, body.status === 408 ? CLOSE : undefined);
      // A body may take its time, and its key be revoked meanwhile.
      if (caller.ended) return unauthorized("wrong key");
      return respond(await serve(body, caller.within));
    },
  });
  const get = (path: string, description: RouteDescription, serve: Route["serve"]): Route => ({
    method: "GET",
    path,
    description,
    serve,
  });
  const documents = new Map<boolean, string>();
  const routes: readonly Route[] = [
    post("/v1/wallet/transfer", describe.TRANSFER, (body, within) => wallet.transfer(body, within)),
    post("/v1/wallet/transfers", describe.TRANSFERS, (body, within) => wallet.transfers(body, within)),
    post("/v1/wallet/accounts", describe.ACCOUNTS, (body, within) =>
      wallet.command("open_account", body, within),
    ),
    post("/v1/wallet/deposit", describe.DEPOSIT, (body) => wallet.command("deposit", body)),
    post("/v1/wallet/withdraw", describe.WITHDRAW, (body, within) =>
      wallet.command("withdraw", body, within),
    ),
    get(`${BALANCE}:account_id`, describe.BALANCE, (request, { within }) =>
      respondTo(options.read(() => balance(wallet, request, within))),
    ),
    get("/v1/ledger", describe.LEDGER, () => respondTo(options.read(() => wallet.ledger()))),
    get("/v1/seal", describe.SEAL, () =>
      respondTo(
        options.read(() => {
          const newest = options.newestSeal();
          return newest ? ok(sealText(newest)) : problem("not_found", NO_SEAL);
        }),
      ),
    ),
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
      const needsKeys = !options.callers.everyone;
      const document = documents.get(needsKeys) ?? openApi(routes, needsKeys);
      documents.set(needsKeys, document);
      return respond(ok(document));
    }),
  ];
  return routes;
}

/** If the header were ignored, a retry would move the money again. */
function notByHeader(header: IdempotencyHeader): Answer {
  const detail = `The header ${header} is not supported, and nothing was done. Send a transaction_id (a UUID) in the body, and repeat it in each retry.`;
  return problem("invalid_request", detail, { path: "/transaction_id" });
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
    return problem("invalid_request", "is not a well-formed URL component", { path: "/account_id" });
  }
  let currency: string | undefined;
  for (const [name, value] of query === "" ? [] : new URLSearchParams(query)) {
    if (name !== "currency")
      return problem("invalid_request", "is not a known parameter: the only one is currency", {
        path: pointer("", name),
      });
    if (currency !== undefined) return problem("invalid_request", "is given twice", { path: "/currency" });
    currency = value;
  }
  return wallet.balance(account, currency, within);
}
