/**
 * One request, sent again until an answer decides it.
 *
 * Nothing is decided by an answer of 5xx, 408 or 429, by one that is broken, and by none at all. The request
 * is then repeated as it is, ids included: the server does nothing twice under one id. Pauses grow, and are
 * drawn at random, so that many callers do not come back at once; a Retry-After is respected.
 */

import { RequestFailed } from "./errors.ts";
import { BrokenAnswer, type JsonObject, parseObject } from "./exact-json.ts";

const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 2_000;
/** The part of a pause that is drawn at random. */
const JITTER = 0.5;
/** A connection that is silent must leave time for another attempt. */
const ATTEMPTS_IN_TIME = 2;
/** The longest Retry-After that is respected; no call lives so long. */
const MAX_RETRY_AFTER_MS = 2 ** 30;
const TOO_MANY_REQUESTS = 429;
const REQUEST_TIMEOUT = 408;

export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
  /** Whether the outcome is of an earlier request under the same id. */
  readonly replayed: boolean;
  readonly retryAfterMs: number | undefined;
}

/** Where requests go, and how long one may take. */
export class Server {
  readonly #base: string;
  readonly #headers: Headers;
  readonly #attemptMs: number;

  /** Throws TypeError where the URL or the token is malformed. */
  constructor(url: string, token: string | undefined, timeoutMs: number) {
    const { protocol, username, password, search, hash } = new URL(url);
    if (!/^https?:$/.test(protocol) || username || password || search || hash)
      throw new TypeError(`not the http(s) URL of a server: ${url}`);
    this.#base = url.replace(/\/+$/, "");
    this.#headers = new Headers({ "content-type": "application/json" });
    if (token !== undefined) this.#headers.set("authorization", `Bearer ${token}`);
    this.#attemptMs = Math.ceil(timeoutMs / ATTEMPTS_IN_TIME);
  }

  /** Rejects where there is no whole answer in time. */
  async send({ method, path, body }: HttpRequest, attempt: AbortController): Promise<HttpAnswer> {
    const silent = () => attempt.abort(new Error(`no answer within ${this.#attemptMs} ms`));
    const timer = setTimeout(silent, this.#attemptMs);
    try {
      const request: RequestInit = { method, headers: this.#headers, signal: attempt.signal };
      if (body !== undefined) request.body = body;
      const response = await fetch(this.#base + path, request);
      const { status, headers } = response;
      return {
        status,
        text: await response.text(),
        replayed: headers.get("idempotent-replayed") === "true",
        retryAfterMs: retryAfterMs(headers.get("retry-after")),
      };
    } finally {
      clearTimeout(timer);
    }
  }
}

/** What comes of an exchange that was ended before it was decided. */
export const ENDED: unique symbol = Symbol("ended");

export class Exchange {
  /** Why the last attempt decided nothing. */
  failure: unknown;
  #pauseMs = FIRST_PAUSE_MS;
  #ended = false;
  #attempt: AbortController | undefined;
  #wake: () => void = () => {};

  /** `attempts` counts those that were begun; it goes on from another exchange of the same calls. */
  constructor(
    private readonly server: Server,
    public attempts = 0,
  ) {}

  /** Nobody waits for it any more. */
  end(): void {
    this.#ended = true;
    this.#attempt?.abort();
    this.#wake();
  }

  /**
   * Sends what `request` makes until `read` takes something from an answer that is no 5xx, 408 or 429. What
   * `read` throws is thrown here, but for BrokenAnswer: then it is sent again.
   */
  async decided<T>(request: () => HttpRequest, read: (answer: HttpAnswer) => T): Promise<T | typeof ENDED> {
    while (!this.#ended) {
      this.attempts++;
      const answer = await this.#answer(request());
      if (this.#ended) break;
      if (answer && !decidesNothing(answer.status)) {
        try {
          return read(answer);
        } catch (error) {
          if (!(error instanceof BrokenAnswer)) throw error;
          this.failure = error;
        }
      } else if (answer) {
        this.failure = new RequestFailed(answer.status, problemOf(answer).code);
      }
      await this.#pause(answer?.retryAfterMs);
    }
    return ENDED;
  }

  async #answer(request: HttpRequest): Promise<HttpAnswer | undefined> {
    const attempt = new AbortController();
    this.#attempt = attempt;
    try {
      return await this.server.send(request, attempt);
    } catch (error) {
      this.failure = error;
      return undefined;
    } finally {
      this.#attempt = undefined;
    }
  }

  async #pause(askedMs: number | undefined): Promise<void> {
    const pauseMs = (askedMs ?? this.#pauseMs * (1 - JITTER)) + Math.random() * JITTER * this.#pauseMs;
    this.#pauseMs = Math.min(2 * this.#pauseMs, MAX_PAUSE_MS);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, pauseMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function decidesNothing(status: number): boolean {
  return status >= 500 || status === TOO_MANY_REQUESTS || status === REQUEST_TIMEOUT;
}

/** The members of a problem (RFC 9457) that callers see; whatever stands on the way may answer without any. */
export interface Problem {
  readonly code: string | undefined;
  readonly detail: string | undefined;
  readonly path: string | undefined;
}

export function problemOf({ text }: HttpAnswer): Problem {
  const body: JsonObject = parseObject(text) ?? {};
  const member = (name: string) => {
    const value = body[name];
    return typeof value === "string" ? value : undefined;
  };
  return { code: member("code"), detail: member("detail"), path: member("path") };
}

/** A Retry-After header (RFC 9110, section 10.2.3) in ms: seconds, or a date. */
function retryAfterMs(header: string | null): number | undefined {
  if (header === null) return undefined;
  const ms = /^[0-9]+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS) : undefined;
}
