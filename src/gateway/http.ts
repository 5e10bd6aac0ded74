/** HTTP, version 1, around the routes: their paths, what no route takes, and what goes wrong in one. */

import { Elysia } from "elysia";
import type { Answer } from "./answers.ts";
import { respond, targetOf } from "./messages.ts";
import { problem } from "./problems.ts";
import { createRoutes, type Route, type RouteOptions } from "./routes.ts";
import type { WalletService } from "./wallet-service.ts";

export interface HttpOptions extends RouteOptions {
  /** Something threw that must not: a bug. */
  failed(error: unknown): void;
}

export interface Http {
  fetch(request: Request): Response | Promise<Response>;
}

export function createHttp(wallet: WalletService, options: HttpOptions): Http {
  const routes = createRoutes(wallet, options);
  // A host may have a short name (http://db/…): without `standardHostname: false` its paths are not found.
  const app = new Elysia({ aot: true, strictPath: true, handler: { standardHostname: false } });
  const answered = options.measure("other");
  const answer = (given: Answer) => {
    answered(given.status, performance.now());
    return respond(given);
  };
  app.onError(({ code, error, request }) => {
    if (code === "NOT_FOUND") return answer(nothingHere(routes, request));
    options.failed(error);
    return answer(problem("internal_error", "The node's log says more."));
  });
  for (const { method, path, serve } of routes)
    app.route(method, path, ({ request }) => serve(request), { parse: "none" });
  return {
    fetch: (request) => {
      if (!request.url.startsWith("/")) return app.fetch(request);
      if (request.headers.has("host"))
        return answer(problem("invalid_request", "is not the name of a host", { path: "/host" }));
      return app.fetch(withoutHost(request));
    },
  };
}

/** A request whose URL could not be made of its Host header. HTTP/1.0, as many health checks speak it, has none. */
function withoutHost(request: Request): Request {
  return new Request(`http://localhost${request.url}`, request);
}

function nothingHere(routes: readonly Route[], request: Request): Answer & { allow?: string } {
  const { path } = targetOf(request);
  const method = routes.find((route) => matches(route.path, path))?.method;
  if (method === undefined) return problem("not_found", "No such path.");
  const allow = method === "GET" ? "GET, HEAD" : method;
  return { ...problem("method_not_allowed", `Use ${allow}.`), allow };
}

function matches(route: string, path: string): boolean {
  const wanted = route.split("/");
  const given = path.split("/");
  return (
    wanted.length === given.length &&
    wanted.every((part, at) => (part.startsWith(":") ? given[at] !== "" : part === given[at]))
  );
}
