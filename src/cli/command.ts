/** What a command of coffer is, and how it fails. */

import type { SettingName } from "../config.ts";
import { BrokenKeyFile } from "../keys/key-file.ts";
import type { Script } from "../node/host.ts";

export type Env = Readonly<Record<string, string | undefined>>;

/** What the executable carries besides its main program. */
export interface Program {
  readonly script: Script;
}

export interface CliCommand {
  readonly name: string;
  /** What stands behind the name besides flags. */
  readonly usage: string;
  readonly help: string;
  readonly settings: readonly SettingName[];
  /** Returns the exit code. */
  run(args: readonly string[], env: Env, program: Program): Promise<number>;
}

/** A command could not do what it was asked, for a reason that its user can see to. The message says it all. */
export class CommandFailed extends Error {
  override readonly name = "CommandFailed";
}

/** Whether an error's message says all there is to say: of a bug the stack is needed. */
export function isExplained(error: unknown): error is Error {
  if (error instanceof CommandFailed || error instanceof BrokenKeyFile) return true;
  return error instanceof Error && "code" in error && "syscall" in error;
}
