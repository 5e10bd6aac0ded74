import type { Runtime } from "./runtime.ts";

/** The runtime that this process has. */
export async function loadRuntime(): Promise<Runtime> {
  // Imported late: each of the two names things that the other refuses even to load.
  if ("Deno" in globalThis) return (await import("./deno.ts")).denoRuntime;
  return (await import("./bun.ts")).bunRuntime;
}
