/**
 * Checks events.seals by the documentation of its format alone, and forges logs whose seq and crc fit again.
 * Shares no code with src/, on purpose: it is what anyone could write who has only that page.
 */

import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";

const sha256 = (...parts: readonly (string | Uint8Array)[]) => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** The commands of a log, each with all of its lines. */
export function commandsOf(log: Buffer): string[] {
  return log.toString("latin1").match(/.*?,"crc":"[0-9a-f]{8}"\}\n/gs) ?? [];
}

export interface IndependentSeals {
  readonly hashes: readonly string[];
  /** Bytes of the log that are sealed. */
  readonly bytes: number;
  readonly commands: number;
}

/** Throws where the seals do not hold. */
export function checkSealsIndependently(log: Buffer, seals: Buffer): IndependentSeals {
  const hashes: string[] = [];
  let hash = "";
  let bytes = 0;
  let commands = 0;
  for (const line of seals.toString("latin1").split("\n").slice(0, -1)) {
    const seal = JSON.parse(line);
    const [body = ""] = line.split(',"hash":');
    hash = sha256(hash, body).toString("hex");
    const covered = log.subarray(bytes, seal.bytes);
    const inside = commandsOf(covered);
    const last = JSON.parse(inside.at(-1)?.trimEnd().split("\n").at(-1) ?? "null");
    const digests = Buffer.concat(
      inside.map((command) => sha256(Buffer.from(command, "latin1")).subarray(0, 8)),
    );
    const is = {
      ledger_id: JSON.parse(log.toString("latin1", 0, log.indexOf(10))).ledger_id,
      seq: last.seq,
      command: last.command,
      at: last.at,
      bytes: bytes + covered.length,
      commands: inside.length,
      log: sha256(covered).toString("hex"),
      digests: digests.toString("base64"),
    };
    const expected = JSON.stringify({ seal: hashes.length + 1, ...is, hash });
    if (expected !== line) throw new Error(`expected ${expected}, not ${line}`);
    hashes.push(hash);
    bytes = seal.bytes;
    commands += inside.length;
  }
  return { hashes, bytes, commands };
}

/** What somebody makes of a log's commands who knows the format: every seq and crc fits again. */
export function forge(commands: readonly string[]): Buffer {
  let seq = 0;
  let crc = 0;
  const forged = commands.map((command) => {
    const numbered = command.replace(/^\{"seq":[0-9]+,/gm, () => `{"seq":${++seq},`);
    const body = numbered.slice(0, -',"crc":"00000000"}\n'.length);
    crc = crc32(Buffer.from(body, "latin1"), crc);
    return `${body},"crc":"${crc.toString(16).padStart(8, "0")}"}\n`;
  });
  return Buffer.from(forged.join(""), "latin1");
}
