/** argv → one command of cli/. */

import process from "node:process";
import { runCli } from "./cli/cli.ts";

process.exitCode = await runCli(process.argv.slice(2), process.env);
