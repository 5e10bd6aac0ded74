/** The file of seals, in the ledger's folder. */
export const SEALS_NAME = "events.seals";

/** What a seal of the log says, without the digests of its commands. All numbers are exact. */
export interface Seal {
  /** Its number, from 1 without gaps. */
  readonly seal: number;
  readonly ledger_id: string;
  /** Of the last command that it covers: its last event, its place on the stream, and its time (ms since 1970). */
  readonly seq: number;
  readonly command: string;
  readonly at: number;
  /** The log's bytes up to the end of that command. */
  readonly bytes: number;
  /** How many commands stand behind the seal before. */
  readonly commands: number;
  /** SHA-256 of the log's bytes behind the seal before, 64 hex digits. */
  readonly log: string;
  /** SHA-256 of the seal before and of everything that this one says, 64 hex digits. */
  readonly hash: string;
}
