/**
 * Holds the log against its seals. What the log says of itself (seq, crc, totals) is not asked: whoever altered it
 * may have made all of that fit.
 */

import { CommandBytes } from "../eventlog/command-bytes.ts";
import { lastCommands, openingOf } from "../eventlog/lookup.ts";
import { damageText, LOG_NAME } from "../eventlog/recovery.ts";
import type { ReadableFile } from "../ports/append-file.ts";
import { commandText } from "../ports/log-position.ts";
import { SEALS_NAME, type Seal } from "../ports/seals.ts";
import { BadSeal, checkChain, DIGEST_BYTES, parseSeal, SealedPart } from "./seal.ts";
import { rawSeals } from "./seal-file.ts";

const NEWLINE = 10;

export interface CheckedSeals {
  readonly newest: Seal;
  /** Commands that are sealed. */
  readonly commands: number;
  /** Bytes of a torn line at the end, which the next seal takes the place of. */
  readonly torn: number;
}

/** The first thing that is wrong; the message names file, line and what was expected. */
export class BrokenSeals extends Error {
  override readonly name = "BrokenSeals";
}

/**
 * Reads both files; `kept` is the hash of a seal that was kept elsewhere. Throws BrokenSeals. `progress` hears of
 * the log's bytes that were read, now and then.
 */
export async function checkSeals(
  log: ReadableFile,
  seals: ReadableFile,
  path: (name: string) => string,
  kept: string | undefined,
  progress: (bytes: number) => void,
): Promise<CheckedSeals> {
  const check = new SealCheck(log, path);
  let isKept = kept === undefined;
  let torn = 0;
  let line = 1;
  try {
    for (const raw of rawSeals(seals)) {
      torn = raw.torn ? seals.size() - raw.at : 0;
      if (raw.torn) break;
      check.seal(raw.line);
      isKept ||= check.newest?.hash === kept;
      progress(check.newest?.bytes ?? 0);
      line++;
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  } catch (error) {
    if (!(error instanceof BadSeal)) throw error;
    const good = check.newest ? `up to event ${check.newest.seq} the log matches its seals` : "";
    throw new BrokenSeals(
      `${path(SEALS_NAME)}: line ${line}: expected ${error.message}${good && `; ${good}`}`,
    );
  }
  const { newest, commands } = check;
  if (!newest) throw new BrokenSeals(`${path(SEALS_NAME)} contains no seal`);
  if (!isKept)
    throw new BrokenSeals(
      `${path(SEALS_NAME)}: no seal has the hash ${kept}: seals were removed, or recreated for an altered log, ` +
        "or the hash belongs to another ledger",
    );
  return { newest, commands, torn };
}

class SealCheck {
  newest: Seal | undefined;
  commands = 0;
  readonly #log: CommandBytes;
  /** Lines of the log that are as they were sealed, and the place of the current command among them. */
  #lines = 0;
  #at = 0;

  constructor(
    private readonly log: ReadableFile,
    private readonly path: (name: string) => string,
  ) {
    this.#log = new CommandBytes(log, 0);
  }

  /** The next line of the seals. Throws BadSeal, BrokenSeals. */
  seal(line: string): void {
    const read = parseSeal(line);
    checkChain(read, this.newest);
    const { seal, digests } = read;
    const part = new SealedPart();
    const [firstLine, firstByte] = [this.#lines + 1, this.#at];
    const take = (command: Buffer) => {
      const place = part.commands * DIGEST_BYTES;
      const digest = part.command(command).subarray(0, DIGEST_BYTES);
      if (!digest.equals(digests.subarray(place, place + DIGEST_BYTES))) throw this.#altered(command, seal);
      this.#at += command.length;
      this.#lines += linesOf(command);
      return part.commands < seal.commands;
    };
    while (part.commands < seal.commands) {
      const bytes = this.#log.next(Number.POSITIVE_INFINITY, take);
      if (bytes.length === 0) throw this.#missing(seal);
      part.bytes(bytes);
    }
    const { log } = part.seal(seal, this.newest).seal;
    if (this.#at !== seal.bytes || log !== seal.log)
      throw this.#broken(
        firstLine,
        firstByte,
        `lines up to ${this.#lines} as covered by seal ${seal.seal}, although each command matches its digest`,
      );
    const [, last] = lastCommands(this.log, seal.bytes);
    if (!last || last.seq !== seal.seq || last.at !== seal.at || commandText(last) !== seal.command)
      throw new BadSeal("the seq, command and time of the last command that it covers");
    if (!this.newest && openingOf(this.log)?.ledger_id !== seal.ledger_id)
      throw new BadSeal("the ledger_id of the log");
    this.commands += seal.commands;
    this.newest = seal;
  }

  /** The command that stands at the current place is not the one that was sealed there. */
  #altered(command: Buffer, seal: Seal): BrokenSeals {
    const text = command.toString("latin1");
    const said = (pattern: RegExp) => pattern.exec(text)?.[1] ?? "unreadable";
    const id = said(/"transaction_id":"([0-9a-f-]{36})"/);
    const name = said(/"command":"([0-9]+\.[0-9]+)","crc":"[^"]*"\}\n$/);
    return this.#broken(
      this.#lines + 1,
      this.#at,
      `the command that seal ${seal.seal} covers here, found seq ${said(/^\{"seq":([0-9]+),/)}, ` +
        `transaction ${id}, command "${name}". It was altered or inserted, or the one before it was removed; ` +
        "everything before it matches its seals",
    );
  }

  #missing(seal: Seal): BrokenSeals {
    return this.#broken(
      this.#lines + 1,
      this.#at,
      `a command that seal ${seal.seal} covers, but no complete one starts here; ${seal.bytes - this.#at} bytes from here on were sealed`,
    );
  }

  #broken(line: number, offset: number, expected: string): BrokenSeals {
    return new BrokenSeals(damageText(this.path(LOG_NAME), { line, offset, expected }));
  }
}

function linesOf(command: Buffer): number {
  let lines = 0;
  for (let at = command.indexOf(NEWLINE); at >= 0; at = command.indexOf(NEWLINE, at + 1)) lines++;
  return lines;
}
