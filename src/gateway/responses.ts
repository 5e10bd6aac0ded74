/** Requests and answers as HTTP carries them. */

import type { Answer } from "../ports/answer.ts";

/**
 * On every answer: it is what its type says, nobody keeps it, and a browser that shows it runs, frames and tells
 * nothing. They cost 0.5 µs an answer; setting them on a finished one would cost twice that.
 */
const SECURITY_HEADERS = {
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
};

/** The headers of an answer of this type. */
export function headersOf(contentType: string, more: Readonly<Record<string, string>> = {}): Headers {
  return new Headers({ ...SECURITY_HEADERS, "content-type": contentType, ...more });
}

const REPLAYED = { "idempotent-replayed": "true" };
/** Made once, for nearly all answers are so. */
const JSON_HEADERS = headersOf("application/json");
const OK = { status: 200, headers: JSON_HEADERS };
const REPLAYED_HEADERS = headersOf("application/json", REPLAYED);
const PROBLEM_HEADERS = headersOf("application/problem+json");

/** Answers as HTTP, with `more` headers where it is a problem. */
export function respond(answer: Answer, more?: Readonly<Record<string, string>>): Response {
  const { status, body, replayed, retryAfter } = answer;
  if (status === 200 && !replayed) return new Response(body, OK);
  if (status < 400)
    return new Response(body, { status, headers: replayed ? REPLAYED_HEADERS : JSON_HEADERS });
  if (!replayed && retryAfter === undefined && !more)
    return new Response(body, { status, headers: PROBLEM_HEADERS });
  const headers = headersOf("application/problem+json", { ...more, ...(replayed && REPLAYED) });
  if (retryAfter !== undefined) headers.set("retry-after", String(retryAfter));
  return new Response(body, { status, headers });
}

/** Path and query as they were sent: URL would rewrite them, and throws where the host is malformed. */
export function targetOf({ url }: Request): { path: string; query: string } {
  const target = url.slice(url.indexOf("/", url.indexOf("//") + 2));
  const end = target.indexOf("?");
  return end < 0 ? { path: target, query: "" } : { path: target.slice(0, end), query: target.slice(end) };
}

/** Whether a Content-Encoding says that there is none (RFC 9110, section 12.5.3). */
export function isIdentity(contentEncoding: string | null): boolean {
  return contentEncoding === null || contentEncoding.trim().toLowerCase() === "identity";
}

export function isJson(contentType: string | null): boolean {
  if (contentType === "application/json") return true;
  return contentType !== null && /^application\/json\s*(;|$)/i.test(contentType);
}
