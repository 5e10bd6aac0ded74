/** argv → one command of cli/. */

import process from "node:process";
import { runCli } from "./cli/cli.ts";

// Found here only, and nowhere below, in a compiled executable too.
const gatewayScript = new URL("./gateway-worker.ts", import.meta.url);
process.exitCode = await runCli(process.argv.slice(2), process.env, { gatewayScript });
