/** Requests and answers as HTTP carries them. */

import type { Answer } from "./answers.ts";

const JSON_HEADERS = { "content-type": "application/json" };
/** Made once, for nearly all answers are so. */
const OK = { status: 200, headers: new Headers(JSON_HEADERS) };
const REPLAYED_HEADERS = { ...JSON_HEADERS, "idempotent-replayed": "true" };

/** Answers as HTTP. */
export function respond(answer: Answer & { readonly allow?: string }): Response {
  const { status, body, replayed, retryAfter, allow } = answer;
  if (status === 200 && !replayed) return new Response(body, OK);
  if (status < 400)
    return new Response(body, { status, headers: replayed ? REPLAYED_HEADERS : JSON_HEADERS });
  const headers: Record<string, string> = { "content-type": "application/problem+json" };
  if (replayed) headers["idempotent-replayed"] = "true";
  if (retryAfter !== undefined) headers["retry-after"] = String(retryAfter);
  if (allow !== undefined) headers.allow = allow;
  if (status === 408) headers.connection = "close"; // the rest of the body may still come
  return new Response(body, { status, headers });
}

/** Path and query as they were sent: URL would rewrite them, and throws where the host is malformed. */
export function targetOf({ url }: Request): { path: string; query: string } {
  const target = url.slice(url.indexOf("/", url.indexOf("//") + 2));
  const end = target.indexOf("?");
  return end < 0 ? { path: target, query: "" } : { path: target.slice(0, end), query: target.slice(end) };
}

export function isJson(contentType: string | null): boolean {
  if (contentType === "application/json") return true;
  return contentType !== null && /^application\/json\s*(;|$)/i.test(contentType);
}
