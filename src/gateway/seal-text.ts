import type { Seal } from "../ports/seals.ts";

/** As it is printed and served: a line of JSON. */
export function sealText({ seal, ledger_id, seq, command, at, bytes, commands, log, hash }: Seal): string {
  return JSON.stringify({ seal, ledger_id, seq, command, at, bytes, commands, log, hash });
}
