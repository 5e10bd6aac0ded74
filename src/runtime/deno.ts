import { fileURLToPath } from "node:url";
import { CannotListen, type HttpAddress, type HttpHandler, type Runtime } from "./runtime.ts";

/** As much of Deno's own types as is used here: its type package and Bun's cannot live in one program. */
interface DenoGlobal {
  readonly version: { readonly deno: string };
  openSync(
    path: string,
    options: { write: boolean; create: boolean },
  ): { tryLockSync(exclusive: boolean): boolean; close(): void };
  serve(
    options: {
      hostname: string;
      port: number;
      signal: AbortSignal;
      cert?: string;
      key?: string;
      onListen: (address: { port: number }) => void;
    },
    handler: (request: Request) => Response | Promise<Response>,
  ): { shutdown(): Promise<void>; readonly finished: Promise<void> };
}

const deno = (globalThis as unknown as { Deno: DenoGlobal }).Deno;

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
    const cut = new AbortController();
    const listening = Promise.withResolvers<number>();
    const server = listen(handler, address, cut.signal, listening.resolve);
    let finished = false;
    const ended = () => {
      finished = true;
    };
    server.finished.then(ended, ended);
    return {
      port: await listening.promise,
      stop: () => server.shutdown(),
      cut: async () => {
        if (!finished) cut.abort();
        await server.finished;
      },
    };
  },

  natsServer() {
    return fileURLToPath(new URL("../../build/tools/coffer-nats", import.meta.url));
  },
};

function listen(
  handler: HttpHandler,
  address: HttpAddress,
  signal: AbortSignal,
  listening: (port: number) => void,
) {
  const { host: hostname, port, tls } = address;
  try {
    return deno.serve({ hostname, port, signal, ...tls, onListen: (at) => listening(at.port) }, (request) =>
      handler.fetch(request),
    );
  } catch (error) {
    throw new CannotListen(address, error instanceof Error ? error.message : String(error));
  }
}
