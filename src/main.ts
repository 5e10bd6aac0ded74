/** argv → one command of cli/. */

import process from "node:process";
import { runCli } from "./cli/cli.ts";

// Found here only, and nowhere below, in a compiled executable too.
const workerScripts = {
  gateway: new URL("./node/threads/gateway-worker.ts", import.meta.url),
  postgres: new URL("./postgres/postgres-worker.ts", import.meta.url),
  logCheck: new URL("./snapshots/log-check-worker.ts", import.meta.url),
  seal: new URL("./seals/seal-worker.ts", import.meta.url),
};
process.exitCode = await runCli(process.argv.slice(2), process.env, { workerScripts });
