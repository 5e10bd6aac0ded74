/** The commands of coffer: what each is called, takes and says. */

import { type CliCommand, type Env, isExplained, type Program } from "./command.ts";
import { settingsHelp, WrongSetting } from "./read-config.ts";

/** Loaded only when it is asked for, so that `version` does not load a server. */
const COMMANDS: Readonly<Record<string, () => Promise<CliCommand>>> = {
  serve: async () => (await import("./serve.ts")).serve,
  replay: async () => (await import("./replay.ts")).replay,
  verify: async () => (await import("./verify.ts")).verify,
  keys: async () => (await import("./keys.ts")).keys,
  backup: async () => (await import("./backup.ts")).backup,
  seal: async () => (await import("./seal.ts")).seal,
  queue: async () => (await import("./queue.ts")).queue,
  postgres: async () => (await import("./postgres.ts")).postgres,
  version: async () => (await import("./version.ts")).version,
};

const EXIT_FAILED = 1;
const EXIT_WRONG_USAGE = 2;

/** Runs one command; returns the exit code: 0 done, 1 failed, 2 wrong flags. */
export async function runCli(args: readonly string[], env: Env, program: Program): Promise<number> {
  const [name, ...rest] = args;
  if (name === "--help" || name === "help" || name === "-h") {
    console.log(await overview());
    return 0;
  }
  const load =
    name === "--version"
      ? COMMANDS.version
      : name !== undefined && Object.hasOwn(COMMANDS, name)
        ? COMMANDS[name]
        : undefined;
  if (!load) {
    console.error(
      name === undefined ? await overview() : `coffer: unknown command "${name}"; see coffer --help`,
    );
    return EXIT_WRONG_USAGE;
  }
  const command = await load();
  if (rest.includes("--help") || rest.includes("-h")) {
    console.log(helpOf(command));
    return 0;
  }
  try {
    return await command.run(rest, env, program);
  } catch (error) {
    if (error instanceof WrongSetting) {
      console.error(`coffer ${command.name}: ${error.message}; see coffer ${command.name} --help`);
      return EXIT_WRONG_USAGE;
    }
    if (!isExplained(error)) throw error;
    console.error(`coffer ${command.name}: ${error.message}`);
    return EXIT_FAILED;
  }
}

async function overview(): Promise<string> {
  const commands = await Promise.all(Object.values(COMMANDS).map((load) => load()));
  const lines = commands.map(
    ({ name, usage, help }) => `  ${`${name} ${usage}`.trim()}\n      ${help.replaceAll("\n", "\n      ")}`,
  );
  return `coffer: a digital wallet ledger\n\nusage: coffer COMMAND [flags]\n\n${lines.join("\n")}\n\nRun coffer COMMAND --help for the flags of a command.`;
}

function helpOf({ name, usage, help, settings }: CliCommand): string {
  const flags =
    settings.length > 0
      ? `\n\nEach flag has an environment variable, named after it; a flag takes precedence.\n\n${settingsHelp(settings)}`
      : "";
  return `usage: coffer ${[name, usage, ...(settings.length > 0 ? ["[flags]"] : [])].filter(Boolean).join(" ")}\n\n${help}${flags}`;
}
