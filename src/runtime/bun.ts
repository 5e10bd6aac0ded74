import { dlopen, FFIType, ptr, suffix } from "bun:ffi";
import { closeSync, openSync } from "node:fs";
import { availableParallelism } from "node:os";
// In a compiled executable this is a path into the executable itself.
import natsServerPath from "../../build/tools/coffer-nats" with { type: "file" };
import { Listener } from "./bun-listener.ts";
import { connectTo } from "./bun-postgres.ts";
import { natsPlaces } from "./nats-places.ts";
import { CannotListen, type HttpAddress, type HttpHandler, type Runtime } from "./runtime.ts";

/** TLS 1.2, by its number on the wire. */
const MIN_TLS = { minVersion: 0x0303 };
const LOCK_EX = 2;
const LOCK_NB = 4;
/** Where Bun keeps the files that a compiled executable carries. */
const EMBEDDED_ROOTS = ["/$bunfs/", "B:\\~BUN\\", "B:/~BUN/"];
/**
 * Bun cuts a connection that is idle for so long, and a body of which less than a few KiB a second come. A
 * request's head has 10 seconds, which cannot be set.
 */
const IDLE_TIMEOUT_SECONDS = 30;

/** Loaded once: it is called for every seal. */
let flock: ReturnType<typeof loadFlock> | undefined;

export const bunRuntime: Runtime = {
  name: "bun",
  // One core is left to the engine; more than a few gateways have nothing to do.
  gatewayThreads: {
    byDefault: Math.min(Math.max(availableParallelism() - 1, 1), 4),
    atMost: Number.POSITIVE_INFINITY,
  },
  version: Bun.version,
  postgres: connectTo,

  lock(path) {
    flock ??= loadFlock();
    const fd = openSync(path, "a");
    if (flock(fd, LOCK_EX | LOCK_NB) !== 0) {
      closeSync(fd);
      return undefined;
    }
    return { release: () => closeSync(fd) };
  },

  async serve(handler, address) {
    let current = serveOn(handler, address);
    let old: Serving | undefined;
    const port = current.server.port ?? address.port;
    const stop = async (cut: boolean) => {
      await Promise.all([current, ...(old ? [old] : [])].map((serving) => stopServing(serving, cut)));
    };
    return {
      port,
      get connections() {
        return current.listener.connections;
      },
      get full() {
        return current.listener.full;
      },
      stop: () => stop(false),
      cut: () => stop(true),
      tls: {
        besideOld: true,
        renew(tls) {
          const renewed = serveOn(handler, { ...address, port, tls });
          if (old) void stopServing(old, false); // another thread could not renew its own the last time
          current.isRetiring = true;
          [old, current] = [current, renewed];
        },
        steer: (first, count) => current.listener.steer(first, count),
        retire() {
          if (old) void stopServing(old, false);
          old = undefined;
        },
      },
    };
  },

  isHttp10: isDefaultNginx,

  natsServer(folder) {
    const isEmbedded = EMBEDDED_ROOTS.some((root) => natsServerPath.startsWith(root));
    const places = natsPlaces(natsServerPath, folder, (name, flags) => loadMemfd()(ptr(name), flags));
    return isEmbedded ? places : [() => natsServerPath, ...places];
  },
};

/**
 * Bun.serve does not report a request's version of HTTP. A default nginx, which speaks HTTP/1.0, is recognized by its
 * first headers: ngx_http_proxy_module sets these three, in this order, before those of its client. toJSON() keeps the
 * order of standard headers. Other HTTP/1.0 is recognized only if it has no Host (see http.ts).
 */
function isDefaultNginx({ headers }: Request): boolean {
  if (headers.get("connection") !== "close") return false;
  const [first, second, third] = Object.keys(headers.toJSON());
  return first === "host" && second === "connection" && third === "content-length";
}

/** One listener, with the connections that it has accepted. */
interface Serving {
  readonly server: ReturnType<typeof listen>;
  readonly listener: Listener;
  /** Whether another listener has taken its place: its connections are closed behind their answers. */
  isRetiring: boolean;
}

function serveOn(handler: HttpHandler, address: HttpAddress): Serving {
  let fetch = handler.fetch;
  const [server, listener] = Listener.listen(
    () => listen({ fetch: (request) => fetch(request) }, address),
    address.maxConnections,
  );
  const serving: Serving = { server, listener, isRetiring: false };
  fetch = (request) => closeBehindAnswer(handler.fetch(request), serving.isRetiring || listener.crowded);
  return serving;
}

function stopServing({ server, listener }: Serving, cut: boolean): Promise<void> {
  listener.stop();
  return server.stop(cut);
}

/** Where there are many connections, each makes room for another behind its answer. */
function closeBehindAnswer(
  answer: Response | Promise<Response>,
  closes: boolean,
): Response | Promise<Response> {
  if (!closes) return answer;
  return Promise.resolve(answer).then((closing) => {
    closing.headers.set("connection", "close");
    return closing;
  });
}

const LIBC = process.platform === "darwin" ? `libSystem.B.${suffix}` : `libc.${suffix}.6`;

function loadFlock() {
  return dlopen(LIBC, { flock: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 } }).symbols.flock;
}

/** Throws if the system has none. */
function loadMemfd() {
  const memfd = { memfd_create: { args: [FFIType.ptr, FFIType.u32], returns: FFIType.i32 } } as const;
  return dlopen(LIBC, memfd).symbols.memfd_create;
}

function listen(handler: HttpHandler, address: HttpAddress) {
  try {
    return Bun.serve({
      hostname: address.host,
      port: address.port,
      reusePort: address.shared,
      ...(address.tls && { tls: { ...address.tls, ...MIN_TLS } }),
      development: false, // else what throws is shown to callers, with its source
      idleTimeout: IDLE_TIMEOUT_SECONDS,
      // The gateway counts bodies itself, to answer with a problem where one is too large.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      fetch: (request) => handler.fetch(request),
    });
  } catch (error) {
    throw new CannotListen(address, error instanceof Error ? error.message : String(error));
  }
}
