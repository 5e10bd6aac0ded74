/**
 * events.seals: a chain of SHA-256 over events.log, a line of JSON a seal.
 *
 * {"seal":1,"ledger_id":"…","seq":…,"command":"…","at":…,"bytes":…,"commands":…,"log":"…","digests":"…","hash":"…"}
 *
 * `digests` has the first 8 bytes of the SHA-256 of each command's bytes (base64), so that the first one that was
 * altered can be named; `log` is the SHA-256 of all of them. `hash` is the SHA-256 of the hash of the seal before
 * (64 digits; nothing before the first) and of the line's bytes up to and not including `,"hash":`.
 */

import { createHash, hash as hashOf } from "node:crypto";
import type { Seal } from "../ports/seals.ts";

/** The most commands that one seal may cover, and so the most that a line may have. */
export const MAX_SEAL_COMMANDS = 100_000;
export const DIGEST_BYTES = 8;
export const MAX_SEAL_LINE_BYTES = 2 * DIGEST_BYTES * MAX_SEAL_COMMANDS;

/** The line does not stand as it should; the message says what was expected. */
export class BadSeal extends Error {
  override readonly name = "BadSeal";
}

export interface SealLine {
  readonly seal: Seal;
  /** DIGEST_BYTES of each command. */
  readonly digests: Buffer;
  /** The line's text up to its hash. */
  readonly body: string;
}

/** What a seal says of its place in the log. */
export type SealPlace = Pick<Seal, "seal" | "ledger_id" | "seq" | "command" | "at" | "bytes">;

/** Takes commands, to say of them what a seal does. */
export class SealedPart {
  readonly #log = createHash("sha256");
  #digests: Buffer = Buffer.allocUnsafe(1_024 * DIGEST_BYTES);
  commands = 0;

  /** The next command; returns the SHA-256 of its bytes, which have to come to bytes() too. */
  command(bytes: Buffer): Buffer {
    const at = this.commands++ * DIGEST_BYTES;
    if (at === this.#digests.length) {
      const larger = Buffer.allocUnsafe(2 * at);
      this.#digests.copy(larger);
      this.#digests = larger;
    }
    const digest = hashOf("sha256", bytes, "buffer");
    digest.copy(this.#digests, at, 0, DIGEST_BYTES);
    return digest;
  }

  /** The bytes of one or more commands. */
  bytes(bytes: Buffer): void {
    this.#log.update(bytes);
  }

  /** The line of the seal behind what was taken, and what it says. To be called once. */
  seal(place: SealPlace, previous: Seal | undefined): { readonly line: string; readonly seal: Seal } {
    const { seal, ledger_id, seq, command, at, bytes } = place;
    const log = this.#log.digest("hex");
    const digests = this.#digests.toString("base64", 0, this.commands * DIGEST_BYTES);
    const said = { seal, ledger_id, seq, command, at, bytes, commands: this.commands, log };
    const body = JSON.stringify({ ...said, digests }).slice(0, -1);
    const hash = chained(previous, body);
    return { line: `${body},"hash":"${hash}"}\n`, seal: { ...said, hash } };
  }
}

function chained(previous: Seal | undefined, body: string): string {
  return createHash("sha256")
    .update(previous?.hash ?? "")
    .update(body, "latin1")
    .digest("hex");
}

const LINE =
  /^(\{"seal":([1-9][0-9]{0,15}),"ledger_id":"([0-9a-f-]{36})","seq":([1-9][0-9]{0,15}),"command":"([0-9.]{3,27})","at":([0-9]{1,16}),"bytes":([1-9][0-9]{0,15}),"commands":([1-9][0-9]{0,15}),"log":"([0-9a-f]{64})","digests":"([A-Za-z0-9+/]*={0,2})"),"hash":"([0-9a-f]{64})"\}$/;

/** Reads a line, without its end, by itself. Throws BadSeal. */
export function parseSeal(line: string): SealLine {
  const fields = LINE.exec(line) as readonly string[] | null;
  if (!fields) throw new BadSeal("a seal");
  const [, body = "", seal, ledger_id = "", seq, command = "", at, bytes, commands, ...texts] = fields;
  const [log = "", digests = "", hash = ""] = texts;
  const read: Seal = {
    seal: Number(seal),
    ledger_id,
    seq: Number(seq),
    command,
    at: Number(at),
    bytes: Number(bytes),
    commands: Number(commands),
    log,
    hash,
  };
  const kept = Buffer.from(digests, "base64");
  if (kept.length !== read.commands * DIGEST_BYTES) throw new BadSeal(`digests of ${read.commands} commands`);
  return { seal: read, digests: kept, body };
}

/** Whether a seal follows the one before, none before the first. Throws BadSeal. */
export function checkChain({ seal, body }: SealLine, previous: Seal | undefined): void {
  const hash = chained(previous, body);
  if (seal.hash !== hash) throw new BadSeal(`"hash":"${hash}", as computed from this line`);
  const number = (previous?.seal ?? 0) + 1;
  if (seal.seal !== number) throw new BadSeal(`"seal":${number}`);
  if (previous && seal.ledger_id !== previous.ledger_id)
    throw new BadSeal(`"ledger_id":"${previous.ledger_id}"`);
  if (seal.bytes <= (previous?.bytes ?? 0) || seal.seq <= (previous?.seq ?? 0))
    throw new BadSeal("a position after that of the previous seal");
}
