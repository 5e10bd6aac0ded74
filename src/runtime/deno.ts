import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer, type Server as SecureServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { type CreateMemoryFile, natsPlaces } from "./nats-places.ts";
import { CannotListen, type HttpAddress, type HttpHandler, type Runtime } from "./runtime.ts";

/** As much of Deno's own types as is used here: its type package and Bun's cannot live in one program. */
interface DenoGlobal {
  readonly version: { readonly deno: string };
  openSync(
    path: string,
    options: { write: boolean; create: boolean },
  ): { tryLockSync(exclusive: boolean): boolean; close(): void };
  dlopen(
    library: string,
    symbols: { memfd_create: { parameters: ["buffer", "u32"]; result: "i32" } },
  ): { readonly symbols: { memfd_create: CreateMemoryFile } };
}

const deno = (globalThis as unknown as { Deno: DenoGlobal }).Deno;

/** A request's head, all of a request, and a connection on which nothing moves are cut after so long, as under Bun. */
const HEAD_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
const IDLE_TIMEOUT_MS = 30_000;
const LOOK_MS = 1_000;
const MIN_TLS = "TLSv1.2";

const http10 = new WeakSet<Request>();

export const denoRuntime: Runtime = {
  name: "deno",
  gatewayThreads: { byDefault: 1, atMost: 1 }, // sharing a port is not stable there
  version: deno.version.deno,
  postgres: undefined,

  lock(path) {
    const file = deno.openSync(path, { write: true, create: true });
    if (!file.tryLockSync(true)) {
      file.close();
      return undefined;
    }
    return { release: () => file.close() };
  },

  async serve(handler, address) {
    const server = await listen(handler, address);
    const closed = once(server, "close");
    let connections = 0;
    server.on(address.tls ? "secureConnection" : "connection", (socket: Socket) => {
      connections++;
      socket.once("close", () => connections--);
    });
    return {
      get connections() {
        return connections;
      },
      get full() {
        return connections >= address.maxConnections;
      },
      port: (server.address() as AddressInfo).port,
      tls: {
        besideOld: false,
        renew(tls) {
          (server as SecureServer).setSecureContext({ ...tls, minVersion: MIN_TLS });
        },
        steer() {},
        retire() {},
      },
      stop: async () => {
        server.close();
        await closed;
      },
      cut: async () => {
        server.close();
        server.closeAllConnections();
        await closed;
      },
    };
  },

  isHttp10: (request) => http10.has(request),

  natsServer(folder) {
    const path = fileURLToPath(new URL("../../build/tools/coffer-nats", import.meta.url));
    const create: CreateMemoryFile = (name, flags) => loadMemfd().memfd_create(name, flags);
    return [() => path, ...natsPlaces(path, folder, create)];
  },
};

/** Throws if the system has none. */
function loadMemfd() {
  const memfd = { memfd_create: { parameters: ["buffer", "u32"], result: "i32" } } as const;
  return deno.dlopen("libc.so.6", memfd as never).symbols;
}

/** By node:http, for Deno.serve cuts nobody: neither who is slow nor who is silent, however many there are. */
async function listen(handler: HttpHandler, address: HttpAddress): Promise<Server> {
  const busy = new WeakSet<object>();
  const limits = {
    headersTimeout: HEAD_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: IDLE_TIMEOUT_MS,
    connectionsCheckingInterval: LOOK_MS,
  };
  const serve = (message: IncomingMessage, response: ServerResponse): void => {
    // Nothing else bounds what a peer may ask before it has read an answer; Bun cuts it as well.
    if (busy.has(message.socket)) {
      message.destroy();
      return;
    }
    busy.add(message.socket);
    response.once("finish", () => busy.delete(message.socket));
    answer(handler, message, response).catch(() => message.destroy()); // the connection was cut
  };
  const { tls } = address;
  const server = tls
    ? createSecureServer({ ...limits, ...tls, minVersion: MIN_TLS }, serve)
    : createServer(limits, serve);
  server.maxConnections = address.maxConnections;
  server.timeout = IDLE_TIMEOUT_MS;
  server.listen(address.port, address.host);
  try {
    await once(server, "listening");
  } catch (error) {
    throw new CannotListen(address, error instanceof Error ? error.message : String(error));
  }
  return server;
}

async function answer(
  handler: HttpHandler,
  message: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const request = requestOf(message);
  if (request && message.httpVersion === "1.0") http10.add(request);
  const { status, headers, body } = request
    ? await handler.fetch(request)
    : new Response(null, { status: 400 });
  const bytes = new Uint8Array(await new Response(body).arrayBuffer());
  response.writeHead(status, { ...Object.fromEntries(headers), "content-length": bytes.length });
  // Nobody reads the rest of a body that was not wanted: it may come for a while.
  if (!message.complete) {
    const timer = setTimeout(() => message.destroy(), REQUEST_TIMEOUT_MS);
    message.once("close", () => clearTimeout(timer));
    message.resume();
  }
  response.end(message.method === "HEAD" ? undefined : bytes);
}

/** Undefined where its target and host make no URL. */
function requestOf(message: IncomingMessage): Request | undefined {
  const { method = "GET", url = "/", headers } = message;
  const target = url.startsWith("/") ? `http://${headers.host ?? "localhost"}${url}` : url;
  if (!URL.canParse(target)) return undefined;
  const hasBody = method !== "GET" && method !== "HEAD";
  const body = hasBody ? (Readable.toWeb(message) as unknown as ReadableStream<Uint8Array>) : null;
  return new Request(target, { method, headers: headerPairs(message), body, duplex: "half" } as RequestInit);
}

function headerPairs({ rawHeaders }: IncomingMessage): [string, string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2)
    pairs.push([rawHeaders[at] as string, rawHeaders[at + 1] as string]);
  return pairs;
}
