/**
 * Who is let in to a route, before anything of a request's body is read. 401 and 403 say what is missing
 * (RFC 6750, section 3), and nothing of what was sent.
 */

import { type Caller, type Callers, METRICS_SCOPE, SCOPES, type Scope } from "../ports/keys.ts";
import { type NotableHeaders, notableHeaders } from "./notable-headers.ts";
import type { DescribedRoute } from "./openapi.ts";
import { problem } from "./problems.ts";
import { respond } from "./responses.ts";

/** One that takes GET answers HEAD too. */
export interface Route extends DescribedRoute {
  serve(request: Request, caller: Caller, headers?: NotableHeaders): Response | Promise<Response>;
}

const UNAUTHORIZED = {
  "no key": [problem("unauthorized", "Send an API key in the header Authorization: Bearer KEY."), "Bearer"],
  "wrong key": [problem("unauthorized", "The API key is invalid."), 'Bearer error="invalid_token"'],
} as const;

/** What a browser on this machine calls it. Any other name may be one that a web page has pointed here. */
const LOCAL_URL = /^https?:\/\/(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]*)?\//i;

const NOT_LOCAL = "No API keys are configured: only requests to localhost are accepted.";

const ANYONE: Caller = { scope: "read", within: undefined, ended: false };

/** The answer to whom nobody knows. */
export function unauthorized(why: keyof typeof UNAUTHORIZED): Response {
  const [answer, challenge] = UNAUTHORIZED[why];
  return respond(answer, { "www-authenticate": challenge });
}

/**
 * How a route is asked by callers of whom it is not known yet who they are. `isHttp10`: whether a request is
 * known to be HTTP/1.0.
 */
export function createDoor(
  { method, description: { admits }, serve }: Route,
  callers: Callers,
  isHttp10: (request: Request) => boolean,
): (request: Request) => Response | Promise<Response> {
  if (admits === "everyone") return (request) => serve(request, ANYONE);
  const { scope, bound } = admits;
  const isLocal = localUrls();
  return (request) => {
    const headers = notableHeaders(request.headers);
    if (callers.everyone) {
      const why = isLocal(request.url)
        ? throughProxy(headers, method !== "GET" && isHttp10(request))
        : NOT_LOCAL;
      if (why !== undefined) return respond(problem("forbidden", why));
    }
    const caller = callers.everyone ?? callers.callerOf(request.headers.get("authorization"));
    if (typeof caller === "string") return unauthorized(caller);
    if (!includes(caller.scope, scope))
      return respond(problem("forbidden", `This operation requires a key of scope ${scope}.`), {
        "www-authenticate": `Bearer error="insufficient_scope", scope="${scope}"`,
      });
    if (caller.within && !bound)
      return respond(
        problem("forbidden", "This key is restricted to certain accounts: it cannot use this operation."),
      );
    return serve(request, caller, headers);
  };
}

/** Whether a key of `scope` is good for what needs `needed`. */
function includes(scope: Scope, needed: Scope): boolean {
  if (scope === METRICS_SCOPE || needed === METRICS_SCOPE) return scope === needed || scope === "admin";
  return SCOPES.indexOf(scope) >= SCOPES.indexOf(needed);
}

/** Why this looks like a request from a proxy, whose client may be anywhere; undefined if it does not. */
function throughProxy({ proxy }: NotableHeaders, changesByHttp10: boolean): string | undefined {
  if (proxy !== undefined)
    return `The request came through a proxy (header ${proxy}), which is not allowed without API keys: create a key first.`;
  if (changesByHttp10)
    return "No API keys are configured, so changes over HTTP/1.0, which proxies use, are not accepted: use HTTP/1.1, or create a key first.";
  return undefined;
}

/** Tells requests by a name of this machine, most of them by one look: they mostly begin as the one before. */
function localUrls(): (url: string) => boolean {
  let known = "http://localhost/";
  return (url) => {
    if (url.startsWith(known)) return true;
    const [origin] = LOCAL_URL.exec(url) ?? [];
    if (origin === undefined) return false;
    known = origin;
    return true;
  };
}
