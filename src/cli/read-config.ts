/** Reads settings from flags, environment and files, and explains them. */

import { readFileSync } from "node:fs";
import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import {
  type Config,
  REMOVED_SETTINGS,
  SETTINGS,
  type Setting,
  type SettingName,
  variableOf,
  variableOfFlag,
} from "../config.ts";
import type { Env } from "./command.ts";

/** A setting is missing, unknown or out of its range; the message names it. */
export class WrongSetting extends Error {
  override readonly name = "WrongSetting";
}

/** Reads the settings `names` from flags and environment; a flag wins. Throws WrongSetting. */
export function readConfig<N extends SettingName>(
  names: readonly N[],
  args: readonly string[],
  env: Env,
): Config<N> {
  refuseRemoved(args);
  const options: ParseArgsOptionsConfig = {};
  for (const name of names) {
    const { flag, value, secret }: Setting<unknown> = SETTINGS[name];
    options[flag] = { type: value === undefined ? "boolean" : "string" };
    if (secret) options[fileFlagOf(flag)] = { type: "string" };
  }
  const flags = parseFlags(names, args, options);
  const config: Record<string, unknown> = {};
  for (const name of names) {
    const setting: Setting<unknown> = SETTINGS[name];
    const given = givenAs(setting.flag, variableOf(name), flags, env);
    const inFile = setting.secret && givenInFile(name, given, flags, env);
    const { source, text } = inFile ?? given ?? { source: `--${setting.flag}`, text: setting.default };
    config[name] = text === undefined ? absent(name) : setting.parse(text);
    if (text !== undefined && config[name] === undefined)
      throw new WrongSetting(`${source} ${setting.must}${setting.secret ? "" : `, not "${text}"`}`);
  }
  return config as unknown as Config<N>;
}

function refuseRemoved(args: readonly string[]): void {
  for (const [flag, decides] of Object.entries(REMOVED_SETTINGS))
    if (args.some((arg) => arg === `--${flag}` || arg.startsWith(`--${flag}=`)))
      throw new WrongSetting(`--${flag} was removed: ${decides}`);
}

/** A variable that has no effect any more, and what decides instead. */
export interface RemovedVariable {
  readonly variable: string;
  readonly decides: string;
}

/** The variables of removed settings that are set. */
export function removedVariables(env: Env): readonly RemovedVariable[] {
  return Object.entries(REMOVED_SETTINGS)
    .map(([flag, decides]) => ({ variable: variableOfFlag(flag), decides }))
    .filter(({ variable }) => env[variable]);
}

/** A text, and what it came from, for messages. */
interface Given {
  readonly source: string;
  readonly text: string;
}

type Flags = Readonly<Record<string, unknown>>;

function givenAs(flag: string, variable: string, flags: Flags, env: Env): Given | undefined {
  const byFlag = flags[flag];
  if (byFlag !== undefined) return { source: `--${flag}`, text: String(byFlag) };
  const text = env[variable];
  return text ? { source: variable, text } : undefined;
}

/** A secret from a file: flags are visible in `ps`. Throws WrongSetting, which never shows what the file holds. */
function givenInFile(
  name: SettingName,
  direct: Given | undefined,
  flags: Flags,
  env: Env,
): Given | undefined {
  const file = givenAs(fileFlagOf(SETTINGS[name].flag), `${variableOf(name)}_FILE`, flags, env);
  if (!file) return undefined;
  if (direct) throw new WrongSetting(`${direct.source} and ${file.source} are mutually exclusive`);
  const named = `${file.source} "${file.text}"`;
  let content: string;
  try {
    content = readFileSync(file.text, "utf8");
  } catch (error) {
    throw new WrongSetting(`${named} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
  const text = content.replace(/[\r\n]+$/, "");
  if (text === "") throw new WrongSetting(`${named} is empty`);
  return { source: `the content of ${named}`, text };
}

/** The flag of the file that holds a secret. */
function fileFlagOf(flag: string): string {
  return `${flag}-file`;
}

function parseFlags(
  names: readonly SettingName[],
  args: readonly string[],
  options: ParseArgsOptionsConfig,
): Flags {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowNegative: true, allowPositionals: false })
      .values;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const flagged = /^Option '--([a-z-]+)(?: <value>)?' argument/.exec(why)?.[1];
    const missing = names.map((name) => SETTINGS[name]).find((setting) => setting.flag === flagged);
    throw new WrongSetting(missing ? `--${missing.flag} ${missing.must}: the value is missing` : why);
  }
}

function absent(name: SettingName): false | undefined {
  return SETTINGS[name].value === undefined && name !== "strict" ? false : undefined;
}

/** The lines of `--help` about these settings. */
export function settingsHelp(names: readonly SettingName[]): string {
  return names
    .flatMap((name) => {
      const { flag: option, value, help, default: byDefault, secret }: Setting<unknown> = SETTINGS[name];
      const left = `  --${option}${value === undefined ? "" : ` ${value}`}`;
      const more = byDefault === undefined ? "" : ` (default ${byDefault})`;
      const variable = variableOf(name);
      return [
        `${left}\n        ${help}${more}; ${variable}`,
        ...(secret
          ? [
              `  --${fileFlagOf(option)} FILE\n        read the value from a file, since flags are visible to other users; ${variable}_FILE`,
            ]
          : []),
      ];
    })
    .join("\n");
}
