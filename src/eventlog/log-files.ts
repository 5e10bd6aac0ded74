/**
 * The files of a ledger that a node has open, and whether their paths still name them.
 *
 * An open descriptor outlives its path: a node whose log was deleted or replaced would go on writing to a file
 * that is gone with it, and one whose lock was replaced would share the folder with another node. Nothing
 * announces either, so the writer looks before each mark, and while nothing happens.
 */

import type { AppendFile, DataFolder, WatchedFile } from "../ports/append-file.ts";
import type { LogPosition } from "../ports/log-position.ts";
import { keepBytes, unusedName } from "./keep-bytes.ts";
import { type LogMark, MARK_NAME } from "./mark.ts";
import { LOG_NAME, RESCUED_NAME } from "./recovery.ts";

export const LOCK_NAME = "lock";
const NEWLINE = 10;

/** The node must acknowledge nothing more. */
export class LostFile extends Error {
  override readonly name = "LostFile";

  /** `rescue`: whether the log's bytes would be gone with the process. */
  constructor(
    readonly event: "log_file_lost" | "mark_file_lost" | "lock_file_lost",
    message: string,
    readonly rescue = false,
  ) {
    super(message);
  }
}

export class LogFiles {
  readonly #lock: AppendFile | undefined;
  readonly #last = new Uint8Array(1);

  constructor(
    private readonly folder: DataFolder,
    readonly log: AppendFile,
    readonly mark: LogMark,
  ) {
    this.#lock = folder.open(LOCK_NAME, false);
  }

  /** Throws LostFile unless every path names the open file, and the log has the `written` bytes of this node. */
  look(written: number): void {
    const path = this.folder.path(LOG_NAME);
    const size = this.log.size();
    if (size < written) throw this.#cut(`has ${size} bytes, but ${written} were written`, this.log.lost());
    const lost = this.lostLog();
    if (lost) throw lost;
    if (size > written)
      throw new LostFile(
        "log_file_lost",
        `${path} has ${size} bytes, but ${written} were written: another process writes to it`,
      );
    this.#expectInPlace("mark_file_lost", MARK_NAME, this.mark);
    if (this.#lock) this.#expectInPlace("lock_file_lost", LOCK_NAME, this.#lock);
  }

  /** Undefined while the log's path names the open file. */
  lostLog(): LostFile | undefined {
    const how = this.log.lost();
    const path = this.folder.path(LOG_NAME);
    return how ? new LostFile("log_file_lost", `${path} ${how} while the node was running`, true) : undefined;
  }

  /**
   * Throws LostFile unless a line ends at `end`. After a write there this finds a log that was cut before: the
   * write has made it as long as it should be again, with a hole where the lines were.
   */
  expectLineEnd(end: number): void {
    if (end === 0 || (this.log.read(this.#last, end - 1) === 1 && this.#last[0] === NEWLINE)) return;
    throw this.#cut(`no longer has the line that was written before byte ${end}`, this.log.lost());
  }

  /** Copies what the log's descriptor has up to `end`; the copy's path when it is on disk. */
  async rescue({ seq, bytes }: LogPosition): Promise<string> {
    await this.folder.make();
    const name = unusedName(this.folder, `${RESCUED_NAME}${seq}`);
    return await keepBytes(this.folder, name, this.log, 0, Math.min(bytes, this.log.size()));
  }

  close(): void {
    this.log.close();
    this.mark.close();
    this.#lock?.close();
  }

  #cut(what: string, how: string | undefined): LostFile {
    const { marked } = this.mark;
    const path = this.folder.path(LOG_NAME);
    return new LostFile(
      "log_file_lost",
      `${path} was truncated while the node was running: it ${what}${how ? `, and it ${how}` : ""}. ` +
        "The open file does not have the missing bytes either: restore them from a backup, a replica or a copy " +
        `made by the program that truncated it; commands after event ${marked?.seq ?? 0}, the mark, are also in the queue`,
      how !== undefined && this.log.size() > 0,
    );
  }

  #expectInPlace(event: LostFile["event"], name: string, file: WatchedFile): void {
    const how = file.lost();
    if (how) throw new LostFile(event, `${this.folder.path(name)} ${how} while the node was running`);
  }
}
