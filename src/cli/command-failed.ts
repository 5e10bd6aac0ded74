import { BrokenKeyFile } from "../keys/key-file.ts";

/** A command could not do what it was asked, for a reason that its user can see to. The message says it all. */
export class CommandFailed extends Error {
  override readonly name = "CommandFailed";
}

/** Whether an error's message says all there is to say: of a bug the stack is needed. */
export function isExplained(error: unknown): error is Error {
  if (error instanceof CommandFailed || error instanceof BrokenKeyFile) return true;
  return error instanceof Error && "code" in error && "syscall" in error;
}
