import packageJson from "../../package.json" with { type: "json" };
import { LOG_FORMAT } from "../domain/commands/commands.ts";
import { loadRuntime } from "../runtime/load.ts";
import type { CliCommand } from "./command.ts";
import { readConfig } from "./read-config.ts";

export const VERSION = packageJson.version;

export const version: CliCommand = {
  name: "version",
  usage: "",
  help: "prints the version, the log format and the runtime",
  settings: [],
  async run(args, env) {
    readConfig([], args, env);
    const runtime = await loadRuntime();
    console.log(`coffer ${VERSION} (log format ${LOG_FORMAT}, ${runtime.name} ${runtime.version})`);
    return 0;
  },
};
