/** HTTP, version 1: routes, bodies and headers around the wallet service. */

import { Elysia } from "elysia";
import { type Answer, problem } from "./problems.ts";
import type { WalletService } from "./wallet-service.ts";

export interface HttpOptions {
  readonly maxBodyBytes: number;
  /** Why the node is not ready; undefined where it is. */
  unready(): string | undefined;
  /** Something threw that must not: a bug. */
  failed(error: unknown): void;
}

/** Which methods each path knows, to tell a wrong method from a wrong path. */
const METHODS: readonly [path: RegExp, method: string][] = [
  [/^\/v1\/wallet\/(transfer|transfers|accounts|deposit|withdraw)$/, "POST"],
  [/^\/v1\/wallet\/balance\/[^/]+$/, "GET"],
  [/^\/(v1\/ledger|health\/live|health\/ready)$/, "GET"],
];

const BALANCE_PREFIX = "/v1/wallet/balance/";

const JSON_HEADERS = { "content-type": "application/json" };
const REPLAYED_HEADERS = { ...JSON_HEADERS, "idempotent-replayed": "true" };

export function createHttp(wallet: WalletService, options: HttpOptions) {
  const posting =
    (serve: (body: Uint8Array) => Promise<Answer>) =>
    async ({ request }: { request: Request }) => {
      if (!isJson(request.headers.get("content-type"))) {
        return respond(problem("unsupported_media_type", "Send application/json."));
      }
      const body = await readBody(request, options.maxBodyBytes);
      if (!body) return respond(problem("body_too_large", `A body may have ${options.maxBodyBytes} bytes.`));
      return respond(await serve(body));
    };
  return new Elysia({ aot: true })
    .onError(({ code, error, request }) => {
      if (code === "NOT_FOUND") return respond(nothingHere(request));
      options.failed(error);
      return respond(problem("internal_error", "The node's log says more."));
    })
    .post(
      "/v1/wallet/transfer",
      posting((body) => wallet.transfer(body)),
      { parse: "none" },
    )
    .post(
      "/v1/wallet/transfers",
      posting((body) => wallet.transfers(body)),
      { parse: "none" },
    )
    .post(
      "/v1/wallet/accounts",
      posting((body) => wallet.openAccount(body)),
      { parse: "none" },
    )
    .post(
      "/v1/wallet/deposit",
      posting((body) => wallet.move("deposit", body)),
      { parse: "none" },
    )
    .post(
      "/v1/wallet/withdraw",
      posting((body) => wallet.move("withdraw", body)),
      { parse: "none" },
    )
    .get("/v1/wallet/balance/:account_id", ({ request }) => respond(balance(wallet, new URL(request.url))))
    .get("/v1/ledger", () => respond(wallet.ledger()))
    .get("/health/live", () => new Response('{"status":"live"}', { headers: JSON_HEADERS }))
    .get("/health/ready", () => {
      const why = options.unready();
      if (why !== undefined) return respond(problem("not_ready", why));
      return new Response('{"status":"ready"}', { headers: JSON_HEADERS });
    });
}

function balance(wallet: WalletService, { pathname, searchParams }: URL): Answer {
  let account: string;
  try {
    account = decodeURIComponent(pathname.slice(BALANCE_PREFIX.length));
  } catch {
    return problem("invalid_request", "is not a well-formed part of a URL", { path: "/account_id" });
  }
  let currency: string | undefined;
  for (const [name, value] of searchParams) {
    if (name !== "currency")
      return problem("invalid_request", "is not a parameter of this request", { path: `/${name}` });
    if (currency !== undefined) return problem("invalid_request", "stands here twice", { path: "/currency" });
    currency = value;
  }
  return wallet.balance(account, currency);
}

function nothingHere(request: Request): Answer & { allow?: string } {
  const { pathname } = new URL(request.url);
  const allow = METHODS.find(([path]) => path.test(pathname))?.[1];
  if (allow === undefined) return problem("not_found", "No such path.");
  return { ...problem("method_not_allowed", `Use ${allow}.`), allow };
}

/** Answers as HTTP. */
function respond(answer: Answer & { readonly allow?: string }): Response {
  const { status, body, replayed, retryAfter, allow } = answer;
  if (status < 400)
    return new Response(body, { status, headers: replayed ? REPLAYED_HEADERS : JSON_HEADERS });
  const headers: Record<string, string> = { "content-type": "application/problem+json" };
  if (replayed) headers["idempotent-replayed"] = "true";
  if (retryAfter !== undefined) headers["retry-after"] = String(retryAfter);
  if (allow !== undefined) headers.allow = allow;
  return new Response(body, { status, headers });
}

function isJson(contentType: string | null): boolean {
  if (contentType === "application/json") return true;
  return contentType !== null && /^application\/json\s*(;|$)/i.test(contentType);
}

const EMPTY = new Uint8Array();

/** The whole body; undefined where it has more than `maxBytes`. A length that is announced is believed, and enforced by the server. */
async function readBody(request: Request, maxBytes: number): Promise<Uint8Array | undefined> {
  const announced = request.headers.get("content-length");
  if (announced !== null)
    return Number(announced) <= maxBytes ? new Uint8Array(await request.arrayBuffer()) : undefined;
  if (!request.body) return EMPTY;
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body) {
    length += chunk.length;
    if (length > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}
