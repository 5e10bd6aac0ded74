/** Waits for what does not announce itself. */

const PATIENCE_MS = 45_000;
const LOOK_AGAIN_MS = 10;

/** Resolves when `holds` does; throws, saying `what`, where it does not in a long time. */
export async function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const until = performance.now() + PATIENCE_MS; !(await holds()); ) {
    if (performance.now() > until) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}
