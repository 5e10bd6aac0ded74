/** What differs between Bun and Deno. */

/** An exclusive lock on a file, which ends with the process at the latest. */
export interface FileLock {
  release(): void;
}

export interface HttpServer {
  readonly port: number;
  /** Accepts no more connections; resolves when the requests under way are answered. */
  stop(): Promise<void>;
  /** Cuts what is still open. */
  cut(): Promise<void>;
}

/** What both runtimes can serve. */
export interface HttpHandler {
  fetch(request: Request): Response | Promise<Response>;
}

export interface Runtime {
  readonly name: "bun" | "deno";
  readonly version: string;
  /** Undefined where another process holds it. Makes the file where it is missing. */
  lock(path: string): FileLock | undefined;
  /** Throws where the address is in use. */
  serve(handler: HttpHandler, address: { readonly host: string; readonly port: number }): Promise<HttpServer>;
  /** The path of the embedded nats-server; a compiled executable puts it into `folder` first. */
  natsServer(folder: string): string;
}

/** The runtime that this process has. */
export async function loadRuntime(): Promise<Runtime> {
  // Imported late: each of the two names things that the other refuses even to load.
  if ("Deno" in globalThis) return (await import("./deno.ts")).denoRuntime;
  return (await import("./bun.ts")).bunRuntime;
}
