/** Where a NATS server is, and how it lets us in. */

import { errors } from "@nats-io/transport-node";

export interface NatsEndpoint {
  readonly servers: string | string[];
  readonly token?: string;
  readonly user?: string;
  readonly pass?: string;
}

/**
 * The endpoint of comma-separated NATS URLs, with the user and password, or the token, that they carry. The
 * first one's count: a cluster has one set.
 */
export function endpointOf(urls: string): NatsEndpoint {
  const parsed = urls.split(",").map((url) => new URL(url.includes("://") ? url : `nats://${url}`));
  const [first] = parsed;
  const servers = parsed.map(({ protocol, host }) => `${protocol}//${host}`);
  const user = decodeURIComponent(first?.username ?? "");
  if (user === "") return { servers };
  const pass = decodeURIComponent(first?.password ?? "");
  return pass === "" ? { servers, token: user } : { servers, user, pass };
}

/** Whether a server refused the user and password, or the token. */
export function isNotLetIn(error: unknown): boolean {
  return error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError;
}
