/**
 * Hot path: one scan of the names of a request's headers, for those that decide whether it is served. Measured at
 * 0.2 µs for five headers, as much as eight look-ups by name; X-Forwarded-* cannot be looked up at all.
 */

/** Headers that proxies add: RFC 7239, RFC 9110 section 7.6.3, and the usual ones before them. */
export type ProxyHeader = "Forwarded" | "Via" | "X-Real-IP" | "X-Forwarded-*";
export type IdempotencyHeader = "Idempotency-Key" | "X-Idempotency-Key" | "X-Idempotency";

export interface NotableHeaders {
  /** One that a proxy has added. */
  readonly proxy: ProxyHeader | undefined;
  readonly idempotency: IdempotencyHeader | undefined;
  /** Whether there is a Content-Encoding, of any value. */
  readonly contentEncoding: boolean;
}

const NONE: NotableHeaders = { proxy: undefined, idempotency: undefined, contentEncoding: false };

const C = 99;
const F = 102;
const I = 105;
const V = 118;
const X = 120;

/** `headers` give their names in lower case, as Headers do. */
export function notableHeaders(headers: Headers): NotableHeaders {
  let notable = NONE;
  for (const name of headers.keys()) {
    switch (name.charCodeAt(0)) {
      case C:
        if (name === "content-encoding") notable = { ...notable, contentEncoding: true };
        break;
      case F:
        if (name === "forwarded") notable = { ...notable, proxy: "Forwarded" };
        break;
      case I:
        if (name === "idempotency-key") notable = { ...notable, idempotency: "Idempotency-Key" };
        break;
      case V:
        if (name === "via") notable = { ...notable, proxy: "Via" };
        break;
      case X:
        if (name.startsWith("x-forwarded")) notable = { ...notable, proxy: "X-Forwarded-*" };
        else if (name === "x-real-ip") notable = { ...notable, proxy: "X-Real-IP" };
        else if (name === "x-idempotency-key") notable = { ...notable, idempotency: "X-Idempotency-Key" };
        else if (name === "x-idempotency") notable = { ...notable, idempotency: "X-Idempotency" };
    }
  }
  return notable;
}
