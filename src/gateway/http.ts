/** HTTP, version 1, around the routes: their paths, what no route takes, and what goes wrong in one. */

import { Elysia } from "elysia";
import type { Answered } from "../ports/measures.ts";
import { createDoor, type Route } from "./auth.ts";
import { problem } from "./problems.ts";
import { respond, targetOf } from "./responses.ts";
import { createRoutes, type RouteOptions } from "./routes.ts";
import type { WalletService } from "./wallet-service.ts";

export interface HttpOptions extends RouteOptions {
  /** Whether it is asked over TLS. */
  readonly secure: boolean;
  /** Whether a request is known to be HTTP/1.0. */
  isHttp10(request: Request): boolean;
  /** Something threw that must not: a bug. */
  failed(error: unknown): void;
  /** Who is to hear of each answer that a route gives, or `other` where there is none for it. */
  measure(route: string): Answered;
}

export interface Http {
  fetch(request: Request): Response | Promise<Response>;
}

export function createHttp(wallet: WalletService, options: HttpOptions): Http {
  const routes = createRoutes(wallet, options);
  const { secure } = options;
  // A host may have a short name (http://db/…): with `standardHostname` its paths are not found, and without it
  // those of no https URL are.
  const app = new Elysia({ aot: true, strictPath: true, handler: { standardHostname: secure } });
  const answered = options.measure("other");
  const tell = (response: Response): Response => {
    answered(response.status, performance.now());
    return response;
  };
  app.onError(({ code, error, request }) => {
    if (code === "NOT_FOUND") return tell(nothingHere(routes, request));
    options.failed(error);
    return tell(respond(problem("internal_error", "An internal error occurred: see the log of the node.")));
  });
  // Without a Host it can be nothing else, and is another request than the runtime knows.
  const isHttp10 = (request: Request) => options.isHttp10(request) || !request.headers.has("host");
  for (const route of routes) {
    const enter = measured(
      createDoor(route, options.callers, isHttp10),
      options.measure(route.path),
      options.failed,
    );
    app.route(route.method, route.path, ({ request }) => enter(request), { parse: "none" });
  }
  const fetch: Http["fetch"] = (request) => {
    if (!request.url.startsWith("/")) return app.fetch(request);
    if (!request.headers.has("host")) return app.fetch(withoutHost(request));
    return tell(respond(problem("invalid_request", "is not a valid host name", { path: "/host" })));
  };
  return {
    fetch: secure ? async (request) => onlySecurely(await fetch(withLongHost(request))) : fetch,
  };
}

/** Tells each answer that is given, and answers where the route fails. */
function measured(enter: Http["fetch"], answered: Answered, failed: HttpOptions["failed"]): Http["fetch"] {
  return (request) => {
    const startedMs = performance.now();
    const tell = (response: Response): Response => {
      answered(response.status, startedMs);
      return response;
    };
    const fail = (error: unknown): Response => {
      failed(error);
      return tell(respond(problem("internal_error", "An internal error occurred: see the log of the node.")));
    };
    try {
      const response = enter(request);
      return response instanceof Promise ? response.then(tell, fail) : tell(response);
    } catch (error) {
      return fail(error);
    }
  };
}

/** The same request of a host whose name is long enough for its path to be found. */
function withLongHost(request: Request): Request {
  const { url } = request;
  const path = url.indexOf("/", "https://".length);
  const isFound = url.startsWith("/") || path >= "https://abc".length;
  return isFound ? request : new Request(`https://short.invalid${url.slice(path)}`, request);
}

/** Browsers that were here by HTTPS come by nothing else for a year (RFC 6797). */
function onlySecurely(response: Response): Response {
  response.headers.set("strict-transport-security", "max-age=31536000");
  return response;
}

/** A request whose URL could not be made of its Host header. Only HTTP/1.0, as many health checks speak it, may have none. */
function withoutHost(request: Request): Request {
  return new Request(`http://localhost${request.url}`, request);
}

/** Without a look at any key: which paths there are is no secret. */
function nothingHere(routes: readonly Route[], request: Request): Response {
  const { path } = targetOf(request);
  const method = routes.find((route) => matches(route.path, path))?.method;
  if (method === undefined) return respond(problem("not_found", "There is no resource at this path."));
  const allow = method === "GET" ? "GET, HEAD" : method;
  return respond(problem("method_not_allowed", `Use ${allow}.`), { allow });
}

function matches(route: string, path: string): boolean {
  const wanted = route.split("/");
  const given = path.split("/");
  return (
    wanted.length === given.length &&
    wanted.every((part, at) => (part.startsWith(":") ? given[at] !== "" : part === given[at]))
  );
}
