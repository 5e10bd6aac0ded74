import { fileURLToPath } from "node:url";
import type { Runtime } from "./runtime.ts";

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
      onListen: (address: { port: number }) => void;
    },
    handler: (request: Request) => Response | Promise<Response>,
  ): { shutdown(): Promise<void>; readonly finished: Promise<void> };
}

const deno = (globalThis as unknown as { Deno: DenoGlobal }).Deno;

export const denoRuntime: Runtime = {
  name: "deno",
  version: deno.version.deno,

  lock(path) {
    const file = deno.openSync(path, { write: true, create: true });
    if (!file.tryLockSync(true)) {
      file.close();
      return undefined;
    }
    return { release: () => file.close() };
  },

  async serve(handler, { host, port }) {
    const cut = new AbortController();
    const listening = Promise.withResolvers<number>();
    const options = {
      hostname: host,
      port,
      signal: cut.signal,
      onListen: (address: { port: number }) => listening.resolve(address.port),
    };
    const server = deno.serve(options, (request) => handler.fetch(request));
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
