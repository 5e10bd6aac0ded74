/** What differs between Bun and Deno. */

import type { SqlConnect } from "../ports/sql-connection.ts";

/** An exclusive lock on a file, which ends with the process at the latest. */
export interface FileLock {
  release(): void;
}

export interface HttpServer {
  readonly port: number;
  /** How many connections there are, over all threads. */
  readonly connections: number;
  /** Whether somebody is kept out because there are too many, or was a moment ago. */
  readonly full: boolean;
  /** Accepts no more connections; resolves when the requests under way are answered. */
  stop(): Promise<void>;
  /** Cuts what is still open. */
  cut(): Promise<void>;
  /** Of HTTPS: has the certificate of connections that are made from now on changed. */
  readonly tls: TlsRenewal;
}

/**
 * Changes a certificate without a connection lost. Where a listener cannot change its own, a new one listens beside
 * the old: gateways.ts calls the steps in their order on all threads, which share the port.
 */
export interface TlsRenewal {
  /** Whether there are two listeners after renew(), so that steer() and retire() have to follow. */
  readonly besideOld: boolean;
  /** Throws CannotListen; the old one serves on. */
  renew(tls: TlsPair): void;
  /** Of the listeners that share the port, in the order in which they began: new connections go to these. */
  steer(first: number, count: number): void;
  /** Closes the old listener, whose idle connections must be gone. */
  retire(): void;
}

/** What both runtimes can serve. */
export interface HttpHandler {
  fetch(request: Request): Response | Promise<Response>;
}

/** The address cannot be listened on; the message names it and says why. */
export class CannotListen extends Error {
  override readonly name = "CannotListen";

  constructor(
    { host, port }: HttpAddress,
    readonly why: string,
  ) {
    super(`cannot listen on ${host}:${port}: ${why}`);
  }
}

/** A certificate, with those that it needs, and its private key, as PEM. */
export interface TlsPair {
  readonly cert: string;
  readonly key: string;
}

export interface HttpAddress {
  readonly host: string;
  readonly port: number;
  /** Whether other threads of this process listen there too. */
  readonly shared: boolean;
  /** Connections at once, over all threads. */
  readonly maxConnections: number;
  /** HTTPS with it, of version 1.2 at least; undefined for HTTP. */
  readonly tls: TlsPair | undefined;
}

export interface Runtime {
  readonly name: "bun" | "deno";
  readonly version: string;
  /** Undefined where another process holds it. Makes the file where it is missing. */
  lock(path: string): FileLock | undefined;
  /** How many gateway threads suit this machine, and how many can share a port. */
  readonly gatewayThreads: { readonly byDefault: number; readonly atMost: number };
  /** Throws CannotListen, where the address is in use or another's. */
  serve(handler: HttpHandler, address: HttpAddress): Promise<HttpServer>;
  /** Whether a request that it serves is known to be HTTP/1.0. */
  isHttp10(request: Request): boolean;
  /**
   * Where the embedded nats-server can be run from, the best first: each call prepares the place and returns its
   * path, or throws. `folder` is the last.
   */
  natsServer(folder: string): readonly (() => string)[];
  /** How to connect to the PostgreSQL server of a URL; undefined where the runtime has no client for it. */
  readonly postgres: ((url: string) => SqlConnect) | undefined;
}
