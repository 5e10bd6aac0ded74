/** HTTP, version 1: routes, bodies and headers around the wallet service. */

import { Elysia } from "elysia";
import { pointer } from "../wire/strict-json.ts";
import { type Answer, problem } from "./problems.ts";
import type { WalletService } from "./wallet-service.ts";

export interface HttpOptions {
  readonly maxBodyBytes: number;
  /** Why the node is not ready; undefined where it is. */
  unready(): string | undefined;
  /** Answers from the read model, when it has what callers were told before. */
  read(answer: () => Answer): Answer | Promise<Answer>;
  /** The node's metrics, as Prometheus reads them. */
  metrics(): Promise<string>;
  /** Something threw that must not: a bug. */
  failed(error: unknown): void;
}

/** Which methods each path knows, to tell a wrong method from a wrong path. */
const METHODS: readonly [path: RegExp, methods: string][] = [
  [/^\/v1\/wallet\/(transfer|transfers|accounts|deposit|withdraw)$/, "POST"],
  [/^\/v1\/wallet\/balance\/[^/]+$/, "GET, HEAD"],
  [/^\/(v1\/ledger|health\/live|health\/ready|metrics)$/, "GET, HEAD"],
];

const BALANCE_PREFIX = "/v1/wallet/balance/";

const JSON_HEADERS = { "content-type": "application/json" };
/** Made once, for nearly all answers are so. */
const OK = { status: 200, headers: new Headers(JSON_HEADERS) };
const METRICS_HEADERS = { "content-type": "text/plain; version=0.0.4; charset=utf-8" };
const REPLAYED_HEADERS = { ...JSON_HEADERS, "idempotent-replayed": "true" };

export interface Http {
  fetch(request: Request): Response | Promise<Response>;
}

export function createHttp(wallet: WalletService, options: HttpOptions): Http {
  const posting =
    (serve: (body: Uint8Array) => Promise<Answer>) =>
    async ({ request }: { request: Request }) => {
      if (!isJson(request.headers.get("content-type"))) {
        return respond(problem("unsupported_media_type", "Send application/json."));
      }
      const body = await readBody(request, options.maxBodyBytes);
      if (body === "too large")
        return respond(problem("body_too_large", `A body may have ${options.maxBodyBytes} bytes.`));
      if (body === "cut off")
        return respond(problem("invalid_request", "the body was cut off", { path: "" }));
      return respond(await serve(body));
    };
  // A host may have a short name (http://db/…): without `standardHostname: false` its paths are not found.
  const app = new Elysia({ aot: true, strictPath: true, handler: { standardHostname: false } })
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
    .get("/v1/wallet/balance/:account_id", async ({ request }) =>
      respond(await options.read(() => balance(wallet, request))),
    )
    .get("/v1/ledger", async () => respond(await options.read(() => wallet.ledger())))
    .get("/metrics", async () => new Response(await options.metrics(), { headers: METRICS_HEADERS }))
    .get("/health/live", () => new Response('{"status":"live"}', { headers: JSON_HEADERS }))
    .get("/health/ready", () => {
      const why = options.unready();
      if (why !== undefined) return respond(problem("not_ready", why));
      return new Response('{"status":"ready"}', { headers: JSON_HEADERS });
    });
  return {
    fetch: (request) => (request.url.startsWith("/") ? withoutHost(app, request) : app.fetch(request)),
  };
}

/** A request whose URL could not be made of its Host header. HTTP/1.0, as many health checks speak it, has none. */
function withoutHost(app: Http, request: Request): Response | Promise<Response> {
  if (request.headers.has("host"))
    return respond(problem("invalid_request", "is not the name of a host", { path: "/host" }));
  return app.fetch(new Request(`http://localhost${request.url}`, request));
}

function balance(wallet: WalletService, request: Request): Answer {
  const { path, query } = targetOf(request);
  let account: string;
  try {
    account = decodeURIComponent(path.slice(BALANCE_PREFIX.length));
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

function nothingHere(request: Request): Answer & { allow?: string } {
  const { path } = targetOf(request);
  const allow = METHODS.find(([known]) => known.test(path))?.[1];
  if (allow === undefined) return problem("not_found", "No such path.");
  return { ...problem("method_not_allowed", `Use ${allow}.`), allow };
}

/** Path and query as they were sent: URL would rewrite them, and throws where the host is malformed. */
function targetOf({ url }: Request): { path: string; query: string } {
  const target = url.slice(url.indexOf("/", url.indexOf("//") + 2));
  const end = target.indexOf("?");
  return end < 0 ? { path: target, query: "" } : { path: target.slice(0, end), query: target.slice(end) };
}

/** Answers as HTTP. */
function respond(answer: Answer & { readonly allow?: string }): Response {
  const { status, body, replayed, retryAfter, allow } = answer;
  if (status === 200 && !replayed) return new Response(body, OK);
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

/** The whole body, of at most `maxBytes`. A length that is announced is believed, and enforced by the server. */
async function readBody(request: Request, maxBytes: number): Promise<Uint8Array | "too large" | "cut off"> {
  const announced = request.headers.get("content-length");
  if (announced !== null && Number(announced) > maxBytes) return "too large";
  try {
    if (announced !== null) return new Uint8Array(await request.arrayBuffer());
    if (!request.body) return EMPTY;
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of request.body) {
      length += chunk.length;
      if (length > maxBytes) return "too large";
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, length);
  } catch {
    return "cut off"; // only the connection can fail here, and with it goes whoever would read more
  }
}
