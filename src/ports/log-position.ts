import type { TransactionId } from "../domain/names.ts";

/** Where a log ends. */
export interface LogPosition {
  /** The number of the last event; 0 in an empty log. */
  readonly seq: number;
  /** Bytes up to the end of the last committed command. */
  readonly bytes: number;
  /** Of the last command that wrote: the stream's number of its message, and its index in it. */
  readonly sequence: number;
  readonly index: number;
  /** The chain's CRC-32 there, and the time of that command (ms since 1970). */
  readonly crc: number;
  readonly at: number;
  /** Undefined in an empty log. */
  readonly ledgerId: TransactionId | undefined;
}

export const EMPTY_LOG: LogPosition = {
  seq: 0,
  bytes: 0,
  sequence: 0,
  index: -1,
  crc: 0,
  at: 0,
  ledgerId: undefined,
};

/** As the log writes them. */
export function crcText(crc: number): string {
  return crc.toString(16).padStart(8, "0");
}

export function commandText({
  sequence,
  index,
}: {
  readonly sequence: number;
  readonly index: number;
}): string {
  return `${sequence}.${index}`;
}
