/** argv → one command of cli/. */

import process from "node:process";
import { runCli } from "./cli/cli.ts";

/** Programs of threads are found from here only, and from nowhere below, in a compiled executable too. */
const script = (path: string) => new URL(path, import.meta.url);
process.exitCode = await runCli(process.argv.slice(2), process.env, { script });
